//! radvd, the router advertisement daemon of Linux routers.

use std::io::Write;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use super::Peers;
use crate::error::{Context, Result};
use crate::process::Process;
use crate::scratch;

const SOON: Duration = Duration::from_secs(10);
const CONFIGURATION: &str = "radvd.conf";

/// Advertises until it is dropped, and then is gone without a word, as a router that crashes.
#[derive(Debug)]
pub struct Radvd {
    process: Process,
    folder: TempDir,
}

impl Peers {
    /// radvd with this configuration (radvd.conf(5)); it has sent its first advertisement when this returns.
    pub fn radvd(&self, configuration: &str) -> Result<Radvd> {
        let folder = scratch::folder()?;
        let (file, pid) = (folder.path().join(CONFIGURATION), folder.path().join("pid"));
        std::fs::write(&file, configuration).context(file.display())?;
        let process = self
            .program("radvd --nodaemon --logmethod stderr --debug 2", "radvd")?
            .arg("--config")
            .arg(file)
            .arg("--pidfile")
            .arg(pid)
            .start()?;
        process.wait_for_errors("processed RA on", SOON)?;
        Ok(Radvd { process, folder })
    }
}

impl Radvd {
    /// Takes another configuration; it is advertised from here on, and what is in it no more is not.
    pub fn reload(&self, configuration: &str) -> Result<()> {
        let path = self.folder.path().join(CONFIGURATION);
        let mut file = std::fs::File::create(&path).context(path.display())?;
        file.write_all(configuration.as_bytes())
            .context(path.display())?;
        self.process.signal(Signal::HUP)
    }

    /// Ends it as an administrator does: it says that it is a router no more (lifetime 0, RFC 4861 6.2.5).
    pub fn stop(mut self) -> Result<()> {
        self.process.signal(Signal::TERM)?;
        self.process.wait(SOON).map(drop)
    }
}
