//! The command line.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use lab::machine::NicSpec;
use lab::network::{Netdev, Slirp};

/// What `./demo --help` prints.
pub(crate) const USAGE: &str = "\
usage: ./demo [OPTIONS]                     run all stages and print a table
       ./demo [OPTIONS] COMMAND ARGUMENTS   run one command on a machine of its own
       ./demo [OPTIONS] shell               a prompt with these commands on one machine
       ./demo bench                         throughput and CPU time, with Linux on a TAP as the peer
       ./demo bench programs                curl, iperf3, scp, nginx and redis over smolnetd, and over Linux alone
       ./demo [OPTIONS] run -- PROGRAM ...  an unmodified Linux program whose sockets are smolnetd's: on the machine that
                                            is up, or on one of its own
       ./demo [OPTIONS] up                  a machine that stays; ./demo status tells of it, ./demo down ends it

commands: ping, ping6 [-c N] [-i S] [-s N] HOST  curl [-o FILE] [-T FILE] URL   dns NAME
          nc HOST PORT    nc -l PORT        cat PATH   ls PATH   write PATH TEXT

options:  --nic virtio|rndis    the network card: on PCI, or an adapter on USB. Without it the stages are run for both,
                                one after the other, and everything else on virtio
          --net user            QEMU's user network (the default); 10.0.2.2 is this machine
          --net tap:NAME        a TAP device that exists
          --ipv6 on|off         on the user network: whether it speaks IPv6 (it does); on a TAP: wait for a router
          --ip ADDRESS/LENGTH   a static address instead of DHCP
          --gw ADDRESS          the default router, with --ip
          --forward PORT:PORT   a TCP port of this machine that leads to one of the stack's (user network)
          --file FILE:PATH      puts a file of this machine there, for curl -T PATH
          --pcap FILE           also write the packets here
          --log LEVEL           what the daemons log: error, warn, info, debug (default) or trace";

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Help,
    Stages,
    Shell,
    Bench,
    BenchPrograms,
    /// A program of Linux and its arguments.
    Run(Vec<String>),
    Up,
    /// What `up` leaves running.
    Serve,
    Status,
    Down,
    /// A command and its arguments.
    Command(Vec<String>),
}

/// The network card.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Nic {
    #[default]
    Virtio,
    Rndis,
}

impl Nic {
    /// QEMU's card of that kind, plugged into `netdev`.
    pub(crate) fn on(self, netdev: Netdev) -> NicSpec {
        match self {
            Nic::Virtio => NicSpec::virtio(netdev),
            Nic::Rndis => NicSpec::rndis(netdev),
        }
    }
}

/// The network behind the card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Net {
    User,
    Tap(String),
}

/// The command line, understood.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) action: Action,
    /// The card, if the user names one.
    pub(crate) nic: Option<Nic>,
    pub(crate) net: Net,
    /// Whether there is IPv6, if the user says so.
    pub(crate) ipv6: Option<bool>,
    /// Address and prefix length.
    pub(crate) address: Option<(Ipv4Addr, u8)>,
    pub(crate) gateway: Option<Ipv4Addr>,
    /// Ports of this machine and of the stack.
    pub(crate) forwards: Vec<(u16, u16)>,
    /// Files of this machine, and where the stack's machine has them.
    pub(crate) files: Vec<(PathBuf, String)>,
    pub(crate) pcap: Option<PathBuf>,
    pub(crate) level: log::LevelFilter,
}

