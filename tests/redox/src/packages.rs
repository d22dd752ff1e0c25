//! The packages, made by their recipes, as Redox's build system would make them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Instant;

use lab::{Context, Error, Program, Result};
use serde::Deserialize;

/// Stands for the cookbook's function of this name: installs the programs of the crate in `COOKBOOK_CARGO_PATH`.
const INSTALL: &str = r#"
cookbook_cargo() {
    cargo install --quiet --path "${COOKBOOK_SOURCE}/${COOKBOOK_CARGO_PATH}" --root "${COOKBOOK_STAGE}/usr" \
        --locked --no-track --force --target "${TARGET}" "$@"
}
"#;
/// What the harness needs in the image and no package brings.
const TOOLS: &str = "\
COOKBOOK_CARGO_PATH=redox-host/transcript cookbook_cargo --features redox-bin
COOKBOOK_CARGO_PATH=tests/redox/measure cookbook_cargo
COOKBOOK_CARGO_PATH=tests/sockets cookbook_cargo --no-default-features
mkdir -p \"${COOKBOOK_STAGE}/usr/share/sockets\"
cp tests/sockets/differences-redox \"${COOKBOOK_STAGE}/usr/share/sockets/differences\"
";
/// Where the measuring program is in the tree.
pub(crate) const MEASURE: &str = "usr/bin/measure";

/// Where this repository is.
pub(crate) fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// `recipe.toml`, as far as the cookbook knows it and ours use it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recipe {
    pub(crate) source: Source,
    pub(crate) build: Build,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Source {
    /// A folder, from where the build system is started.
    pub(crate) path: Option<String>,
    /// Another recipe's, from this one's folder.
    pub(crate) same_as: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Build {
    pub(crate) template: String,
    pub(crate) script: String,
}

/// Our recipes by the names of their folders.
pub(crate) fn recipes() -> Result<BTreeMap<String, Recipe>> {
    let folder = repository().join("recipes");
    let mut recipes = BTreeMap::new();
    for entry in std::fs::read_dir(&folder).context(folder.display())? {
        let path = entry.context(folder.display())?.path();
        if path.is_dir() {
            let file = path.join("recipe.toml");
            let text = std::fs::read_to_string(&file).context(file.display())?;
            let recipe: Recipe = toml::from_str(&text).context(file.display())?;
            let sources = [&recipe.source.path, &recipe.source.same_as];
            if recipe.build.template != "custom" || sources.iter().all(|source| source.is_none()) {
                return Err(Error::new(format!(
                    "{}: no script, or no source",
                    file.display()
                )));
            }
            let name = path.file_name().unwrap_or_default();
            recipes.insert(name.to_string_lossy().into_owned(), recipe);
        }
    }
    Ok(recipes)
}

/// Runs a recipe's script, until `end` at most. `functions` are those that the cookbook has for it.
pub(crate) fn cook(
    script: &str,
    functions: &str,
    stage: &Path,
    environment: &[(String, OsString)],
    end: Instant,
) -> Result<()> {
    std::fs::create_dir_all(stage).context(stage.display())?;
    let mut program = Program::new("env", "coreutils")?;
    for (name, value) in environment {
        let mut pair = OsString::from(format!("{name}="));
        pair.push(value);
        program = program.arg(pair);
    }
    for (name, path) in [("SOURCE", repository().as_path()), ("STAGE", stage)] {
        program = program.arg(format!("COOKBOOK_{name}={}", path.display()));
    }
    let script = format!("set -eu\ncd \"$COOKBOOK_SOURCE\"\n{functions}\n{script}");
    let left = end.saturating_duration_since(Instant::now());
    program.args(["bash", "-c", &script]).run(left).map(drop)
}

/// Makes all packages and our tools until `end` at most, and lays their files together under `stage`.
pub(crate) fn cook_all(
    stage: &Path,
    target: &str,
    mut environment: Vec<(String, OsString)>,
    end: Instant,
) -> Result<()> {
    environment.push(("TARGET".into(), target.into()));
    let own = repository().join("target/redox");
    environment.push(("CARGO_TARGET_DIR".into(), own.into()));
    if target != "x86_64-unknown-redox" {
        // Nobody distributes a standard library for it.
        environment.push(("CARGO_UNSTABLE_BUILD_STD".into(), "std,panic_abort".into()));
    }
    for (name, recipe) in recipes()? {
        cook(&recipe.build.script, INSTALL, stage, &environment, end).context(name)?;
    }
    let tools = format!("export RUSTC_BOOTSTRAP=1\n{TOOLS}");
    cook(&tools, INSTALL, stage, &environment, end).context("the harness's own programs")?;
    lay_configured_files(stage)
}

/// A file that the configuration of a file system brings.
#[derive(Debug, Deserialize)]
struct ConfiguredFile {
    path: String,
    data: String,
}

/// The files of our configuration of a file system, which no package brings.
pub(crate) fn lay_configured_files(stage: &Path) -> Result<()> {
    #[derive(Deserialize)]
    struct Configuration {
        files: Vec<ConfiguredFile>,
    }
    let file = repository().join("recipes/redox-network.toml");
    let text = std::fs::read_to_string(&file).context(file.display())?;
    let configuration: Configuration = toml::from_str(&text).context(file.display())?;
    for ConfiguredFile { path, data } in configuration.files {
        let path = stage.join(path.trim_start_matches('/'));
        let folder = path.parent().unwrap_or(stage);
        std::fs::create_dir_all(folder).context(folder.display())?;
        std::fs::write(&path, data).context(path.display())?;
    }
    Ok(())
}

/// Tells usb-rndisd what the image's xhcid can do.
pub(crate) fn set_endpoints(stage: &Path, endpoints: &str) -> Result<()> {
    let path = stage.join("etc/xhcid.d/00_usb-rndisd.toml");
    let text = std::fs::read_to_string(&path).context(path.display())?;
    let text = text.replace(
        "\"--endpoints\", \"blocking\"",
        &format!("\"--endpoints\", \"{endpoints}\""),
    );
    std::fs::write(&path, text).context(path.display())
}

#[cfg(test)]
mod tests;
