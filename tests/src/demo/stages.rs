//! `./demo`: every stage from the card to an accepted connection, on a network that the lab brings along.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use commands::Terminal;
use lab::machine::MachineSpec;
use lab::network::{Netdev, Tap};
use lab::peers::{AUTHORITY, PAGE};
use lab::{Context, Error, Result, Stack, StackSpec, Surroundings, Table};
use redox_host::ProcessSpec;

use crate::net6;
use crate::options::{Net, Nic, Options};
use crate::session::{keep_pcap, with_address};

const STAGE: Duration = Duration::from_secs(5);
const NAME: &str = Surroundings::NAME;
const FORWARDED_PORT: u16 = 7007;
const LISTENING_PORT: u16 = 7;
const GREETING: &str = "hello from the host\n";

/// All stages, for the card that the user named or for each kind, one after the other.
pub(crate) fn run(options: &Options) -> Result<()> {
    let Some(nic) = options.nic else {
        let virtio = run_on(Nic::Virtio, options);
        println!();
        // The packets of each have a file of their own.
        let mut second = options.clone();
        if let Some(path) = &mut second.pcap {
            path.as_mut_os_string().push(".rndis");
        }
        return virtio.and(run_on(Nic::Rndis, &second));
    };
    run_on(nic, options)
}

fn run_on(nic: Nic, options: &Options) -> Result<()> {
    let surroundings = Surroundings::new()?;
    let netdev = match &options.net {
        Net::User => {
            let slirp = options.slirp().inside(&surroundings.namespace);
            Netdev::Slirp(slirp.forward_tcp(FORWARDED_PORT, LISTENING_PORT))
        }
        Net::Tap(name) => Netdev::Tap(Tap::existing(name)),
    };
    let machine = MachineSpec::new().named("demo").nic(nic.on(netdev));
    let spec = with_address(StackSpec::new(machine), options);
    let mut table = Table::new(match nic {
        Nic::Virtio => "QEMU's virtio-net, driven by virtio-netd, with smolnetd above it",
        Nic::Rndis => "QEMU's usb-net, driven by usb-rndisd, with smolnetd above it",
    });
    let mut started = None;
    table.stage("device up", || {
        let mut stack = Stack::start_hardware(spec)?;
        match nic {
            Nic::Virtio => drop(stack.start_driver(0)?),
            Nic::Rndis => stack.start_xhcid()?,
        }
        let names = stack.command("ls /scheme");
        let names = String::from_utf8_lossy(&names.out).into_owned();
        let adapter = names.lines().find(|name| name.starts_with("network."));
        let adapter = adapter.context("the driver serves no adapter")?.to_owned();
        started = Some(stack);
        Ok(adapter.trim_end_matches('/').to_owned())
    })?;
    let mut stack = started.context("the stack")?;
    let result = stages(&mut table, &mut stack, &surroundings, &options.net)
        .and_then(|()| stages_of_ipv6(&mut table, &stack, options));
    keep_pcap(&stack, options)?;
    report(&stack, result, &table)
}

fn stages(
    table: &mut Table,
    stack: &mut Stack,
    surroundings: &Surroundings,
    net: &Net,
) -> Result<()> {
    table.stage("link up", || {
        stack.start_smolnetd()?;
        let text = stack.wait_for(&eth0("link"), STAGE, |text| text.starts_with("up"))?;
        Ok(format!(
            "eth0 {}, {}",
            text.trim(),
            stack.read(&eth0("mac"))?.trim()
        ))
    })?;
    table.stage("address (DHCP)", || stack.wait_for_ipv4("eth0", STAGE))?;
    let gateway = gateway(stack)?;
    table.stage("gateway resolved", || resolve(stack, &gateway))?;
    table.stage("ping 127.0.0.1", || {
        last_line(stack, "ping -c 3 -i 0.01 127.0.0.1")
    })?;
    table.stage("ping gateway", || {
        last_line(stack, &format!("ping -c 3 -i 0.01 {gateway}"))
    })?;
    if *net != Net::User {
        return Ok(());
    }
    table.stage("name resolved", || {
        let text = output(stack, &format!("dns {NAME}"))?;
        let addresses: Vec<&str> = text.lines().collect();
        Ok(format!("{NAME} is {}", addresses.join(", ")))
    })?;
    table.stage("page over HTTP", || page(stack, "http"))?;
    stack.trust(AUTHORITY.as_bytes())?;
    table.stage("page over HTTPS", || page(stack, "https"))?;
    table.stage("connection accepted", || accept(stack, surroundings))
}

/// Fetches the page of the lab's web server.
fn page(stack: &Stack, scheme: &str) -> Result<String> {
    let page = output(stack, &format!("curl -s -f {scheme}://{NAME}/"))?;
    match page == PAGE {
        true => Ok(format!("{} bytes", page.len())),
        false => Err(Error::new(format!(
            "not the page that was served: {page:?}"
        ))),
    }
}

