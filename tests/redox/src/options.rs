//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use crate::arguments::{Accelerator, Machine, Nic};
use crate::recovery::Login;

/// What `tests/redox/run --help` prints.
pub(crate) const USAGE: &str = "\
usage: tests/redox/run --image FILE [OPTIONS]

  --image FILE              a disk with Redox on it, unencrypted; a copy of it is booted
  --toolchain DIR           what programs of Redox are linked with: a folder with bin/<target>-gcc, or one with
                            relibc's crt0.o, crti.o, crtn.o and libc.a. Without it, redoxer's, if that is installed
  --packages DIR            files laid over the image instead of the packages that are made here
  --nic virtio|rndis        the network card: on PCI (the default), or an adapter on USB
  --endpoints blocking|nonblocking
                            what the image's xhcid can do (nonblocking)
  --machine q35|virt        QEMU's x86_64 (the default) or aarch64 machine
  --accel kvm|tcg           how the processor is made; kvm where it is there and fits
  --login USER:PASSWORD     who logs in on the serial console (root:password)
  --user USER:PASSWORD      who is not root (user:)
  --boots                   boots without a card, DHCP, a cable, and with a card that comes later, too
  --compare                 instead of the stages: the image as it is on an e1000, and ours, in turn, measured alike
  --limit SECONDS           when everything ends, whatever it is doing (1800)
  --print-redoxer           only print the command that does the same with redoxer's image";

/// What an image is good for when there is none.
pub(crate) const NO_IMAGE: &str = "no Redox was booted: --image FILE names a disk with Redox (make all CONFIG_NAME=minimal-net in \
     Redox's build system gives build/x86_64/minimal-net/harddrive.img)";

/// The command line, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) help: bool,
    pub(crate) image: Option<PathBuf>,
    pub(crate) toolchain: Option<PathBuf>,
    /// A tree that is made already.
    pub(crate) packages: Option<PathBuf>,
    pub(crate) nic: Nic,
    /// The word after usb-rndisd's `--endpoints`.
    pub(crate) endpoints: &'static str,
    pub(crate) machine: Machine,
    pub(crate) accelerator: Option<Accelerator>,
    /// Root.
    pub(crate) login: Login,
    /// Somebody who is not root.
    pub(crate) user: Login,
    /// How long everything may take.
    pub(crate) limit: Duration,
    /// Boot with less than a network, too.
    pub(crate) boots: bool,
    /// Measure the image as it is beside ours.
    pub(crate) compare: bool,
    pub(crate) print_redoxer: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            help: false,
            image: None,
            toolchain: None,
            packages: None,
            nic: Nic::Virtio,
            endpoints: "nonblocking",
            machine: Machine::Q35,
            accelerator: None,
            login: Login::new("root", "password"),
            user: Login::new("user", ""),
            limit: Duration::from_secs(1800),
            boots: false,
            compare: false,
            print_redoxer: false,
        }
    }
}

impl Options {
    /// Understands the arguments, or says in words what is wrong with them.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Options, String> {
        let mut options = Options::default();
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "-h" | "--help" => options.help = true,
                "--boots" => options.boots = true,
                "--compare" => options.compare = true,
                "--print-redoxer" => options.print_redoxer = true,
                _ => {
                    let value = arguments
                        .next()
                        .ok_or_else(|| format!("{argument} needs a value\n\n{USAGE}"))?;
                    options
                        .set(&argument, &value)
                        .ok_or_else(|| format!("{argument} {value} makes no sense\n\n{USAGE}"))?;
                }
            }
        }
        Ok(options)
    }

    fn set(&mut self, name: &str, value: &str) -> Option<()> {
        match (name, value) {
            ("--image", file) => self.image = Some(file.into()),
            ("--toolchain", folder) => self.toolchain = Some(folder.into()),
            ("--packages", folder) => self.packages = Some(folder.into()),
            ("--nic", "virtio") => self.nic = Nic::Virtio,
            ("--nic", "rndis") => self.nic = Nic::Rndis,
            ("--endpoints", "blocking") => self.endpoints = "blocking",
            ("--endpoints", "nonblocking") => self.endpoints = "nonblocking",
            ("--machine", "q35") => self.machine = Machine::Q35,
            ("--machine", "virt") => self.machine = Machine::Virt,
            ("--accel", "kvm") => self.accelerator = Some(Accelerator::Kvm),
            ("--accel", "tcg") => self.accelerator = Some(Accelerator::Tcg),
            ("--login", login) => self.login = Login::parse(login)?,
            ("--user", login) => self.user = Login::parse(login)?,
            ("--limit", seconds) => self.limit = Duration::from_secs(seconds.parse().ok()?),
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
    fn every_option_of_the_usage_is_understood() {
        let line = "--image a.img --toolchain t --packages p --nic rndis --endpoints blocking --machine virt --accel tcg \
                    --login admin:secret:word --user somebody: --limit 60 --boots --compare --print-redoxer";
        let options = parse(line).unwrap();
        let expected = Options {
            help: false,
            image: Some("a.img".into()),
            toolchain: Some("t".into()),
            packages: Some("p".into()),
            nic: Nic::Rndis,
            endpoints: "blocking",
            machine: Machine::Virt,
            accelerator: Some(Accelerator::Tcg),
            login: Login::new("admin", "secret:word"),
            user: Login::new("somebody", ""),
            limit: Duration::from_secs(60),
            boots: true,
            compare: true,
            print_redoxer: true,
        };
        assert_eq!(options, expected);
        for word in line.split(' ').filter(|word| word.starts_with("--")) {
            assert!(USAGE.contains(word), "{word}");
        }
        assert_eq!(parse("").unwrap(), Options::default());
        assert!(parse("--help").unwrap().help);
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_the_usage() {
        for line in [
            "--nic e1000",
            "--image",
            "--machine pc",
            "--login root",
            "--limit soon",
            "x y",
        ] {
            assert!(parse(line).unwrap_err().contains("usage:"), "{line}");
        }
    }
}
