//! The driver as a process of Redox, started by pcid-spawner.

use std::process::ExitCode;

use libredox::Fd;
use log::LevelFilter;
use netscheme::logging;
use virtio_netd::redox::Redox;
use virtio_netd::{Options, run};

fn main() -> ExitCode {
    let variable = |name| std::env::var(name).ok();
    let level = variable("VIRTIO_NETD_LOG").and_then(|level| logging::parse_level(&level));
    logging::init("virtio-netd", level.unwrap_or(LevelFilter::Info));
    let Some(channel) = variable("PCID_CLIENT_CHANNEL").and_then(|fd| fd.parse().ok()) else {
        log::error!("PCID_CLIENT_CHANNEL names no channel: this driver is started by pcid-spawner");
        return ExitCode::FAILURE;
    };
    let options = Options {
        init_notify: variable("INIT_NOTIFY"),
    };
    let Err(error) = run(&options, &mut Redox, Fd::new(channel));
    log::error!("{error}");
    ExitCode::FAILURE
}
