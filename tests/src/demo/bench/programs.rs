//! `./demo bench programs`: programs of Debian over smolnetd, and over Linux alone in the same run. The peer is Linux in a
//! namespace in either case. Between Linux and Linux is a virtual cable instead of a card, over which up to 64 KiB go as one
//! packet: that is what the machine can do, not what a card can.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use lab::network::{Namespace, Peers, Tap, TapSpec};
use lab::programs::{HTTP_PORT, Site, Ssh};
use lab::{
    Context, CpuSeconds, Door, Error, Process, Program, Result, cpu_seconds, cpu_seconds_since,
};

use super::{LINUX, OURS, stack_on};
use crate::options::Options;

/// The longest that one measurement may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// Bytes that curl moves each way, and those of scp.
const LARGE: u64 = 512 << 20;
const COPIED: u64 = 100 << 20;
/// Where uploads go.
const SINK: u16 = 8090;

/// Linux and its peer on the virtual cable.
const OURS_ON_CABLE: Ipv4Addr = Ipv4Addr::new(10, 9, 1, 2);
const LINUX_ON_CABLE: Ipv4Addr = Ipv4Addr::new(10, 9, 1, 1);

/// What is measured: a number of that unit, the more the better.
type Row = (&'static str, &'static str, fn(&Side<'_>) -> Result<f64>);

const ROWS: [Row; 11] = [
    ("curl download, 512 MiB", "MB/s", download),
    ("curl upload, 512 MiB", "MB/s", upload),
    ("iperf3", "Mbit/s", |side| iperf3(side, "")),
    ("iperf3 -R", "Mbit/s", |side| iperf3(side, "-R")),
    ("iperf3 -P 8", "Mbit/s", |side| iperf3(side, "-P 8")),
    ("scp to, 100 MiB", "MB/s", |side| scp(side, true)),
    ("scp from, 100 MiB", "MB/s", |side| scp(side, false)),
    ("nginx, wrk -c 50", "req/s", |side| wrk(side, "")),
    ("nginx, wrk, new connections", "conn/s", |side| {
        wrk(side, "-H Connection:close ")
    }),
    ("redis-benchmark -c 50", "req/s", |side| redis(side, "")),
    ("redis-benchmark -c 50 -P 16", "req/s", |side| {
        redis(side, "-P 16")
    }),
];

/// The threads of the lab that move the bytes: driver, stack, door.
const THREADS: [&str; 3] = ["virtio-netd", "smolnetd", "programs"];

/// Where the programs are that are measured.
enum Place<'p> {
    Smolnetd { door: &'p Door, library: &'p Path },
    Linux(Peers),
}

/// Programs in some place, and what is on the other side.
struct Side<'s> {
    place: Place<'s>,
    own: Ipv4Addr,
    peer: Ipv4Addr,
    peers: &'s Peers,
    site: &'s Site,
    ssh: &'s Ssh,
    folder: &'s Path,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let namespace = Namespace::new()?.without_ipv6()?;
    let tap = Tap::create(&namespace, &TapSpec::default())?;
    let alone = Namespace::new()?.without_ipv6()?;
    namespace.cable("cable0", &alone, "cable0")?;
    namespace.add_addresses("cable0", &["10.9.1.1/24"])?;
    alone.add_addresses("cable0", &["10.9.1.2/24"])?;
    let stack = stack_on(options, tap)?;
    let door = Door::open(&stack)?;
    let folder = stack.machine().run().file("root");
    let (peers, ssh) = (Peers::inside(&namespace), Ssh::new(&folder)?);
    let site = Site::new(&folder)?;
    for (name, length) in [("large", LARGE), ("copied", COPIED)] {
        let file = std::fs::File::create(folder.join("site").join(name)).context(name)?;
        file.set_len(length).context(name)?;
    }
    let sink = namespace.enter(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, SINK)))?;
    let sink = sink.context("the sink")?;
    std::thread::spawn(move || swallow(&sink));
    let _nginx = start(&peers, &site.nginx(1, "0.0.0.0")?, "start worker process")?;
    let _sshd = start(&peers, &ssh.server("0.0.0.0"), "listening on")?;
    let library = crate::programs::library()?;
    let side = |place, own, peer| Side {
        place,
        own,
        peer,
        peers: &peers,
        site: &site,
        ssh: &ssh,
        folder: &folder,
    };
    let (door, library) = (&door, library.as_path());
    let ours = side(Place::Smolnetd { door, library }, OURS, LINUX);
    let linux = Place::Linux(Peers::inside(&alone));
    let linux = side(linux, OURS_ON_CABLE, LINUX_ON_CABLE);
    println!(
        "{:<30} {:>7} {:>10} {:>10} {:>7}  CPU of the lab: {}",
        "",
        "",
        "smolnetd",
        "Linux",
        "ratio",
        THREADS.join(", ")
    );
    for (name, unit, measure) in ROWS {
        print!("{name:<30} {unit:>7} ");
        std::io::stdout().flush().context("the output")?;
        let before = cpu_seconds();
        let here = measure(&ours).context(name)?;
        let shares = shares(&cpu_seconds_since(&before));
        let there = measure(&linux).context(name)?;
        let ratio = format!("{:.0} %", 100.0 * here / there.max(1.0));
        println!("{here:>10.0} {there:>10.0} {ratio:>7}  {shares}");
    }
    Ok(())
}

