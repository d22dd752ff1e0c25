//! What has to be there before the first daemon starts, and how its readiness is heard.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use libredox::Fd;
use netscheme::clock;
use netscheme::reactor::Reactor;
use redox_host::Host;
use syscall::flag::EventFlags;

use super::StaticAddress;
use crate::error::{Context, Error, Result};
use crate::machine::{INTERRUPT_LINES, Machine};
use crate::pcid::LegacyLine;

pub(super) fn write_configuration(
    root: &Path,
    address: Option<&StaticAddress>,
) -> std::io::Result<()> {
    let folder = root.join("etc/net");
    std::fs::create_dir_all(&folder)?;
    let Some(StaticAddress {
        address,
        prefix_length,
        gateway,
        name_server,
    }) = address
    else {
        return Ok(());
    };
    let bits = u32::MAX
        .checked_shl(32 - u32::from(*prefix_length).min(32))
        .unwrap_or(0);
    let mask = std::net::Ipv4Addr::from_bits(bits).to_string();
    let files = [
        ("ip", Some(address)),
        ("ip_subnet", Some(&mask)),
        ("ip_router", gateway.as_ref()),
        ("dns", name_server.as_ref()),
    ];
    for (name, content) in files {
        if let Some(content) = content {
            std::fs::write(folder.join(name), format!("{content}\n"))?;
        }
    }
    Ok(())
}

pub(super) fn connect_interrupts(
    machine: &Machine,
    host: &Arc<Host>,
    line: LegacyLine,
) -> Result<()> {
    host.irq().provide_msi_vectors(machine.msi_eventfds()?);
    for number in INTERRUPT_LINES {
        host.irq().connect_line(number, |_masked| {});
        if let LegacyLine::Phandle { controller } = line {
            host.irq()
                .connect_phandle(controller, &LegacyLine::cells(number), number);
        }
    }
    // Weak, for the host ends the machine's users and not the other way round.
    let weak = Arc::downgrade(host);
    machine.on_interrupt_line(move |number, raised| {
        let Some(host) = weak.upgrade() else { return };
        if raised {
            host.irq().raise_line(number)
        } else {
            host.irq().lower_line(number)
        }
    })
}

pub(super) fn open(path: &str, flags: usize) -> Result<Fd> {
    let flags = i32::try_from(flags).context(path)?;
    Fd::open(path, flags, 0).context(path)
}

pub(super) fn wait_for_byte(reader: &Fd, timeout: Duration) -> Result<()> {
    let mut reactor = Reactor::new().context("an event queue")?;
    reactor
        .watch(reader.raw(), 0, EventFlags::EVENT_READ)
        .context("a pipe")?;
    let mut events = Vec::new();
    reactor
        .wait(Some(clock::now().saturating_add(timeout)), &mut events)
        .context("a pipe")?;
    if events.is_empty() {
        return Err(Error::new(format!("not ready within {timeout:?}")));
    }
    match reader.read(&mut [0]).context("a pipe")? {
        0 => Err(Error::new("it ended")),
        _ => Ok(()),
    }
}
