//! Programs of Debian, unmodified, whose sockets are smolnetd's; Linux on a TAP is their peer.

mod clients;
mod curl;
mod descriptors;
mod measured;
mod nginx;
mod servers;
mod transfers;

use std::net::{TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use lab::network::{Namespace, Peers};
use lab::peers::{DnsAnswer, DnsServer};
use lab::{Door, Program, Stack};

use crate::common::run;
use crate::traffic::{LINUX, on_tap};

/// The longest that any of these programs may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// What another package builds to: the library, which is no dependency of this program, for it would stand in the place of
/// this program's own C library, or a program.
pub(crate) fn built(package: &str, file: &str) -> PathBuf {
    static BUILDING: Mutex<()> = Mutex::new(());
    let _one = BUILDING.lock().unwrap();
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--package", package]);
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    assert!(build.status().unwrap().success(), "building {package}");
    let this = std::env::current_exe().unwrap();
    let folder = this.parent().and_then(|deps| deps.parent()).unwrap();
    folder.join(file)
}

/// The library.
fn library() -> PathBuf {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY
        .get_or_init(|| built("redox-sockets", "libredox_sockets.so"))
        .clone()
}

/// A stack with its door, beside a namespace in which Linux is.
pub(crate) struct Lab {
    door: Door,
    pub(crate) stack: Stack,
    namespace: Namespace,
}

impl Lab {
    fn start() -> Option<Lab> {
        on_tap().map(Lab::of)
    }

    pub(crate) fn of((namespace, stack): (Namespace, Stack)) -> Lab {
        let door = Door::open(&stack).unwrap();
        Lab {
            door,
            stack,
            namespace,
        }
    }

    /// A program over smolnetd, its words split at spaces.
    pub(crate) fn program(&self, line: &str, package: &str) -> Program<'_> {
        self.door.program(&library(), line, package).unwrap()
    }

    /// Runs one to its end, which must be a good one.
    pub(crate) fn run(&self, line: &str, package: &str) -> Vec<u8> {
        self.program(line, package).run(PATIENCE).unwrap()
    }

    pub(crate) fn peers(&self) -> Peers {
        Peers::inside(&self.namespace)
    }

    /// Runs one of Linux's to its end, which must be a good one.
    pub(crate) fn run_on_linux(&self, line: &str, package: &str) -> Vec<u8> {
        let peers = self.peers();
        let program = peers.program(line, package).unwrap();
        program.run(PATIENCE).unwrap()
    }

    fn listener(&self, port: u16) -> TcpListener {
        let bound = self.namespace.enter(|| TcpListener::bind((LINUX, port)));
        bound.unwrap().unwrap()
    }

    fn name_server(&self) -> DnsServer {
        let sockets = self.namespace.enter(|| {
            let udp = UdpSocket::bind((LINUX, 53)).unwrap();
            (udp, TcpListener::bind((LINUX, 53)).unwrap())
        });
        let (udp, tcp) = sockets.unwrap();
        let names = [
            ("www.lab.test", DnsAnswer::at([LINUX])),
            ("long.lab.test", DnsAnswer::Truncated(vec![LINUX.into()])),
        ];
        let server = DnsServer::start(udp, names).unwrap().also_on(tcp).unwrap();
        run(
            &self.stack,
            &format!("write /scheme/netcfg/resolv/nameserver {LINUX}"),
        );
        server
    }

    /// The folder of the run, where programs find their files.
    fn folder(&self) -> PathBuf {
        self.stack.machine().run().file("root")
    }

    /// The exit code of a program over smolnetd, and what it complained of.
    fn code(&self, line: &str, package: &str) -> (Option<i32>, String) {
        let mut program = self.program(line, package).start().unwrap();
        let status = program.wait(PATIENCE).unwrap();
        (status.code(), text(&program.errors()))
    }

    /// What all programs left behind: nothing.
    pub(crate) fn all_is_given_back(&self) {
        assert!(
            self.door.wait_until_unused(),
            "{} sockets",
            self.door.sockets()
        );
        let sockets = self.stack.read("/scheme/netcfg/sockets").unwrap();
        assert!(!sockets.contains("listen"), "{sockets}");
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Waits until a server of smolnetd's listens.
fn wait_for_listener(lab: &Lab, port: u16) {
    let end = format!(":{port} ");
    let listens = |text: &str| {
        text.lines()
            .any(|line| line.contains(" listen") && line.contains(&end))
    };
    lab.stack
        .wait_for("/scheme/netcfg/sockets", PATIENCE, listens)
        .unwrap();
}
