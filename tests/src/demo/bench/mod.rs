//! `./demo bench`: throughput, round trips and CPU time against the Linux kernel on a TAP.

pub(crate) mod programs;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use commands::OpenedFile;
use lab::machine::MachineSpec;
use lab::network::{Namespace, Netdev, Tap, TapSpec};
use lab::{
    Context, Error, Result, Stack, StackSpec, StaticAddress, cpu_seconds, cpu_seconds_since,
};

use crate::options::{Nic, Options};

const LINUX: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
const OURS: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);
const PORT: u16 = 5001;
const CHUNK: usize = 256 << 10;

/// Bytes moved each way.
fn length(nic: Nic) -> u64 {
    match nic {
        Nic::Virtio => 512 << 20,
        Nic::Rndis => 16 << 20,
    }
}

/// The threads that move them.
fn daemons(nic: Nic) -> &'static [&'static str] {
    match nic {
        Nic::Virtio => &["virtio-netd", "smolnetd"],
        Nic::Rndis => &["xhcid", "usb-rndisd", "smolnetd"],
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let nic = options.nic.unwrap_or_default();
    let namespace = Namespace::new()?.without_ipv6()?;
    let tap = Tap::create(&namespace, &TapSpec::default())?;
    let stack = stack_on(options, tap)?;
    let names = format!("CPU a frame ({})", daemons(nic).join(", "));
    println!("{:<28} {:>12} {:>10} {names:>44}", "", "result", "frames");
    let length = length(nic);
    measure(&stack, nic, "TCP out", || out(&stack, &namespace, length))?;
    measure(&stack, nic, "TCP in", || inward(&stack, &namespace, length))?;
    measure(&stack, nic, "ping, 10,000 round trips", || pings(&stack))
}

/// A stack with its card on that TAP.
fn stack_on(options: &Options, tap: Tap) -> Result<Stack> {
    let machine = MachineSpec::new()
        .named("bench")
        .nic(options.nic.unwrap_or_default().on(Netdev::Tap(tap)));
    let address = StaticAddress {
        address: OURS.to_string(),
        prefix_length: 24,
        gateway: Some(LINUX.to_string()),
        name_server: None,
    };
    let level = options.level.min(log::LevelFilter::Info);
    let spec = StackSpec::new(machine.without_capture())
        .address(address)
        .log_level(level);
    Stack::start(spec)
}

/// Runs one measurement and prints its result with the frames and the CPU time that it took.
fn measure(
    stack: &Stack,
    nic: Nic,
    name: &str,
    run: impl FnOnce() -> Result<String>,
) -> Result<()> {
    let (frames, cpu) = (frames(stack)?, cpu_seconds());
    let result = run()?;
    let frames = self::frames(stack)?.saturating_sub(frames);
    let spent = cpu_seconds_since(&cpu);
    let each = daemons(nic).iter().map(|daemon| {
        let spent = spent.get(*daemon).unwrap_or(&0.0);
        format!("{:.2} µs", spent * 1e6 / frames.max(1) as f64)
    });
    println!(
        "{name:<28} {result:>12} {frames:>10} {:>44}",
        each.collect::<Vec<_>>().join(", ")
    );
    Ok(())
}

fn frames(stack: &Stack) -> Result<u64> {
    let text = stack.read("/scheme/netcfg/ifaces/eth0/stats")?;
    let value = |name: &str| -> Option<u64> {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    };
    let sum = value("driver.rx_frames ").zip(value("driver.tx_frames "));
    sum.map(|(rx, tx)| rx + tx)
        .context("the driver counts no frames")
}

fn listener(namespace: &Namespace) -> Result<TcpListener> {
    namespace
        .enter(|| TcpListener::bind((LINUX, PORT)))?
        .context("the peer's port")
}

fn rate(bytes: u64, time: Duration) -> String {
    format!("{:.1} MB/s", bytes as f64 / 1e6 / time.as_secs_f64())
}

fn out(stack: &Stack, namespace: &Namespace, length: u64) -> Result<String> {
    let listener = listener(namespace)?;
    std::thread::scope(|scope| {
        let sink = scope.spawn(move || -> std::io::Result<u64> {
            let (mut stream, _) = listener.accept()?;
            let (mut buffer, mut count) = (vec![0; CHUNK], 0);
            loop {
                match stream.read(&mut buffer)? {
                    0 => return Ok(count),
                    n => count += n as u64,
                }
            }
        });
        let _here = stack.enter("sender");
        let connection = OpenedFile::connect((LINUX, PORT).into()).context("connecting")?;
        let started = Instant::now();
        let block = vec![0x5a; CHUNK];
        for _ in 0..length / CHUNK as u64 {
            connection.write_all(&block).context("sending")?;
        }
        drop(connection);
        let count = sink.join().map_err(|_| Error::new("the sink panicked"))??;
        match count == length {
            true => Ok(rate(count, started.elapsed())),
            false => Err(Error::new(format!("{count} of {length} bytes arrived"))),
        }
    })
}

fn inward(stack: &Stack, namespace: &Namespace, length: u64) -> Result<String> {
    let listener = listener(namespace)?;
    std::thread::scope(|scope| {
        scope.spawn(move || -> std::io::Result<()> {
            let (mut stream, _) = listener.accept()?;
            let block = vec![0x5a; CHUNK];
            for _ in 0..length / CHUNK as u64 {
                stream.write_all(&block)?;
            }
            Ok(())
        });
        let _here = stack.enter("receiver");
        let connection = OpenedFile::connect((LINUX, PORT).into()).context("connecting")?;
        let started = Instant::now();
        let (mut buffer, mut count) = (vec![0; CHUNK], 0);
        loop {
            match connection.read(&mut buffer).context("receiving")? {
                0 => break,
                n => count += n as u64,
            }
        }
        match count == length {
            true => Ok(rate(count, started.elapsed())),
            false => Err(Error::new(format!("{count} of {length} bytes arrived"))),
        }
    })
}

fn pings(stack: &Stack) -> Result<String> {
    let done = stack.command(&format!("ping -c 10000 -i 0 {LINUX}"));
    done.result.context("ping")?;
    let text = String::from_utf8_lossy(&done.out).into_owned();
    let line = text.lines().last().unwrap_or_default();
    let mean = line
        .split(" = ")
        .nth(1)
        .and_then(|times| times.split('/').nth(1));
    mean.map(|mean| format!("{mean} ms")).context(line)
}
