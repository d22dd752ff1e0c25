//! A network of the test's own: a Linux network namespace that nothing but this process can name.
//!
//! It lives as long as a small process of ours (`cat`, waiting on a pipe that we hold): when the lab ends, however it
//! ends, the pipe closes, the holder goes, and the kernel takes the namespace with every device in it. Nothing is left
//! under /run/netns, ever.

use std::fs::File;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::error::{Context, Error, Result};
use crate::process::{Process, Program};

const START: Duration = Duration::from_secs(10);

/// A namespace with the loopback device up, and a private view of the mounted files. Clones are the same namespace.
#[derive(Clone, Debug)]
pub struct Namespace(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    holder: Process,
    network: File,
}

impl Namespace {
    /// A namespace whose only device is its loopback. Needs root (of a user namespace is enough).
    pub fn new() -> Result<Self> {
        Self::hold("")
    }

    /// The same, and programs inside read in /etc/resolv.conf that the name server is 127.0.0.1 and ::1: slirp's
    /// 10.0.2.3 and fd12::3 then pass their questions to whoever serves port 53 in this namespace.
    pub fn with_own_resolver() -> Result<Self> {
        Self::hold(
            "file=$(mktemp) && printf 'nameserver 127.0.0.1\\nnameserver ::1\\n' >$file && \
             mount --bind $file $(readlink -f /etc/resolv.conf) && rm $file && ",
        )
    }

    fn hold(preparation: &str) -> Result<Self> {
        let script = format!("{preparation}ip link set lo up && echo ready && exec cat");
        let holder = Program::new("unshare", "util-linux")?
            .args(["--net", "--mount", "--", "sh", "-c", &script])
            .with_input()
            .start()?;
        holder
            .wait_for_output("ready\n", START)
            .context("making a network namespace (root is needed for it)")?;
        let path = format!("/proc/{}/ns/net", holder.id());
        let network = File::open(&path).context(&path)?;
        Ok(Self(Arc::new(Inner { holder, network })))
    }

    /// Runs `inside` on a thread in the namespace and waits for it. Sockets belong to the namespace where they were
    /// made: one that is bound in here can be handed out and served from anywhere.
    pub fn enter<T: Send>(&self, inside: impl FnOnce() -> T + Send) -> Result<T> {
        let thread = std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    move_into_link_name_space(
                        self.0.network.as_fd(),
                        Some(LinkNameSpaceType::Network),
                    )
                    .context("entering the network namespace")?;
                    Ok(inside())
                })
                .join()
        });
        match thread {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    /// Sets a variable below /proc/sys/net of this namespace, like "ipv6/conf/all/disable_ipv6".
    pub fn sysctl(&self, name: &str, value: &str) -> Result<()> {
        let path = format!("/proc/sys/net/{name}");
        self.enter(|| std::fs::write(&path, value).context(&path))?
    }

    /// Linux speaks no IPv6 in here: no router solicitations and no multicast reports that nobody asked for.
    pub fn without_ipv6(self) -> Result<Self> {
        self.sysctl("ipv6/conf/all/disable_ipv6", "1")?;
        self.sysctl("ipv6/conf/default/disable_ipv6", "1")?;
        Ok(self)
    }

    /// Runs `ip` with these arguments, split at spaces, in here.
    pub fn ip(&self, arguments: &str) -> Result<()> {
        let program = Program::new("ip", "iproute2")?
            .args(arguments.split(' '))
            .inside(Some(self));
        program
            .run(START)
            .context(format_args!("ip {arguments}"))
            .map(drop)
    }

    /// The process that keeps the namespace alive: what `ip link … netns` takes.
    pub fn holder_id(&self) -> u32 {
        self.0.holder.id()
    }

    /// What `nsenter` needs to start a program in here.
    pub(crate) fn nsenter_arguments(&self) -> [String; 2] {
        let id = self.0.holder.id();
        [
            format!("--net=/proc/{id}/ns/net"),
            format!("--mount=/proc/{id}/ns/mnt"),
        ]
    }
}

/// Whether this machine can give tests a TAP: an error that says what is missing otherwise.
pub(super) fn check_tap() -> Result<()> {
    File::options()
        .read(true)
        .write(true)
        .open("/dev/net/tun")
        .context("/dev/net/tun")?;
    let namespace = Namespace::new()?;
    namespace
        .ip("tuntap add dev probe mode tap")
        .map_err(|error| Error::new(format!("no TAP: {error}")))
}
