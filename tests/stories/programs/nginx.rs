//! nginx, on either side.

use lab::Process;
use lab::programs::{HTTP_PORT, Site};

use super::{Lab, PATIENCE, wait_for_listener};
use crate::traffic::{LINUX, OURS};

/// What it says when it serves.
const SERVES: &str = "start worker process";

/// nginx of Linux, which serves when this returns.
pub(super) fn on_linux(lab: &Lab, site: &Site) -> Process {
    let command = site.nginx(1, &LINUX.to_string()).unwrap();
    let peers = lab.peers();
    let nginx = peers.program(&command, "util-linux").unwrap().start();
    let nginx = nginx.unwrap();
    nginx.wait_for_errors(SERVES, PATIENCE).unwrap();
    nginx
}

/// nginx over smolnetd, which serves when this returns.
pub(super) fn over_smolnetd(lab: &Lab, site: &Site, workers: usize) -> Process {
    let command = site.nginx(workers, &OURS.to_string()).unwrap();
    let nginx = lab.program(&command, "util-linux").start().unwrap();
    nginx.wait_for_errors(SERVES, PATIENCE).unwrap();
    wait_for_listener(lab, HTTP_PORT);
    nginx
}
