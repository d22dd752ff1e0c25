//! Programs of Debian, unmodified, whose sockets are smolnetd's; Linux on a TAP is their peer.

use std::io::Write;
use std::net::{TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use lab::network::{Namespace, Peers};
use lab::peers::{DnsAnswer, DnsServer, HttpServer, sha256_of_pattern};
use lab::{Door, Process, Program, Stack};
use sha2::{Digest, Sha256};

use crate::common::run;
use crate::traffic::{LINUX, OURS, hexadecimal, on_tap};

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
        let mut words = line.split(' ');
        // So that it is said which package is missing.
        Program::new(words.next().unwrap_or_default(), package).unwrap();
        Program::new("env", "coreutils")
            .unwrap()
            .arg(format!("LD_PRELOAD={}", library().display()))
            .arg(format!(
                "{}={}",
                socket_door::DOOR,
                self.door.path().display()
            ))
            .args(line.split(' '))
    }

    /// Runs one to its end, which must be a good one.
    fn run(&self, line: &str, package: &str) -> Vec<u8> {
        self.program(line, package).run(PATIENCE).unwrap()
    }

    pub(crate) fn peers(&self) -> Peers {
        Peers::inside(&self.namespace)
    }

    /// Runs one of Linux's to its end, which must be a good one.
    fn run_on_linux(&self, line: &str, package: &str) -> Vec<u8> {
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
        let names = [("www.lab.test", DnsAnswer::at([LINUX]))];
        DnsServer::start(udp, names).unwrap().also_on(tcp).unwrap()
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

#[test]
fn curl_fetches_a_page_by_its_name_and_says_why_when_it_cannot() {
    let Some(lab) = Lab::start() else { return };
    let server = HttpServer::start(lab.listener(80)).unwrap();
    let _names = lab.name_server();
    run(
        &lab.stack,
        &format!("write /scheme/netcfg/resolv/nameserver {LINUX}"),
    );
    let page = lab.run("curl -sS -f http://www.lab.test/bytes/300000", "curl");
    assert_eq!(
        hexadecimal(&Sha256::digest(&page)),
        sha256_of_pattern(300_000)
    );
    assert_eq!(server.requests(), 1);
    // Its own numbers: 6 could not resolve, 7 could not connect.
    for (url, code) in [
        ("http://nobody.lab.test/", 6),
        (&*format!("http://{LINUX}:81/"), 7),
    ] {
        let mut curl = lab
            .program(&format!("curl -sS {url}"), "curl")
            .start()
            .unwrap();
        let status = curl.wait(PATIENCE).unwrap();
        assert_eq!(status.code(), Some(code), "{url}: {}", text(&curl.errors()));
    }
    lab.all_is_given_back();
}

#[test]
fn a_connection_that_nobody_waits_for_any_more_is_given_up() {
    let Some(lab) = Lab::start() else { return };
    // Nobody is there: the connection would be tried for a minute and more.
    let line = "curl -sS --connect-timeout 1 http://10.9.0.77/";
    let mut curl = lab.program(line, "curl").start().unwrap();
    let code = curl.wait(PATIENCE).unwrap().code();
    assert_eq!(code, Some(28), "{}", text(&curl.errors()));
    lab.all_is_given_back();
    let sockets = lab.stack.read("/scheme/netcfg/sockets").unwrap();
    assert!(!sockets.contains("10.9.0.77"), "{sockets}");
}

#[test]
fn curl_fetches_twenty_pages_at_once() {
    let Some(lab) = Lab::start() else { return };
    let server = HttpServer::start(lab.listener(80)).unwrap();
    let urls = format!("http://{LINUX}/bytes/100000 ").repeat(20);
    let line = format!("curl -sS -f -Z --parallel-immediate --parallel-max 20 {urls}");
    let pages = lab.run(line.trim_end(), "curl");
    assert_eq!(pages.len(), 20 * 100_000);
    assert_eq!(server.requests(), 20);
    lab.all_is_given_back();
}

#[test]
fn wget_fetches_a_page() {
    let Some(lab) = Lab::start() else { return };
    let _server = HttpServer::start(lab.listener(80)).unwrap();
    let page = lab.run(&format!("wget -q -O - http://{LINUX}/bytes/300000"), "wget");
    assert_eq!(
        hexadecimal(&Sha256::digest(&page)),
        sha256_of_pattern(300_000)
    );
    lab.all_is_given_back();
}

/// Says something into the input of `from` and ends it; both must end well, and `to` have heard it.
fn says(mut from: Process, mut to: Process) {
    let mut input = from.take_input().unwrap();
    input.write_all(b"good morning\n").unwrap();
    drop(input);
    assert!(
        from.wait(PATIENCE).unwrap().success(),
        "{}",
        text(&from.errors())
    );
    assert!(
        to.wait(PATIENCE).unwrap().success(),
        "{}",
        text(&to.errors())
    );
    assert_eq!(text(&to.output()), "good morning\n");
}

#[test]
fn nc_calls_and_is_called() {
    let Some(lab) = Lab::start() else { return };
    let listening = lab.peers().nc(&format!("-n -v -l {LINUX} 7007")).unwrap();
    listening.wait_for_errors("Listening", PATIENCE).unwrap();
    let line = format!("nc -N {LINUX} 7007");
    let calling = lab.program(&line, "netcat-openbsd").with_input();
    says(calling.start().unwrap(), listening);

    let ours = lab.program("nc -l 7008", "netcat-openbsd");
    let listening = ours.with_input().start().unwrap();
    wait_for_listener(&lab, 7008);
    let calling = lab.peers().nc(&format!("-n -N {OURS} 7008")).unwrap();
    says(calling, listening);
    lab.all_is_given_back();
}

#[test]
fn dig_asks_over_udp_and_over_tcp() {
    let Some(lab) = Lab::start() else { return };
    let _names = lab.name_server();
    for how in ["+notcp", "+tcp"] {
        let line = format!("dig +short +tries=1 {how} @{LINUX} www.lab.test A");
        let answer = lab.run(&line, "bind9-dnsutils");
        assert_eq!(text(&answer), format!("{LINUX}\n"), "{how}");
    }
    lab.all_is_given_back();
}

#[test]
fn iperf3_measures_both_ways_and_by_datagrams() {
    let Some(lab) = Lab::start() else { return };
    for how in ["-n 5M", "-n 5M -R", "-u -b 10M -n 1M"] {
        let peers = lab.peers();
        let server = peers.program(&format!("iperf3 -s -1 -B {LINUX} --forceflush"), "iperf3");
        let mut server = server.unwrap().start().unwrap();
        server
            .wait_for_output("Server listening", PATIENCE)
            .unwrap();
        let report = text(&lab.run(&format!("iperf3 -c {LINUX} {how}"), "iperf3"));
        assert!(report.contains("iperf Done."), "{how}: {report}");
        assert!(server.wait(PATIENCE).unwrap().success());
    }
    let mut server = lab.program("iperf3 -s -1", "iperf3").start().unwrap();
    wait_for_listener(&lab, 5201);
    let client = format!("iperf3 -c {OURS} -n 5M -P 4");
    let report = text(&lab.run_on_linux(&client, "iperf3"));
    assert!(report.contains("iperf Done."), "{report}");
    assert!(server.wait(PATIENCE).unwrap().success());
    lab.all_is_given_back();
}

#[test]
fn a_server_in_python_is_asked_by_curl_of_linux() {
    let Some(lab) = Lab::start() else { return };
    let folder = lab.stack.machine().run().file("root");
    std::fs::write(folder.join("page"), "a page\n").unwrap();
    let folder = folder.display();
    let line = format!("/usr/bin/python3 -m http.server --directory {folder} 8000");
    let mut server = lab.program(&line, "python3").start().unwrap();
    wait_for_listener(&lab, 8000);
    for _ in 0..5 {
        let page = lab.run_on_linux(&format!("curl -sS -f http://{OURS}:8000/page"), "curl");
        assert_eq!(text(&page), "a page\n");
    }
    assert!(server.is_running(), "{}", text(&server.errors()));
    drop(server);
    lab.all_is_given_back();
}

#[test]
fn redis_serves_fifty_clients_of_linux_at_once() {
    let Some(lab) = Lab::start() else { return };
    let line = "redis-server --port 6379 --protected-mode no --save  --appendonly no";
    let server = lab.program(line, "redis-server").start().unwrap();
    wait_for_listener(&lab, 6379);
    let line = format!("redis-benchmark -h {OURS} -q -t set,get -c 50 -n 2000");
    let report = text(&lab.run_on_linux(&line, "redis-tools"));
    assert!(
        report.contains("SET: ") && report.contains("GET: "),
        "{report}"
    );
    drop(server);
    lab.all_is_given_back();
}

#[test]
fn ssh_logs_in_and_scp_copies_a_file() {
    let Some(lab) = Lab::start() else { return };
    let folder = lab.stack.machine().run().file("root");
    let at = folder.display();
    let keygen = format!("ssh-keygen -q -t ed25519 -f {at}/key -C lab -N");
    Program::new("ssh-keygen", "openssh-client").unwrap();
    lab.peers()
        .program(&keygen, "openssh-client")
        .unwrap()
        .arg("")
        .run(PATIENCE)
        .unwrap();
    let options = format!(
        "-p 2222 -h {at}/key -f /dev/null -o ListenAddress={LINUX} -o AuthorizedKeysFile={at}/key.pub -o UsePAM=no \
         -o StrictModes=no -o PermitRootLogin=yes -o PidFile=none -o Subsystem=sftp\u{a0}internal-sftp"
    );
    // The program separates with its privileges in a folder that a service would have made.
    std::fs::create_dir_all("/run/sshd").unwrap();
    let options = options.split(' ').map(|word| word.replace('\u{a0}', " "));
    let server = lab.peers();
    let server = server
        .program("/usr/sbin/sshd -D -e", "openssh-server")
        .unwrap();
    let server = server.args(options).start().unwrap();
    server.wait_for_errors("listening on", PATIENCE).unwrap();
    let common = format!(
        "-F /dev/null -i {at}/key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes"
    );
    let ssh = format!("ssh {common} -p 2222 root@{LINUX} echo good morning");
    assert_eq!(text(&lab.run(&ssh, "openssh-client")), "good morning\n");
    let bytes = vec![0x5a; 10 << 20];
    std::fs::write(folder.join("sent"), &bytes).unwrap();
    let scp = format!("scp {common} -P 2222 {at}/sent root@{LINUX}:{at}/received");
    lab.run(&scp, "openssh-client");
    assert_eq!(std::fs::read(folder.join("received")).unwrap(), bytes);
    drop(server);
    lab.all_is_given_back();
}
