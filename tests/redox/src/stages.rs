//! The stages: those of `./demo`, with the commands of the image where it has them.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use lab::network::Namespace;
use lab::peers::{PAGE, sha256_of_pattern};
use lab::{Context, Error, Result, Surroundings, Table};

use crate::arguments::Nic;
use crate::boot::Redox;
use crate::recovery::Login;
use commands::{COMMAND, contains, find, last_line, rate, same, successful, wait_for};

pub(crate) mod commands;
mod life;
mod netcat;

/// How long a transfer may take.
const TRANSFER: Duration = Duration::from_secs(120);
/// How long the test of sockets may take: some hundred cases, some of which wait for something.
const SOCKETS: Duration = Duration::from_secs(900);
/// How many of its failures are shown.
const SHOWN: usize = 10;
const NAME: &str = Surroundings::NAME;
/// A port of the host's loopback that leads to one of Redox.
pub(crate) const FORWARD: (u16, u16) = (7007, 7);
const GREETING: &str = "hello from the host\n";

/// What the stages are to be gone through with.
pub(crate) struct Plan<'a> {
    pub(crate) nic: Nic,
    /// What redox-host printed.
    pub(crate) transcript: &'a Path,
    /// Where to keep what Redox prints.
    pub(crate) kept: &'a Path,
    /// And what the test of sockets prints.
    pub(crate) sockets: &'a Path,
    pub(crate) root: &'a Login,
    pub(crate) user: &'a Login,
}

/// How much is transferred: xhcid looks at its transfers 500 times a second, a frame each.
pub(crate) fn megabytes(nic: Nic) -> u64 {
    match nic {
        Nic::Rndis => 2,
        _ => 20,
    }
}

/// Goes through all stages after the boot. A stage that fails does not keep the others from being seen; what failed is
/// given back.
pub(crate) fn all<L: FnMut(&str)>(
    table: &mut Table,
    redox: &mut Redox<L>,
    surroundings: &Surroundings,
    plan: &Plan<'_>,
) -> Vec<Error> {
    let host = &surroundings.namespace;
    let megabytes = megabytes(plan.nic);
    let bytes = megabytes * 1_000_000;
    let (mut failed, mut last) = (Vec::new(), String::new());
    let mut stage = |name: &str, run: &mut dyn FnMut(&mut Redox<L>) -> Result<String>| {
        if !redox.console.is_over() {
            failed.extend(one(table, redox, name, run).err());
            last = name.to_owned();
        }
    };
    stage("schemes at the prompt", &mut schemes);
    stage("adapter", &mut |r| {
        wait_for(r, "net ls /scheme", |text| find(text, "network."))
    });
    stage("link up", &mut |r| {
        wait_for(r, "net cat /scheme/netcfg/ifaces/eth0/link", |text| {
            find(text, "up")
        })
    });
    stage("address (DHCP)", &mut |r| {
        wait_for(r, "net cat /scheme/netcfg/ifaces/eth0/addr/list", |text| {
            find(text, "10.0.2.")
        })
    });
    stage("ping 127.0.0.1", &mut |r| {
        last_line(r, "ping -c 3 127.0.0.1")
    });
    stage("ping gateway", &mut |r| last_line(r, "ping -c 3 10.0.2.2"));
    stage("IPv6: router", &mut |r| {
        wait_for(r, "net cat /scheme/netcfg/route/list", |text| {
            find(text, "default via fe80::")
        })
    });
    stage("IPv6: ping router", &mut |r| {
        last_line(r, "net ping6 -c 3 fe80::2%eth0")
    });
    stage("name resolved", &mut |r| {
        let done = successful(r, &format!("dns {NAME}"), COMMAND)?;
        contains(&done, "10.0.2.2")
    });
    stage("ifconfig", &mut |r| {
        let done = successful(r, "ifconfig", COMMAND)?;
        // Upstream's takes an adapter with more than one address for one with a bad address, and says so.
        match done.output.contains("Skipping interface 'eth0'") {
            true => Ok("runs, but skips eth0: it knows one address an adapter".to_owned()),
            false => contains(&done, "10.0.2.15"),
        }
    });
    stage("page over HTTP", &mut |r| {
        let done = successful(r, &format!("net curl -s -f http://{NAME}/"), COMMAND)?;
        same(&done.output, PAGE)
    });
    stage(&format!("{megabytes} MB down"), &mut |r| {
        let command = format!("net curl -s -f -o /tmp/large http://{NAME}/bytes/{bytes}");
        Ok(rate(bytes, &successful(r, &command, TRANSFER)?))
    });
    stage(&format!("{megabytes} MB up, SHA-256"), &mut |r| {
        let command = format!("net curl -s -f -T /tmp/large http://{NAME}/upload");
        let done = successful(r, &command, TRANSFER)?;
        contains(&done, &sha256_of_pattern(bytes))?;
        Ok(rate(bytes, &done))
    });
    stage("connection accepted", &mut |r| accept(r, host));
    stage("nc to the host", &mut |r| netcat::out(r, host));
    stage("nc from the host", &mut |r| netcat::inward(r, host));
    for file in [
        "stats",
        "neigh/list",
        "resolv/nameserver",
        "ifaces/eth0/stats",
    ] {
        stage(&format!("netcfg/{file}"), &mut |r| {
            let command = format!("net cat /scheme/netcfg/{file}");
            let lines = successful(r, &command, COMMAND)?.output.lines().count();
            match lines {
                0 => Err(Error::new("nothing in it")),
                lines => Ok(format!("{lines} lines")),
            }
        });
    }
    stage("transcript", &mut |r| {
        compare(r, plan.transcript, plan.kept)
    });
    stage("a user's shell", &mut |r| user(r, plan.user, plan.root));
    if plan.nic != Nic::Rndis {
        stage("kill -9 of the driver", &mut life::driver_killed);
        stage("kill -9 of it under load", &mut |r| {
            life::driver_killed_under_load(r, NAME)
        });
    }
    stage("kill -9 of smolnetd", &mut life::server_killed);
    if plan.nic == Nic::Rndis {
        stage("unplugged and back", &mut life::adapter_unplugged);
    }
    // The last one: what hangs in the kernel there may hold up others.
    stage("sockets", &mut |r| sockets(r, plan.sockets));
    if redox.console.is_over() {
        let over = format!("the time for everything was over in stage \"{last}\"");
        failed.push(Error::new(over));
    }
    failed
}

