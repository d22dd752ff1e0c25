//! What programs of Redox are linked with.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lab::{Context, Error, Program, Result};

const START_FILES: [&str; 2] = ["crt0.o", "crti.o"];
const C_LIBRARY: &str = "libc.a";
const END_FILE: &str = "crtn.o";
const COMPILE: Duration = Duration::from_secs(60);

/// A linker, and what it is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Toolchain {
    /// A compiler for Redox, as redoxer brings it: it knows everything itself.
    Compiler(PathBuf),
    /// A folder with relibc's files. The linker of this machine puts them round the program.
    Sysroot(PathBuf),
}

impl Toolchain {
    /// The one in `folder`, or redoxer's if none is named.
    pub(crate) fn find(folder: Option<&Path>, target: &str) -> Result<Toolchain> {
        let Some(folder) = folder else {
            return Self::of_redoxer(target).context(
                "--toolchain DIR names a folder with relibc's crt0.o, crti.o, crtn.o and libc.a (redoxer, which brings \
                 one, is not installed here)",
            );
        };
        Self::in_folder(folder, target).context(format_args!(
            "{}: neither bin/{target}-gcc nor crt0.o, crti.o, crtn.o and libc.a are there or in lib",
            folder.display()
        ))
    }

    fn of_redoxer(target: &str) -> Option<Toolchain> {
        let named = std::env::var_os("REDOXER_TOOLCHAIN").map(PathBuf::from);
        let home = std::env::var_os("HOME").map(PathBuf::from);
        let installed = home.map(|home| home.join(".redoxer").join(target).join("toolchain"));
        Self::in_folder(&named.or(installed)?, target)
    }

    fn in_folder(folder: &Path, target: &str) -> Option<Toolchain> {
        let compiler = folder.join("bin").join(format!("{target}-gcc"));
        if compiler.is_file() {
            return Some(Toolchain::Compiler(compiler));
        }
        let places = ["", "lib", "usr/lib"].map(|place| folder.join(place));
        let own = folder.join(target).join("lib");
        let complete = |place: &PathBuf| {
            let files = START_FILES.iter().chain([&C_LIBRARY, &END_FILE]);
            files.into_iter().all(|file| place.join(file).is_file())
        };
        let place = places.into_iter().chain([own]).find(complete)?;
        // A relative one would be looked for elsewhere by the linker.
        Some(Toolchain::Sysroot(place.canonicalize().unwrap_or(place)))
    }

    /// Cargo's environment for it. What has to be made for it is put into `work`.
    pub(crate) fn environment(&self, target: &str, work: &Path) -> Result<Vec<(String, OsString)>> {
        let variable = |name: &str| {
            let target = target.replace('-', "_").to_ascii_uppercase();
            format!("CARGO_TARGET_{target}_{name}")
        };
        let (linker, flags) = match self {
            Toolchain::Compiler(compiler) => (compiler.clone().into(), "".into()),
            Toolchain::Sysroot(folder) => {
                let support = support(target, work)?;
                (linker_of(target).into(), flags(folder, &support))
            }
        };
        Ok(vec![
            (variable("LINKER"), linker),
            (variable("RUSTFLAGS"), flags.into()),
        ])
    }
}

/// The prefix of the GNU tools for that processor.
fn prefix(target: &str) -> &'static str {
    let processor = target.split('-').next().unwrap_or_default();
    match processor {
        processor if processor == std::env::consts::ARCH => "",
        "aarch64" => "aarch64-linux-gnu-",
        _ => "x86_64-linux-gnu-",
    }
}

fn linker_of(target: &str) -> String {
    format!("{}ld", prefix(target))
}

