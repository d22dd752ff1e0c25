//! The stages of IPv6: device, router advertisement, address, neighbour, echo; then names and a page.
//!
//! Each of the first waits only for what is still missing: on a network whose router answers, that is the second or two
//! that duplicate address detection takes (RFC 4862 section 5.4).

use std::time::Duration;

use lab::{Context, Error, Result, Stack};

use crate::stages::{eth0, last_line, output};
use lab::Table;

/// Two detections one after the other, each of a second, and the router's leisure (RFC 4861 section 6.2.6).
const PATIENCE: Duration = Duration::from_secs(10);
const ROUTES: &str = "/scheme/netcfg/route/list";

/// Has a router of the network been heard of?
pub(crate) fn heard(stack: &Stack) -> bool {
    stack
        .read(ROUTES)
        .is_ok_and(|routes| default_route(&routes).is_some())
}

/// The first default route that a router advertised.
fn default_route(routes: &str) -> Option<&str> {
    routes.lines().find(|line| {
        let learned = line.ends_with(" ra");
        learned && line.starts_with("default via ") && line.contains(':')
    })
}

/// From the device to an answer of the router; `name` is a name with an IPv6 address whose web server has `page`.
pub(crate) fn stages(table: &mut Table, stack: &Stack, name: Option<(&str, &str)>) -> Result<()> {
    table.stage("IPv6: device", || device(stack))?;
    let router = advertisement(table, stack)?;
    table.stage("IPv6: address", || {
        let address = stack.wait_for_ipv6("eth0", PATIENCE)?;
        Ok(format!(
            "{address}; {}",
            counted(stack, &["dad_tx_solicitations"])?
        ))
    })?;
    table.stage("IPv6: neighbour", || neighbour(stack, &router))?;
    table.stage("IPv6: echo", || {
        last_line(stack, &format!("ping6 -c 3 -i 0.01 {router}%eth0"))
    })?;
    let Some((name, page)) = name else {
        return Ok(());
    };
    table.stage("IPv6: name servers", || name_servers(stack))?;
    table.stage("IPv6: ping by name", || {
        last_line(stack, &format!("ping6 -c 3 -i 0.01 {name}"))
    })?;
    table.stage("IPv6: page over HTTP", || {
        let fetched = output(stack, &format!("curl -6 -s -f http://{name}/"))?;
        match fetched == page {
            true => Ok(format!("{} bytes", page.len())),
            false => Err(Error::new(format!(
                "not the page that was served: {fetched:?}"
            ))),
        }
    })
}

/// The adapter speaks IPv6: it has a link-local address, though perhaps nobody has been asked about it yet.
fn device(stack: &Stack) -> Result<String> {
    let own = |text: &str| text.contains("fe80::");
    let list = stack.wait_for(&eth0("addr/list"), PATIENCE, own)?;
    let line = list.lines().find(|line| line.starts_with("fe80::"));
    let words: Vec<&str> = line.unwrap_or_default().split(' ').take(2).collect();
    Ok(format!("eth0 {}", words.join(" ")))
}

/// Waits for a router; its address.
fn advertisement(table: &mut Table, stack: &Stack) -> Result<String> {
    let mut router = None;
    table.stage("IPv6: router advertisement", || {
        let heard = |text: &str| default_route(text).is_some();
        let routes = stack.wait_for(ROUTES, PATIENCE, heard)?;
        let line = default_route(&routes).context("a default route")?;
        router = line.split(' ').nth(2).map(str::to_owned);
        Ok(format!("{line}; {}", counted(stack, &["rs_tx", "ra_rx"])?))
    })?;
    router.context("the default route has no gateway")
}

/// Sends one echo request, for which the router's Ethernet address must be known.
fn neighbour(stack: &Stack, router: &str) -> Result<String> {
    output(stack, &format!("ping6 -c 1 {router}%eth0"))?;
    let neighbours = stack.read("/scheme/netcfg/neigh/list")?;
    let mut lines = neighbours.lines();
    let line = lines.find(|line| line.starts_with(&format!("{router} ")));
    line.map(str::to_owned).context(format_args!(
        "{router} is not among the neighbours:\n{neighbours}"
    ))
}

/// A router named one (RFC 8106), or the DHCPv6 server did (RFC 8415 section 18.2.6).
fn name_servers(stack: &Stack) -> Result<String> {
    let path = "/scheme/netcfg/resolv/nameserver";
    let text = stack.wait_for(path, PATIENCE, |text| text.contains(':'))?;
    Ok(text.lines().collect::<Vec<_>>().join(", "))
}

/// Counters of the adapter, by the ends of their names: "rs_tx 1, ra_rx 1".
fn counted(stack: &Stack, names: &[&str]) -> Result<String> {
    let stats = stack.read(&eth0("stats"))?;
    let wanted = |line: &&str| {
        let name = line.split(' ').next().unwrap_or_default();
        names.contains(&name)
    };
    Ok(stats.lines().filter(wanted).collect::<Vec<_>>().join(", "))
}