/// One stage. What does not end is ended, so that the next one finds a prompt.
fn one<L: FnMut(&str)>(
    table: &mut Table,
    redox: &mut Redox<L>,
    name: &str,
    run: &mut dyn FnMut(&mut Redox<L>) -> Result<String>,
) -> Result<()> {
    table.stage(name, || {
        let result = run(redox);
        if redox.console.running().is_none() {
            return result;
        }
        let how = redox.recover();
        let error = result.err().map_or_else(String::new, |e| e.to_string());
        Err(Error::new(match how {
            Ok(how) => format!("{error}; it was {how}"),
            Err(lost) => format!("{error}; and the console is lost: {lost}"),
        }))
    })
}

/// Somebody who is not root uses the network, and changes nothing of it.
fn user<L: FnMut(&str)>(redox: &mut Redox<L>, user: &Login, root: &Login) -> Result<String> {
    redox.become_user(user)?;
    let used = use_it(redox);
    redox.become_user(root)?;
    used
}

fn use_it<L: FnMut(&str)>(redox: &mut Redox<L>) -> Result<String> {
    last_line(redox, "ping -c 1 10.0.2.2")?;
    let done = successful(redox, &format!("net curl -s -f http://{NAME}/"), COMMAND)?;
    // Where the console is the kernel's, too, its words may come in between.
    contains(&done, "<title>The lab</title>")?;
    let write = "net write /scheme/netcfg/resolv/nameserver 9.9.9.9";
    let done = redox.console.run(write, COMMAND)?;
    match done.status {
        0 => Err(Error::new("a user has changed the name server")),
        _ => {
            let said = done.output.lines().next().unwrap_or_default();
            Ok(format!("ping, a page; {said}"))
        }
    }
}

