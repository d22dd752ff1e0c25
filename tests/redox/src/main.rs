//! Boots a real Redox with this network in place of its own, and goes through the stages: the packages are made by
//! their recipes, laid over a copy of the image's file system, and booted in QEMU.

mod arguments;
mod boot;
mod console;
mod image;
mod options;
mod packages;
mod recovery;
mod stages;
mod toolchain;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lab::{Context, Error, Result, RunDirectory, Surroundings, Table};

use arguments::{Network, Nic};
use image::Image;
use options::{NO_IMAGE, Options, USAGE};
use toolchain::Toolchain;

/// Compiling for the printed command takes minutes on a small machine.
const BUILD: Duration = Duration::from_secs(1800);

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(text) => {
            eprintln!("{text}");
            return ExitCode::from(2);
        }
    };
    let done = if options.help {
        println!("{USAGE}");
        Ok(())
    } else if options.print_redoxer {
        print_redoxer(&options)
    } else if let Some(image) = &options.image {
        run(&options, image)
    } else {
        println!("{NO_IMAGE}");
        Ok(())
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("redox-harness: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Makes the packages, if there is something to link them with, and prints the command that boots redoxer's image with
/// them.
fn print_redoxer(options: &Options) -> Result<()> {
    let stage = packages::repository().join("target/redox/stage");
    if options.toolchain.is_some() {
        cook(options, &stage, Instant::now() + BUILD)?;
    }
    let command = "net ping -c 3 10.0.2.2";
    println!("{}", arguments::redoxer(options.nic, &stage, command));
    Ok(())
}

/// Makes the packages into an empty folder `stage`, until `end` at most.
fn cook(options: &Options, stage: &Path, end: Instant) -> Result<()> {
    let target = options.machine.target();
    let toolchain = Toolchain::find(options.toolchain.as_deref(), target)?;
    if stage.exists() {
        std::fs::remove_dir_all(stage).context(stage.display())?;
    }
    std::fs::create_dir_all(stage).context(stage.display())?;
    let work = stage.parent().unwrap_or(stage);
    let environment = toolchain.environment(target, work)?;
    packages::cook_all(stage, target, environment, end)?;
    packages::set_endpoints(stage, options.endpoints)
}

fn run(options: &Options, image: &Path) -> Result<()> {
    let run = Arc::new(RunDirectory::create("redox")?);
    let end = Instant::now() + options.limit;
    let mut table = Table::new(match options.nic {
        Nic::Rndis => "Redox on QEMU's usb-net",
        _ => "Redox on QEMU's virtio-net",
    });
    let result = boot_and_look(options, image, &run, &mut table, end);
    if result.is_ok() {
        table.finish();
    }
    println!("  log, transcript and packets: {}", run.path().display());
    result
}

fn boot_and_look(
    options: &Options,
    image: &Path,
    run: &Arc<RunDirectory>,
    table: &mut Table,
    end: Instant,
) -> Result<()> {
    let made = packages::repository().join("target/redox/stage");
    let stage = options.packages.as_deref().unwrap_or(&made);
    if options.packages.is_none() {
        table.stage("packages made", || {
            cook(options, stage, end)?;
            Ok(format!("for {}", options.machine.target()))
        })?;
    }
    let disk = image::Copy::of(image, &packages::repository().join("target/redox"))?;
    table.stage("laid over the image", || {
        let files = Image::open(disk.path())?.lay_over(stage)?;
        Ok(format!("{files} files"))
    })?;
    let surroundings = Surroundings::new()?;
    let accelerator = options.accelerator;
    let spec = boot::Spec {
        machine: options.machine,
        accelerator: accelerator.unwrap_or_else(|| options.machine.accelerator()),
        nic: options.nic,
        network: Network::User,
        disk: disk.path(),
        forward: stages::FORWARD,
        login: &options.login,
        end,
    };
    let mut redox = boot::start(&spec, &surroundings.namespace, run, "packets.pcap")?;
    table.stage("boot to the login", || {
        let time = redox.boot()?;
        Ok(format!("{:.1} s from the loader on", time.as_secs_f64()))
    })?;
    let transcript = packages::repository().join("redox-host/transcript/transcript.txt");
    let kept = run.file("transcript.txt");
    // xhcid looks at its transfers 500 times a second, a frame each.
    let megabytes = match options.nic {
        Nic::Rndis => 2,
        _ => 20,
    };
    let failed = stages::all(
        table,
        &mut redox,
        &surroundings,
        &transcript,
        &kept,
        megabytes,
    );
    let words: Vec<String> = failed.iter().map(Error::to_string).collect();
    match words.is_empty() {
        true => Ok(()),
        false => Err(Error::new(format!(
            "{} stages failed:\n  {}",
            words.len(),
            words.join("\n  ")
        ))),
    }
}
