//! nginx, on either side.

use std::path::PathBuf;

use lab::Process;
use lab::peers::Certificate;

use super::{Lab, PATIENCE, wait_for_listener};
use crate::traffic::{LINUX, OURS};

/// Where it serves, and where it serves over TLS.
pub(super) const PORT: u16 = 8080;
pub(super) const TLS_PORT: u16 = 8443;

/// What it serves.
pub(super) struct Site {
    folder: PathBuf,
}

impl Site {
    /// An empty one.
    pub(super) fn new(lab: &Lab) -> Site {
        let folder = lab.folder().join("site");
        std::fs::create_dir_all(&folder).unwrap();
        Site { folder }
    }

    /// Adds a page.
    pub(super) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let file = self.folder.join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, content).unwrap();
    }

    /// The arguments of a server with so many workers, at that address; `more` is added to its settings.
    fn command(&self, workers: usize, address: &str, more: &str) -> String {
        let home = self.folder.with_extension(address);
        std::fs::create_dir_all(home.join("logs")).unwrap();
        let at = home.display();
        std::fs::write(home.join("certificate"), Certificate::Good.pem()).unwrap();
        let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {at}/{name};"))
            .concat();
        let settings = format!(
            "daemon off; user root; worker_processes {workers}; pid {at}/pid; error_log stderr notice;
            events {{ worker_connections 2048; }}
            http {{ access_log off; sendfile on; {paths} server {{
                listen {address}:{PORT}{more};
                listen {address}:{TLS_PORT} ssl http2;
                ssl_certificate {at}/certificate; ssl_certificate_key {at}/certificate;
                client_max_body_size 0; root {};
                location = /small {{ return 200 \"hello\\n\"; }}
            }} }}",
            self.folder.display()
        );
        std::fs::write(home.join("settings"), settings).unwrap();
        format!("nginx -p {at} -c {at}/settings")
    }
}

/// nginx of Linux, which serves when this returns.
pub(super) fn on_linux(lab: &Lab, site: &Site, more: &str) -> Process {
    let command = site.command(1, &LINUX.to_string(), more);
    let peers = lab.peers();
    let nginx = peers.program(&command, "nginx-light").unwrap().start();
    let nginx = nginx.unwrap();
    nginx
        .wait_for_errors("start worker process", PATIENCE)
        .unwrap();
    nginx
}

/// nginx over smolnetd, which serves when this returns.
pub(super) fn over_smolnetd(lab: &Lab, site: &Site, workers: usize, more: &str) -> Process {
    let command = site.command(workers, &OURS.to_string(), more);
    let nginx = lab.program(&command, "nginx-light").start().unwrap();
    nginx
        .wait_for_errors("start worker process", PATIENCE)
        .unwrap();
    wait_for_listener(lab, PORT);
    nginx
}