/// Every scheme is there when the first prompt is, whatever the adapter does.
pub(crate) fn schemes<L: FnMut(&str)>(redox: &mut Redox<L>) -> Result<String> {
    let done = successful(redox, "net ls /scheme", COMMAND)?;
    let names: Vec<&str> = done
        .output
        .split_whitespace()
        .map(|name| name.trim_end_matches('/'))
        .collect();
    let wanted = ["ip", "icmp", "tcp", "udp", "netcfg"];
    match wanted.iter().find(|name| !names.contains(*name)) {
        None => Ok(wanted.join(", ")),
        Some(missing) => Err(Error::new(format!(
            "no {missing} among {}",
            names.join(", ")
        ))),
    }
}

/// `nc -l` in Redox, and a connection from the host: what the host says arrives.
fn accept<L: FnMut(&str)>(redox: &mut Redox<L>, host: &Namespace) -> Result<String> {
    let (port, guest) = FORWARD;
    redox.console.start(&format!("net nc -l {guest}"))?;
    redox.console.expect(
        &format!("waiting on port {guest}"),
        Instant::now() + COMMAND,
    )?;
    let mut connection = host
        .enter(|| TcpStream::connect((Ipv4Addr::LOCALHOST, port)))?
        .context("connecting from the host")?;
    connection.set_read_timeout(Some(COMMAND))?;
    connection.write_all(GREETING.as_bytes())?;
    connection.shutdown(std::net::Shutdown::Write)?;
    // nc ends when its own input does, which is the terminal's end (RFC 20: EOT).
    redox
        .console
        .expect(GREETING.trim_end(), Instant::now() + COMMAND)?;
    drop(connection.read(&mut [0; 1]));
    redox.console.finish(COMMAND)?;
    Ok(format!(
        "{} bytes from the host on port {guest}",
        GREETING.len()
    ))
}

/// Runs the transcript program; keeps what it printed, and compares it with what redox-host prints.
fn compare<L: FnMut(&str)>(redox: &mut Redox<L>, expected: &Path, kept: &Path) -> Result<String> {
    let done = successful(redox, "transcript", TRANSFER)?;
    std::fs::write(kept, &done.output).context(kept.display())?;
    let expected = std::fs::read_to_string(expected).context(expected.display())?;
    match differences(&done.output, &expected).as_slice() {
        [] => Ok(format!(
            "{} lines as on redox-host",
            expected.lines().count()
        )),
        [first, rest @ ..] => Err(Error::new(format!(
            "{first} (and {} more lines differ)",
            rest.len()
        ))),
    }
}

/// Runs the test program of sockets, by way of the image's C library; keeps what it printed. What it knows of Redox's
/// differences is in `tests/sockets/differences-redox`.
fn sockets<L: FnMut(&str)>(redox: &mut Redox<L>, kept: &Path) -> Result<String> {
    let command = "sockets --differences /usr/share/sockets/differences 10.0.2.2";
    let done = redox.console.run(command, SOCKETS)?;
    std::fs::write(kept, &done.output).context(kept.display())?;
    let sum = done
        .output
        .lines()
        .map(str::trim)
        .rfind(|line| !line.is_empty());
    match done.status {
        0 => Ok(sum.unwrap_or_default().to_owned()),
        _ => {
            let failed = done.output.lines().filter(|line| line.starts_with("FAIL"));
            let lines: Vec<&str> = failed.take(SHOWN).collect();
            Err(Error::new(format!(
                "{}: {}",
                sum.unwrap_or_default(),
                lines.join("; ")
            )))
        }
    }
}

/// Each line that differs, in words.
fn differences(redox: &str, host: &str) -> Vec<String> {
    let (mut redox, mut host) = (
        redox.lines().map(str::trim_end),
        host.lines().map(str::trim_end),
    );
    let mut differences = Vec::new();
    for number in 1.. {
        match (redox.next(), host.next()) {
            (None, None) => break,
            (a, b) if a == b => {}
            (a, b) => differences.push(format!(
                "line {number}: Redox says {:?}, redox-host {:?}",
                a.unwrap_or("nothing"),
                b.unwrap_or("nothing")
            )),
        }
    }
    differences
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transcripts_are_compared_line_by_line() {
        assert!(differences("a\r\nb\n", "a\nb").is_empty());
        assert_eq!(
            differences("a\nx\nc\nd", "a\nb\nc"),
            [
                "line 2: Redox says \"x\", redox-host \"b\"",
                "line 4: Redox says \"d\", redox-host \"nothing\"",
            ]
        );
    }
}
