//! Boots with less than a network: the prompt comes as fast, and the schemes are there.

use std::sync::Arc;
use std::time::Duration;

use lab::{Error, Result, RunDirectory, Surroundings, Table};

use crate::arguments::{ADAPTER, Network, Nic};
use crate::boot::{self, Redox, Spec};
use crate::recovery::Login;
use crate::stages;
use crate::stages::commands::{COMMAND, contains, find, last_line, successful, wait_for};

/// How a boot differs from one with a card at a network.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lack {
    Nothing,
    Card,
    Dhcp,
    Cable,
    /// The card comes once the prompt is there.
    CardYet,
}

impl Lack {
    fn title(self) -> &'static str {
        match self {
            Lack::Nothing => "boot with a card",
            Lack::Card => "boot without a card",
            Lack::Dhcp => "boot without DHCP",
            Lack::Cable => "boot without a cable",
            Lack::CardYet => "boot, card plugged later",
        }
    }
}

/// Boots once for each thing that may lack. `user` logs in in the first one.
pub(crate) fn all(
    table: &mut Table,
    spec: &Spec<'_>,
    surroundings: &Surroundings,
    run: &Arc<RunDirectory>,
    user: &Login,
) -> Vec<Error> {
    let mut failed = Vec::new();
    let mut usual = None;
    for lack in [
        Lack::Nothing,
        Lack::Card,
        Lack::Dhcp,
        Lack::Cable,
        Lack::CardYet,
    ] {
        let result = table.stage(lack.title(), || {
            let (time, seen) = one(lack, spec, surroundings, run, user)?;
            let seconds = time.as_secs_f64();
            let usual = *usual.get_or_insert(seconds);
            let times = seconds / usual;
            Ok(format!(
                "prompt after {seconds:.1} s, {times:.2} times that with a card; {seen}"
            ))
        });
        failed.extend(result.err());
    }
    failed
}

/// One boot: the time to the prompt, and what was seen there.
fn one(
    lack: Lack,
    spec: &Spec<'_>,
    surroundings: &Surroundings,
    run: &Arc<RunDirectory>,
    user: &Login,
) -> Result<(Duration, String)> {
    let spec = Spec {
        nic: match lack {
            Lack::Card => Nic::None,
            Lack::CardYet => Nic::Later,
            Lack::Nothing | Lack::Dhcp | Lack::Cable => spec.nic,
        },
        network: match lack {
            Lack::Dhcp => Network::Silent,
            _ => spec.network,
        },
        login: match lack {
            Lack::Nothing => user,
            _ => spec.login,
        },
        ..*spec
    };
    let mut redox = boot::start(&spec, &surroundings.namespace, run, "boots.pcap")?;
    if lack == Lack::Cable {
        redox.computer.command("set_link net0 off")?;
    }
    let time = redox.boot()?;
    let seen = at_the_prompt(&mut redox, lack)?;
    Ok((time, seen))
}

/// What works right at the prompt, and what comes when what lacked is there.
fn at_the_prompt<L: FnMut(&str)>(redox: &mut Redox<L>, lack: Lack) -> Result<String> {
    last_line(redox, "ping -c 1 127.0.0.1")?;
    let refused = redox
        .console
        .run("net curl -s http://127.0.0.1:9/", COMMAND)?;
    contains(&refused, "efused")?;
    if lack == Lack::Nothing {
        return Ok("a user's ping and tcp work".to_owned());
    }
    stages::schemes(redox)?;
    let address = "net cat /scheme/netcfg/ifaces/eth0/addr/list";
    let leased = |text: &str| find(text, "10.0.2.");
    match lack {
        Lack::Nothing | Lack::Card => {
            let names = successful(redox, "net ls /scheme/netcfg/ifaces", COMMAND)?;
            Ok(format!("adapters: {}", names.output.trim()))
        }
        Lack::Dhcp => {
            let done = successful(redox, address, COMMAND)?;
            contains(&done, "Not configured")
        }
        Lack::Cable => {
            wait_for(redox, "net cat /scheme/netcfg/ifaces/eth0/link", |text| {
                find(text, "down")
            })?;
            redox.computer.command("set_link net0 on")?;
            let address = wait_for(redox, address, leased)?;
            Ok(format!("down; plugged in, {address}"))
        }
        Lack::CardYet => {
            redox.computer.command(&format!("device_add {ADAPTER}"))?;
            let address = wait_for(redox, address, leased)?;
            Ok(format!("plugged in, {address}"))
        }
    }
}
