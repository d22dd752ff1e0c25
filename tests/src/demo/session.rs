//! A running machine for the commands of the user.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use commands::Terminal;
use lab::machine::MachineSpec;
use lab::network::{Netdev, Slirp, Tap};
use lab::{Context, Error, Result, Stack, StackSpec, StaticAddress};
use libredox::Fd;
use redox_host::{ContextHandle, Entered};
use syscall::flag::O_RDONLY;

use crate::options::{Action, Net, Options};

/// How long the network may take to be configured, where a command cannot do without.
const ADDRESS: Duration = Duration::from_secs(10);
/// How long the others let it, so that they show what is there when it is.
const PATIENCE: Duration = Duration::from_secs(2);

/// The certificates that this machine trusts.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The daemons on a machine, with the network that the options name.
pub(crate) struct Session {
    pub(crate) stack: Stack,
}

impl Session {
    pub(crate) fn start(options: &Options) -> Result<Session> {
        let netdev = match &options.net {
            Net::Tap(name) => Netdev::Tap(Tap::existing(name)),
            Net::User => {
                let forward = |slirp: Slirp, &(here, there)| slirp.forward_tcp(here, there);
                Netdev::Slirp(options.forwards.iter().fold(options.slirp(), forward))
            }
        };
        let name = match &options.action {
            Action::Command(words) | Action::Run(words) => {
                words.first().map_or("command", String::as_str)
            }
            Action::Serve => "up",
            _ => "shell",
        };
        let nic = options.nic.unwrap_or_default().on(netdev);
        let machine = MachineSpec::new().named(name).nic(nic);
        let stack = Stack::start(with_address(StackSpec::new(machine), options))?;
        // The machine trusts whom this one trusts; where nobody is known here, nobody is there.
        if let Ok(authorities) = std::fs::read(AUTHORITIES) {
            stack.trust(&authorities)?;
        }
        for (here, there) in &options.files {
            put(&stack, here, there)?;
        }
        Ok(Session { stack })
    }

    /// Runs one command of the user with this process's own input and output.
    pub(crate) fn command(&self, words: &[String], options: &Options) -> Result<()> {
        let Some((name, arguments)) = words.split_first() else {
            return Ok(());
        };
        match name.as_str() {
            "ping6" => self.wait_for_ipv6()?,
            "ping" | "curl" | "nc" if arguments.iter().any(|word| names_ipv6(word)) => {
                self.wait_for_ipv6()?
            }
            "ping" | "curl" | "nc" | "dns" => self.wait_for_address()?,
            _ => self.settle(),
        }
        let process = self.stack.enter(name);
        let input = match name.as_str() {
            "nc" => Some(standard_input(&process)?),
            _ => None,
        };
        let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
        let mut terminal = Terminal {
            out: &mut out,
            err: &mut err,
            input: input.as_ref().map_or(0, Fd::raw),
            seed: lab::seed(),
        };
        let result = commands::run(name, arguments, &mut terminal);
        terminal.out.flush().context("the output")?;
        self.keep_pcap(options)?;
        result.map_err(|error| Error::new(format!("{name}: {error}")))
    }

    /// Waits until the first adapter has an address, from the configuration or by DHCP.
    pub(crate) fn wait_for_address(&self) -> Result<()> {
        self.stack
            .wait_for_ipv4("eth0", ADDRESS)
            .map(drop)
            .map_err(|error| {
                Error::new(format!(
                    "the network gives no address by DHCP ({error}); --ip and --gw set one"
                ))
            })
    }

    /// Waits until programs can be run: for an address, and for IPv6's where it is asked for.
    pub(crate) fn wait_for_network(&self, options: &Options) -> Result<()> {
        match options.ipv6 {
            Some(true) => self.wait_for_ipv6(),
            _ => self.wait_for_address(),
        }
    }

    /// Waits until the first adapter has an IPv6 address.
    fn wait_for_ipv6(&self) -> Result<()> {
        self.stack
            .wait_for_ipv6("eth0", ADDRESS)
            .map(drop)
            .map_err(|error| Error::new(format!("no router gives an IPv6 address ({error})")))
    }

    /// Gives the network a moment to be configured; without an address there is still much to see.
    pub(crate) fn settle(&self) {
        if let Err(error) = self.stack.wait_for_ipv4("eth0", PATIENCE) {
            log::debug!("{error}");
        }
    }

    /// Copies the packets to where the user wants them.
    pub(crate) fn keep_pcap(&self, options: &Options) -> Result<()> {
        keep_pcap(&self.stack, options)
    }
}

pub(crate) fn keep_pcap(stack: &Stack, options: &Options) -> Result<()> {
    if let Some(path) = &options.pcap {
        std::fs::copy(stack.machine().pcap_path(0), path).context(path.display())?;
    }
    Ok(())
}

/// Does this argument ask for IPv6: the option, an address, or a URL with one?
fn names_ipv6(word: &str) -> bool {
    word == "-6" || word.contains("::") || word.contains('[')
}

/// The options' static address, if there is one.
pub(crate) fn with_address(spec: StackSpec, options: &Options) -> StackSpec {
    let spec = spec.log_level(options.level);
    match options.address {
        None => spec,
        Some((address, prefix_length)) => spec.address(StaticAddress {
            address: address.to_string(),
            prefix_length,
            gateway: options.gateway.map(|gateway| gateway.to_string()),
            name_server: None,
        }),
    }
}

/// Copies a file of this machine to where the stack's machine has it as `/there`.
fn put(stack: &Stack, here: &Path, there: &str) -> Result<()> {
    let path = stack.machine().run().file("root").join(there);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).context(folder.display())?;
    }
    std::fs::copy(here, &path).map(drop).context(here.display())
}

/// This process's standard input as a descriptor of the lab: a thread copies it into a pipe.
fn standard_input(process: &Entered) -> Result<Fd> {
    let reader = Fd::open("/scheme/pipe", O_RDONLY as i32, 0).context("a pipe")?;
    let writer = Fd::new(reader.dup(b"write").context("a pipe")?);
    let here: ContextHandle = process.handle();
    std::thread::Builder::new()
        .name("standard input".into())
        .spawn(move || {
            let _attached = here.attach();
            // When the command has ended, so has its pipe: nothing is left to do.
            let _ = io::copy(&mut io::stdin().lock(), &mut PipeWriter(writer));
        })
        .context("a thread")?;
    Ok(reader)
}

struct PipeWriter(Fd);

impl Write for PipeWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(io::Error::other)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
