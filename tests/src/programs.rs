//! What programs of Debian have to be told before they serve, for the stories and the bench: nginx and sshd with all that is
//! theirs in a folder of the run.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Context, Result};
use crate::peers::Certificate;
use crate::process::Program;

/// Where nginx serves, and where it serves over TLS.
pub const HTTP_PORT: u16 = 8080;
/// See [`HTTP_PORT`].
pub const HTTPS_PORT: u16 = 8443;
/// Where sshd listens.
pub const SSH_PORT: u16 = 2222;

/// How long a key may take to be made.
const START: Duration = Duration::from_secs(10);

/// Pages that nginx serves.
#[derive(Debug)]
pub struct Site {
    folder: PathBuf,
}

impl Site {
    /// An empty one, below that folder.
    pub fn new(below: &Path) -> Result<Site> {
        let folder = below.join("site");
        std::fs::create_dir_all(&folder).context(folder.display())?;
        Ok(Site { folder })
    }

    /// Adds a page.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<()> {
        let file = self.folder.join(name);
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).context(folder.display())?;
        }
        std::fs::write(&file, content).context(file.display())
    }

    /// The command line of an nginx with so many workers at that address, which has `/small` too. It has started when it says
    /// "start worker process" on its standard error.
    pub fn nginx(&self, workers: usize, address: &str) -> Result<String> {
        let home = self.folder.with_extension(address);
        let at = home.display();
        std::fs::create_dir_all(home.join("logs")).context(&at)?;
        std::fs::write(home.join("certificate"), Certificate::Good.pem()).context(&at)?;
        let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {at}/{name};"))
            .concat();
        let settings = format!(
            "daemon off; user root; worker_processes {workers}; pid {at}/pid; error_log stderr notice;
            events {{ worker_connections 2048; }}
            http {{ access_log off; sendfile on; keepalive_requests 1000000; {paths} server {{
                listen {address}:{HTTP_PORT};
                listen {address}:{HTTPS_PORT} ssl http2;
                ssl_certificate {at}/certificate; ssl_certificate_key {at}/certificate;
                client_max_body_size 0; root {};
                location = /small {{ return 200 \"hello\\n\"; }}
            }} }}",
            self.folder.display()
        );
        std::fs::write(home.join("settings"), settings).context(&at)?;
        // So that it is said which package is missing.
        Program::new("nginx", "nginx")?;
        // Its workers would outlive a master that is killed; in a namespace of its own they do not.
        Ok(format!(
            "unshare --pid --fork --kill-child -- nginx -p {at} -c {at}/settings"
        ))
    }
}

/// A key by which clients are let in, and sshd its host.
#[derive(Debug)]
pub struct Ssh {
    folder: PathBuf,
}

impl Ssh {
    /// Makes the key in that folder.
    pub fn new(folder: &Path) -> Result<Ssh> {
        let keygen = Program::new("ssh-keygen", "openssh-client")?;
        let keygen = keygen.args("-q -t ed25519 -C lab -N".split(' '));
        keygen
            .arg("")
            .arg("-f")
            .arg(folder.join("key"))
            .run(START)?;
        // sshd separates with its privileges in a folder that a service would have made.
        std::fs::create_dir_all("/run/sshd").context("/run/sshd")?;
        Ok(Ssh {
            folder: folder.to_owned(),
        })
    }

    /// The command line of an sshd at that address, which says "listening on" on its standard error when it does.
    pub fn server(&self, address: &str) -> String {
        let at = self.folder.display();
        format!(
            "/usr/sbin/sshd -D -e -p {SSH_PORT} -h {at}/key -f /dev/null -o ListenAddress={address} \
             -o AuthorizedKeysFile={at}/key.pub -o UsePAM=no -o StrictModes=no -o PermitRootLogin=yes -o PidFile=none \
             -o Subsystem=sftp\tinternal-sftp"
        )
    }

    /// What ssh and scp have to be told.
    pub fn options(&self) -> String {
        let at = self.folder.display();
        format!(
            "-F /dev/null -i {at}/key -o Port={SSH_PORT} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
             -o BatchMode=yes"
        )
    }
}
