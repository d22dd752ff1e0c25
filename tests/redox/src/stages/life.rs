//! Daemons that are killed and started again, and adapters that come and go.

use std::time::Instant;

use lab::{Error, Result};

use super::commands::{COMMAND, find, last_line, successful, wait_for};
use crate::arguments::ADAPTER;
use crate::boot::Redox;
use crate::recovery::{end, kill, processes};

const ADDRESSES: &str = "net cat /scheme/netcfg/ifaces/eth0/addr/list";
const DRIVER: &str = "/usr/lib/drivers/network/virtio-netd";
/// A call that waits in smolnetd when that is killed.
const WAITING: &str = "net nc -l 9 > /tmp/waiting &";

/// The adapter as it is seen from above: all names, the first one's address of the card and of IPv4.
#[derive(PartialEq, Eq)]
struct Seen {
    names: String,
    mac: String,
    address: String,
}

fn look<L: FnMut(&str)>(redox: &mut Redox<L>) -> Result<Seen> {
    let names = successful(redox, "net ls /scheme/netcfg/ifaces", COMMAND)?.output;
    let mac = "net cat /scheme/netcfg/ifaces/eth0/mac";
    Ok(Seen {
        names,
        mac: successful(redox, mac, COMMAND)?.output,
        address: wait_for(redox, ADDRESSES, |text| find(text, "10.0.2."))?,
    })
}

/// What was there before is there again, and works.
fn is_as_before<L: FnMut(&str)>(redox: &mut Redox<L>, before: &Seen) -> Result<String> {
    wait_for(redox, "net cat /scheme/netcfg/ifaces/eth0/link", |text| {
        find(text, "up")
    })?;
    let after = look(redox)?;
    if after != *before {
        return Err(Error::new(format!(
            "{} {} {} before, {} {} {} after",
            before.names, before.mac, before.address, after.names, after.mac, after.address
        )));
    }
    last_line(redox, "ping -c 3 10.0.2.2")?;
    Ok(after.address)
}

/// The driver is killed while nothing is under way, and started again by pcid-spawner: the adapter is the same.
pub(super) fn driver_killed<L: FnMut(&str)>(redox: &mut Redox<L>) -> Result<String> {
    let before = look(redox)?;
    end(&mut redox.console, DRIVER)?;
    successful(redox, "pcid-spawner", COMMAND)?;
    let address = is_as_before(redox, &before)?;
    Ok(format!("eth0 is back, {address}"))
}

/// The driver is killed in the middle of a download. The server hears of it at once, and is not held up; the download goes
/// on over the driver that comes.
pub(super) fn driver_killed_under_load<L: FnMut(&str)>(
    redox: &mut Redox<L>,
    host: &str,
) -> Result<String> {
    let before = look(redox)?;
    let load = format!("net curl -s -o /dev/null http://{host}/bytes/1000000000 &");
    redox.console.run(&load, COMMAND)?;
    end(&mut redox.console, DRIVER)?;
    wait_for(redox, "net cat /scheme/netcfg/ifaces/eth0/link", |text| {
        find(text, "down")
    })?;
    successful(redox, "pcid-spawner", COMMAND)?;
    let address = is_as_before(redox, &before)?;
    let goes_on = !processes(&mut redox.console, "net")?.is_empty();
    kill(&mut redox.console, "net")?;
    Ok(format!(
        "down at once, and back, {address}; the download {}",
        match goes_on {
            true => "goes on",
            false => "has ended",
        }
    ))
}

/// The adapter is pulled out, by which xhcid ends its driver, and plugged in again: into the next port, as QEMU does it, so
/// that it is another one. (An xhcid that forgets nothing of an adapter that was pulled out may never answer again at its
/// old port.)
pub(super) fn adapter_unplugged<L: FnMut(&str)>(redox: &mut Redox<L>) -> Result<String> {
    redox.computer.command("device_del card0")?;
    wait_for(redox, "net cat /scheme/netcfg/ifaces/eth0/link", |text| {
        find(text, "down")
    })?;
    redox.computer.command(&format!("device_add {ADAPTER}"))?;
    let route = wait_for(redox, "net cat /scheme/netcfg/route/list", |text| {
        find(text, "default via 10.0.2.2 dev eth1")
    })?;
    last_line(redox, "ping -c 3 10.0.2.2")?;
    Ok(format!("down at once; in another port, {route}"))
}

/// The server is killed and started again: names, the adapter and its lease are the same. A call that waited in the
/// killed one is lost: the kernel never answers it, and its process has to be killed too.
pub(super) fn server_killed<L: FnMut(&str)>(redox: &mut Redox<L>) -> Result<String> {
    let before = look(redox)?;
    redox.console.run(WAITING, COMMAND)?;
    end(&mut redox.console, "smolnetd")?;
    let started = Instant::now();
    redox.console.run("smolnetd &", COMMAND)?;
    let address = wait_for(redox, ADDRESSES, |text| find(text, "10.0.2."))?;
    let time = started.elapsed();
    is_as_before(redox, &before)?;
    let waits = !processes(&mut redox.console, "net")?.is_empty();
    kill(&mut redox.console, "net")?;
    Ok(format!(
        "{address} again after {:.1} s; a call that waited {}",
        time.as_secs_f64(),
        match waits {
            true => "waits on until it is killed",
            false => "has ended",
        }
    ))
}
