//! `smolnetd [LEVEL]`: the TCP/IP server. LEVEL is `error`, `warn`, `info` (the default), `debug` or `trace`.

use std::process::ExitCode;

use log::LevelFilter;

fn main() -> ExitCode {
    let level = std::env::args()
        .nth(1)
        .and_then(|text| netscheme::logging::parse_level(&text))
        .unwrap_or(LevelFilter::Info);
    netscheme::logging::init("smolnetd", level);
    let notify = std::env::var("INIT_NOTIFY").ok();
    match smolnetd::daemon::run(notify.as_deref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!("{error}");
            ExitCode::FAILURE
        }
    }
}
