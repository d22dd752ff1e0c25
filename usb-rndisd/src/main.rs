//! The driver as a process of Redox, started by xhcid.

use std::process::ExitCode;

use log::LevelFilter;
use netscheme::logging;
use usb_rndisd::{Options, run};

fn main() -> ExitCode {
    let variable = |name| std::env::var(name).ok();
    let level = variable("USB_RNDISD_LOG").and_then(|level| logging::parse_level(&level));
    logging::init("usb-rndisd", level.unwrap_or(LevelFilter::Info));
    let mut options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            log::error!("{error}");
            return ExitCode::FAILURE;
        }
    };
    if options.notify {
        options.init_notify = variable("INIT_NOTIFY");
    }
    let Err(error) = run(&options);
    log::error!("{error}");
    ExitCode::FAILURE
}