/// How the CPU time of this process was shared among its threads, in the order of [`THREADS`].
fn shares(spent: &CpuSeconds) -> String {
    let all: f64 = spent.values().sum();
    let shares = THREADS.map(|name| {
        let share = 100.0 * spent.get(name).copied().unwrap_or_default() / all.max(0.01);
        format!("{share:.0} %")
    });
    shares.join(", ")
}

/// Starts a server of the peer's and waits for what it says.
fn start(peers: &Peers, line: &str, says: &str) -> Result<Process> {
    let server = peers
        .program(line, "openssh-server or util-linux")?
        .start()?;
    server.wait_for_errors(says, PATIENCE)?;
    Ok(server)
}

impl Side<'_> {
    fn program(&self, line: &str, package: &str) -> Result<Program<'_>> {
        match &self.place {
            Place::Smolnetd { door, library } => door.program(library, line, package),
            Place::Linux(peers) => peers.program(line, package),
        }
    }

    /// What a program prints that ends well.
    fn run(&self, line: &str, package: &str) -> Result<String> {
        text(self.program(line, package)?)
    }
}

fn text(program: Program<'_>) -> Result<String> {
    let output = program.run(PATIENCE)?;
    Ok(String::from_utf8_lossy(&output).into_owned())
}

/// The number behind a word, up to its unit.
fn number_after(text: &str, word: &str) -> Result<f64> {
    let rest = text.split_once(word).map(|(_, rest)| rest.trim_start());
    let number = rest.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    number.context(format_args!("no number behind {word:?} in {text}"))
}

fn download(side: &Side<'_>) -> Result<f64> {
    let url = format!("http://{}:{HTTP_PORT}/large", side.peer);
    let line = format!("curl -sS -f -o /dev/null -w speed:%{{speed_download}} {url}");
    Ok(number_after(&side.run(&line, "curl")?, "speed:")? / 1e6)
}

fn upload(side: &Side<'_>) -> Result<f64> {
    let file = side.folder.join("site/large");
    let line = format!(
        "curl -sS -f -o /dev/null -w speed:%{{speed_upload}} -T {} http://{}:{SINK}/",
        file.display(),
        side.peer
    );
    Ok(number_after(&side.run(&line, "curl")?, "speed:")? / 1e6)
}

/// Answers each upload when it is whole.
fn swallow(listener: &TcpListener) {
    for stream in listener.incoming().map_while(core::result::Result::ok) {
        // An error is a client that went away.
        let _ = swallow_one(&stream);
    }
}

fn swallow_one(mut stream: &TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::with_capacity(256 << 10, stream);
    let (mut line, mut length) = (String::new(), 0usize);
    while reader.read_line(&mut line)? > 2 {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        line.clear();
    }
    stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    let mut buffer = vec![0; 256 << 10];
    while length > 0 {
        match reader.read(&mut buffer)? {
            0 => return Ok(()),
            n => length = length.saturating_sub(n),
        }
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

fn iperf3(side: &Side<'_>, how: &str) -> Result<f64> {
    let server = format!("iperf3 -s -1 -B {} --forceflush", side.peer);
    let server = side.peers.program(&server, "iperf3")?.start()?;
    server.wait_for_output("Server listening", PATIENCE)?;
    let line = format!("iperf3 -J -c {} -t 3 {how}", side.peer);
    let report = side.run(line.trim_end(), "iperf3")?;
    let report: serde_json::Value = serde_json::from_str(&report).context("iperf3's report")?;
    let rate = report.pointer("/end/sum_received/bits_per_second");
    let rate = rate.and_then(serde_json::Value::as_f64);
    Ok(rate.context("no rate in iperf3's report")? / 1e6)
}

fn scp(side: &Side<'_>, to: bool) -> Result<f64> {
    let file = side.folder.join("site/copied");
    let remote = |path: &str| format!("root@{}:{path}", side.peer);
    let (from, to) = match to {
        true => (file.display().to_string(), remote("/dev/null")),
        false => (remote(&file.display().to_string()), "/dev/null".into()),
    };
    let started = Instant::now();
    let line = format!("scp {} {from} {to}", side.ssh.options());
    side.run(&line, "openssh-client")?;
    Ok(COPIED as f64 / 1e6 / started.elapsed().as_secs_f64())
}

fn wrk(side: &Side<'_>, how: &str) -> Result<f64> {
    let nginx = side.site.nginx(1, &side.own.to_string())?;
    let server = side.program(&nginx, "util-linux")?.start()?;
    server.wait_for_errors("start worker process", PATIENCE)?;
    let line = format!(
        "wrk -t1 -c50 -d3 {how}http://{}:{HTTP_PORT}/small",
        side.own
    );
    let report = text(side.peers.program(&line, "wrk")?)?;
    match report.contains("Socket errors") {
        true => Err(Error::new(report)),
        false => number_after(&report, "Requests/sec:"),
    }
}

fn redis(side: &Side<'_>, how: &str) -> Result<f64> {
    let line = "redis-server --port 6379 --protected-mode no --save  --appendonly no";
    let server = side.program(line, "redis-server")?.start()?;
    server.wait_for_output("Ready to accept connections", PATIENCE)?;
    let count = if how.is_empty() { 30_000 } else { 200_000 };
    let line = format!(
        "redis-benchmark -h {} --csv -t get -c 50 -n {count} {how}",
        side.own
    );
    let report = text(side.peers.program(line.trim_end(), "redis-tools")?)?;
    let rate = report.lines().find_map(|line| {
        let rate = line.strip_prefix("\"GET\",\"")?.split('"').next()?;
        rate.parse().ok()
    });
    rate.context(report)
}