impl Options {
    /// Understands the arguments, or says in words what is wrong with them.
    pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Options, String> {
        let mut options = Options {
            action: Action::Stages,
            nic: None,
            net: Net::User,
            ipv6: None,
            address: None,
            gateway: None,
            forwards: Vec::new(),
            files: Vec::new(),
            pcap: None,
            level: log::LevelFilter::Debug,
        };
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            if !argument.starts_with('-') {
                let words: Vec<String> = core::iter::once(argument).chain(arguments).collect();
                options.action = match words.as_slice() {
                    [word] if word == "shell" => Action::Shell,
                    [word] if word == "bench" => Action::Bench,
                    [word, what] if word == "bench" && what == "programs" => Action::BenchPrograms,
                    [word] if word == "up" => Action::Up,
                    [word] if word == "serve" => Action::Serve,
                    [word] if word == "status" => Action::Status,
                    [word] if word == "down" => Action::Down,
                    [run, dashes, program @ ..] if run == "run" && dashes == "--" => {
                        Action::Run(program.to_vec())
                    }
                    [run, program @ ..] if run == "run" => Action::Run(program.to_vec()),
                    _ => Action::Command(words),
                };
                break;
            }
            if matches!(argument.as_str(), "-h" | "--help") {
                options.action = Action::Help;
                return Ok(options);
            }
            let value = arguments
                .next()
                .ok_or_else(|| format!("{argument} needs a value\n\n{USAGE}"))?;
            options
                .set(&argument, &value)
                .ok_or_else(|| format!("{argument} {value} makes no sense\n\n{USAGE}"))?;
        }
        if matches!(&options.action, Action::Run(program) if program.is_empty()) {
            return Err(format!("run what?\n\n{USAGE}"));
        }
        if options.gateway.is_some() && options.address.is_none() {
            return Err(format!("--gw goes with --ip\n\n{USAGE}"));
        }
        Ok(options)
    }

    /// The user network that was asked for.
    pub(crate) fn slirp(&self) -> Slirp {
        match self.ipv6 {
            Some(false) => Slirp::new().without_ipv6(),
            _ => Slirp::new(),
        }
    }

    fn set(&mut self, name: &str, value: &str) -> Option<()> {
        match name {
            "--nic" => {
                self.nic = Some(match value {
                    "virtio" => Nic::Virtio,
                    "rndis" => Nic::Rndis,
                    _ => return None,
                });
            }
            "--net" => {
                self.net = match value.strip_prefix("tap:") {
                    Some(device) if !device.is_empty() => Net::Tap(device.into()),
                    None if value == "user" => Net::User,
                    _ => return None,
                };
            }
            "--ipv6" => {
                self.ipv6 = match value {
                    "on" => Some(true),
                    "off" => Some(false),
                    _ => return None,
                };
            }
            "--ip" => {
                let (address, length) = value.split_once('/')?;
                let length = length.parse().ok().filter(|n| (1..=32).contains(n))?;
                self.address = Some((address.parse().ok()?, length));
            }
            "--gw" => self.gateway = Some(value.parse().ok()?),
            "--forward" => {
                let (here, there) = value.split_once(':')?;
                self.forwards
                    .push((here.parse().ok()?, there.parse().ok()?));
            }
            "--file" => {
                let (here, there) = value.rsplit_once(":/")?;
                self.files.push((here.into(), there.to_owned()));
            }
            "--pcap" => self.pcap = Some(value.into()),
            "--log" => self.level = value.parse().ok()?,
            _ => return None,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_come_before_the_command_and_the_rest_is_the_commands() {
        let options = parse("--nic virtio --ip 10.9.0.2/24 --gw 10.9.0.1 ping -c 3 host").unwrap();
        let words = ["ping", "-c", "3", "host"].map(String::from).to_vec();
        assert_eq!(options.action, Action::Command(words));
        assert_eq!(options.address, Some((Ipv4Addr::new(10, 9, 0, 2), 24)));
        assert_eq!(options.nic, Some(Nic::Virtio));
        assert_eq!(parse("--nic rndis shell").unwrap().nic, Some(Nic::Rndis));
        let options = parse("").unwrap();
        assert_eq!((options.action, options.nic), (Action::Stages, None));
        assert_eq!(parse("shell").unwrap().action, Action::Shell);
        let files = parse("--file a:b:/tmp/c").unwrap().files;
        assert_eq!(files, [("a:b".into(), "tmp/c".to_owned())]);
        let program = Action::Run(["curl", "-s", "host"].map(String::from).to_vec());
        assert_eq!(parse("run -- curl -s host").unwrap().action, program);
        assert_eq!(parse("up").unwrap().action, Action::Up);
        assert_eq!(
            parse("bench programs").unwrap().action,
            Action::BenchPrograms
        );
        assert_eq!(parse("--net tap:t0").unwrap().net, Net::Tap("t0".into()));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_the_usage() {
        for line in [
            "--nic e1000",
            "--net bridge",
            "--ipv6 perhaps",
            "--net tap:",
            "--ip 10.0.0.1",
            "--ip 10.0.0.1/33",
            "--gw 10.0.0.1",
            "--pcap",
            "--file big",
            "--frobnicate x",
            "run --",
        ] {
            let text = parse(line).unwrap_err();
            assert!(text.contains("usage:"), "{line}: {text}");
        }
    }
}