/// IPv6 where it is known to be: on the user network unless it was turned off, and on a TAP if a router was heard of by
/// the time that IPv4's stages took. Where there is none, nothing waits for it.
fn stages_of_ipv6(table: &mut Table, stack: &Stack, options: &Options) -> Result<()> {
    let expected = match options.ipv6 {
        Some(wanted) => wanted,
        None => options.net == Net::User || net6::heard(stack),
    };
    match expected {
        true => net6::stages(
            table,
            stack,
            (options.net == Net::User).then_some((NAME, PAGE)),
        ),
        false => Ok(()),
    }
}

pub(crate) fn eth0(file: &str) -> String {
    format!("/scheme/netcfg/ifaces/eth0/{file}")
}

/// The default router, by the route table.
fn gateway(stack: &Stack) -> Result<String> {
    let routes = stack.read("/scheme/netcfg/route/list")?;
    let words = routes
        .lines()
        .filter_map(|line| line.strip_prefix("default via "))
        .find_map(|rest| rest.split(' ').next());
    words
        .map(str::to_owned)
        .context(format_args!("no default route in:\n{routes}"))
}

/// Sends one echo request, for which the gateway's Ethernet address must be found.
fn resolve(stack: &Stack, gateway: &str) -> Result<String> {
    output(stack, &format!("ping -c 1 {gateway}"))?;
    let neighbours = stack.read("/scheme/netcfg/neigh/list")?;
    let line = neighbours
        .lines()
        .find(|line| line.starts_with(&format!("{gateway} ")));
    line.map(str::to_owned).context(format_args!(
        "{gateway} is not among the neighbours:\n{neighbours}"
    ))
}

pub(crate) fn output(stack: &Stack, line: &str) -> Result<String> {
    let done = stack.command(line);
    let text = String::from_utf8_lossy(&done.out).into_owned();
    match done.result {
        Ok(()) => Ok(text),
        Err(error) => Err(Error::new(format!("{line}: {error}\n{text}"))),
    }
}

pub(crate) fn last_line(stack: &Stack, line: &str) -> Result<String> {
    let text = output(stack, line)?;
    Ok(text.lines().last().unwrap_or_default().to_owned())
}

/// `nc -l` in the stack, and a connection from the host: what the host says arrives.
fn accept(stack: &Stack, surroundings: &Surroundings) -> Result<String> {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let (ready, waiting) = channel();
    let mut out = Shared(heard.clone());
    let mut err = Announced(ready);
    let process = stack.host().spawn(ProcessSpec::new("nc"), move || {
        let mut terminal = Terminal {
            out: &mut out,
            err: &mut err,
            input: 0,
            seed: lab::seed(),
        };
        let arguments = ["-l".to_owned(), LISTENING_PORT.to_string()];
        i32::from(commands::run("nc", &arguments, &mut terminal).is_err())
    });
    waiting
        .recv_timeout(STAGE)
        .ok()
        .context("nc -l does not listen")?;
    let mut connection = surroundings
        .namespace
        .enter(|| TcpStream::connect((Ipv4Addr::LOCALHOST, FORWARDED_PORT)))?
        .context("connecting from the host")?;
    connection
        .set_read_timeout(Some(STAGE))
        .context("a timeout")?;
    connection
        .write_all(GREETING.as_bytes())
        .context("sending")?;
    connection
        .shutdown(std::net::Shutdown::Write)
        .context("ending the host's half")?;
    connection
        .read_to_end(&mut Vec::new())
        .context("the other half's end")?;
    process.wait(STAGE).context("nc does not end")?;
    let heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
    match heard.as_slice() == GREETING.as_bytes() {
        true => Ok(format!(
            "{} bytes from the host on port {LISTENING_PORT}",
            heard.len()
        )),
        false => Err(Error::new(format!(
            "heard {:?}",
            String::from_utf8_lossy(&heard)
        ))),
    }
}

/// Output that another thread reads.
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Output whose coming is the message: `nc` says that it listens.
struct Announced(Sender<()>);

impl Write for Announced {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        // Only the first is waited for.
        let _ = self.0.send(());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The end: where everything is kept, and on failure the counters that tell.
fn report(stack: &Stack, result: Result<()>, table: &Table) -> Result<()> {
    let run = stack.machine().run().path();
    let counters = stack.save_counters();
    if result.is_ok() {
        table.finish();
    } else if let Ok(counters) = counters {
        println!("\n  counters that are not zero:");
        for line in counters.lines().filter(|line| !line.ends_with(" 0")) {
            println!("    {line}");
        }
    }
    println!("  log, counters and packets: {}", run.display());
    result
}
