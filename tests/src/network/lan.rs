//! A LAN of Linux machines: a switch with the stack's TAP in one port, and routers, each a namespace of its own, in
//! others.

use std::time::Duration;

use super::{Namespace, Tap, TapSpec};
use crate::error::{Context, Result};
use crate::process::Program;

const START: Duration = Duration::from_secs(10);
/// The device of a machine that is plugged into the LAN.
pub const LAN_DEVICE: &str = "lan0";
/// The device of a router on its far side.
pub const WAN_DEVICE: &str = "wan0";

/// A switch, which is a bridge of Linux in a namespace where nobody lives.
#[derive(Clone, Debug)]
pub struct Lan {
    switch: Namespace,
    tap: Tap,
}

impl Lan {
    /// A switch with one TAP in it.
    pub fn new() -> Result<Self> {
        let switch = Namespace::new()?.without_ipv6()?;
        // Without snooping every port gets every group's frames: nothing is lost before somebody has joined.
        switch.ip("link add name switch type bridge mcast_snooping 0")?;
        switch.ip("link set switch up")?;
        let tap = Tap::create(
            &switch,
            &TapSpec {
                addresses: Vec::new(),
                ..TapSpec::default()
            },
        )?;
        switch.ip(&format!("link set dev {} master switch", tap.name()))?;
        Ok(Self { switch, tap })
    }

    /// Where the stack's card is plugged in.
    pub fn tap(&self) -> &Tap {
        &self.tap
    }

    /// Plugs `machine` in. `port` is a name that the switch gives to nobody else; the machine's device is
    /// [`LAN_DEVICE`] and has these addresses at once, without asking whether others have them.
    pub fn plug(&self, port: &str, machine: &Namespace, addresses: &[&str]) -> Result<()> {
        self.switch.cable(port, machine, LAN_DEVICE)?;
        self.switch
            .ip(&format!("link set dev {port} master switch"))?;
        machine.add_addresses(LAN_DEVICE, addresses)
    }

    /// Pulls the plug of `port`, or puts it back.
    pub fn set_plugged(&self, port: &str, plugged: bool) -> Result<()> {
        let state = if plugged { "up" } else { "down" };
        self.switch.ip(&format!("link set dev {port} {state}"))
    }
}

impl Namespace {
    /// Addresses of both families are usable as soon as they are given: no duplicate address detection.
    pub fn without_dad(self) -> Result<Self> {
        self.sysctl("ipv6/conf/default/accept_dad", "0")?;
        Ok(self)
    }

    /// Linux hands on what is not for itself, of both families.
    pub fn forwarding(self) -> Result<Self> {
        for name in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
            self.sysctl(name, "1")?;
        }
        // The way back may be another one.
        for scope in ["all", "default"] {
            self.sysctl(&format!("ipv4/conf/{scope}/rp_filter"), "0")?;
        }
        Ok(self)
    }

    /// A cable from `device` here to `other_device` in `other`, both up.
    pub fn cable(&self, device: &str, other: &Namespace, other_device: &str) -> Result<()> {
        let id = other.holder_id();
        self.ip(&format!(
            "link add {device} type veth peer name {other_device} netns {id}"
        ))?;
        self.ip(&format!("link set dev {device} up"))?;
        other.ip(&format!("link set dev {other_device} up"))
    }

    /// Gives a device addresses.
    pub fn add_addresses(&self, device: &str, addresses: &[&str]) -> Result<()> {
        for address in addresses {
            let dad = if address.contains(':') { " nodad" } else { "" };
            self.ip(&format!("address add {address} dev {device}{dad}"))?;
        }
        Ok(())
    }

    /// What leaves over `device` bears its address: network address translation of both families.
    pub fn masquerade(&self, device: &str) -> Result<()> {
        let rules = format!(
            "add table inet nat; \
             add chain inet nat out {{ type nat hook postrouting priority 100; }}; \
             add rule inet nat out oifname {device} masquerade"
        );
        Program::new("nft", "nftables")?
            .arg(rules)
            .inside(Some(self))
            .run(START)
            .context("network address translation")
            .map(drop)
    }
}
