//! Boots a real Redox with this network in place of its own, and goes through the stages: the packages are made by
//! their recipes, laid over a copy of the image's file system, and booted in QEMU.

mod arguments;
mod boot;
mod boots;
mod compare;
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
    let disk = copy(image)?;
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
    match options.compare {
        true => compare_with(image, stage, &spec, &surroundings, run, table),
        false => go_through(options, &spec, &surroundings, run, table),
    }
}

/// A copy of the image, where there is room for what is compiled, too.
fn copy(image: &Path) -> Result<image::Copy> {
    image::Copy::of(image, &packages::repository().join("target/redox"))
}

/// The image as it is, with nothing but the measuring program laid over it, beside `ours`.
fn compare_with(
    image: &Path,
    stage: &Path,
    ours: &boot::Spec<'_>,
    surroundings: &Surroundings,
    run: &Arc<RunDirectory>,
    table: &mut Table,
) -> Result<()> {
    let disk = copy(image)?;
    let tool = tempfile::tempdir().context("a folder")?;
    let (from, to) = (
        stage.join(packages::MEASURE),
        tool.path().join(packages::MEASURE),
    );
    std::fs::create_dir_all(to.parent().unwrap_or(&to)).context(to.display())?;
    std::fs::copy(&from, &to).context(from.display())?;
    Image::open(disk.path())?.lay_over(tool.path())?;
    let sides = [
        compare::Side {
            name: "as it is, e1000",
            spec: boot::Spec {
                nic: Nic::E1000,
                disk: disk.path(),
                ..*ours
            },
        },
        compare::Side {
            name: "this network",
            spec: *ours,
        },
    ];
    compare::both(
        table,
        &sides,
        surroundings,
        run,
        stages::megabytes(ours.nic),
    )
}

/// All stages, and the boots if they are wanted.
fn go_through(
    options: &Options,
    spec: &boot::Spec<'_>,
    surroundings: &Surroundings,
    run: &Arc<RunDirectory>,
    table: &mut Table,
) -> Result<()> {
    let mut redox = boot::start(spec, &surroundings.namespace, run, "packets.pcap")?;
    table.stage("boot to the login", || {
        let time = redox.boot()?;
        Ok(format!("{:.1} s from the loader on", time.as_secs_f64()))
    })?;
    let plan = stages::Plan {
        nic: options.nic,
        transcript: &packages::repository().join("redox-host/transcript/transcript.txt"),
        kept: &run.file("transcript.txt"),
        sockets: &run.file("sockets.txt"),
        root: &options.login,
        user: &options.user,
    };
    let mut failed = stages::all(table, &mut redox, surroundings, &plan);
    // What the machine has is for the boots that follow.
    drop(redox);
    if options.boots {
        failed.extend(boots::all(table, spec, surroundings, run, &options.user));
    }
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