/// What the unwinder of this machine's compiler needs: its archives, and the one function that Redox lacks.
fn support(target: &str, work: &Path) -> Result<Vec<PathBuf>> {
    let compiler = format!("{}gcc", prefix(target));
    let package = format!("gcc-{}", prefix(target))
        .trim_end_matches('-')
        .to_owned();
    let object = work.join("unwind.o");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("unwind.c");
    Program::new(&compiler, &package)?
        .args(["-O2", "-c", "-fno-pic", "-o"])
        .arg(&object)
        .arg(source)
        .run(COMPILE)?;
    let mut files = vec![object];
    for archive in ["libgcc_eh.a", "libgcc.a"] {
        let path = Program::new(&compiler, &package)?
            .arg(format!("-print-file-name={archive}"))
            .run(COMPILE)?;
        let path = PathBuf::from(String::from_utf8_lossy(&path).trim());
        match path.is_absolute() {
            true => files.push(path),
            false => return Err(Error::new(format!("{compiler} has no {archive}"))),
        }
    }
    Ok(files)
}

/// rustc's flags: a static program at a fixed place, with relibc's files round it and every archive beside them in it.
fn flags(folder: &Path, support: &[PathBuf]) -> String {
    let mut flags = String::from(
        "-C linker-flavor=ld -C relocation-model=static -C target-feature=+crt-static",
    );
    let mut argument = |text: String| {
        flags.push_str(" -C link-arg=");
        flags.push_str(&text);
    };
    let inside = |file: &str| folder.join(file).display().to_string();
    argument("-static".into());
    START_FILES.iter().for_each(|file| argument(inside(file)));
    argument("--start-group".into());
    support
        .iter()
        .for_each(|file| argument(file.display().to_string()));
    archives(folder)
        .iter()
        .for_each(|file| argument(file.display().to_string()));
    argument("--end-group".into());
    argument(inside(END_FILE));
    // Where the standard library asks for libraries by name, it finds these.
    for folder in core::iter::once(folder).chain(support.iter().filter_map(|file| file.parent())) {
        flags.push_str(&format!(" -L native={}", folder.display()));
    }
    flags
}

/// The archives of a folder, in the order of their names.
fn archives(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let mut archives: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "a"))
        .collect();
    archives.sort();
    archives
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: &str = "x86_64-unknown-redox";

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        folder
    }

    #[test]
    fn a_folder_with_relibcs_files_is_enough_wherever_they_are_in_it() {
        for place in ["", "lib/", "usr/lib/", "x86_64-unknown-redox/lib/"] {
            let files =
                ["crt0.o", "crti.o", "crtn.o", "libc.a"].map(|file| format!("{place}{file}"));
            let folder = folder(&files.each_ref().map(String::as_str));
            let found = Toolchain::find(Some(folder.path()), TARGET).unwrap();
            let expected = folder.path().join(place).canonicalize().unwrap();
            assert_eq!(found, Toolchain::Sysroot(expected), "{place}");
        }
    }

    #[test]
    fn a_compiler_is_preferred_for_it_knows_more() {
        let compiler = "bin/x86_64-unknown-redox-gcc";
        let folder = folder(&[
            compiler,
            "lib/crt0.o",
            "lib/crti.o",
            "lib/crtn.o",
            "lib/libc.a",
        ]);
        let found = Toolchain::find(Some(folder.path()), TARGET).unwrap();
        assert_eq!(found, Toolchain::Compiler(folder.path().join(compiler)));
    }

    #[test]
    fn what_is_missing_is_said() {
        let folder = folder(&["lib/crt0.o", "lib/libc.a"]);
        let error = Toolchain::find(Some(folder.path()), TARGET).unwrap_err();
        assert!(error.to_string().contains("crtn.o"), "{error}");
    }

    #[test]
    fn the_start_files_come_first_and_the_end_file_last() {
        let folder = folder(&["crt0.o", "crti.o", "crtn.o", "libc.a", "libextra.a"]);
        let flags = flags(folder.path(), &["/gcc/libgcc_eh.a".into()]);
        let at = |name: &str| flags.find(name).unwrap();
        let order = [
            "crt0.o",
            "crti.o",
            "--start-group",
            "libgcc_eh.a",
            "libc.a",
            "libextra.a",
            "--end-group",
            "crtn.o",
        ];
        assert!(
            order.windows(2).all(|pair| at(pair[0]) < at(pair[1])),
            "{flags}"
        );
        assert!(flags.contains("-L native=/gcc"), "{flags}");
    }
}
