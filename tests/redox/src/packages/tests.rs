//! The recipes in form, and what they install.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tempfile::TempDir;

use super::*;

fn end() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

/// Stands for the compiler: instead of a crate's programs it installs their names, and checks the features they need.
const PRETEND: &str = r#"
cookbook_cargo() {
    manifest="${COOKBOOK_SOURCE}/${COOKBOOK_CARGO_PATH}/Cargo.toml"
    [ "$1" = --features ]
    grep -q "required-features = \[\"$2\"\]" "$manifest"
    mkdir -p "${COOKBOOK_STAGE}/usr/bin"
    sed -n '/^\[\[bin\]\]/,/^name/s/^name = "\(.*\)"$/\1/p' "$manifest" | while read -r program; do
        echo "$program" >"${COOKBOOK_STAGE}/usr/bin/$program"
        chmod 755 "${COOKBOOK_STAGE}/usr/bin/$program"
    done
}
"#;

/// Each package's tree, by its name.
fn trees() -> BTreeMap<String, TempDir> {
    let cooked = recipes().unwrap().into_iter().map(|(name, recipe)| {
        let stage = tempfile::tempdir().unwrap();
        cook(&recipe.build.script, PRETEND, stage.path(), &[], end()).unwrap();
        (name, stage)
    });
    cooked.collect()
}

/// The paths of the files below a folder, without it.
fn files(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let path = path.strip_prefix(folder).unwrap();
                found.insert(path.to_str().unwrap().to_owned());
            }
        }
    }
    found
}

fn parse<T: DeserializeOwned>(path: &Path) -> T {
    let text = std::fs::read_to_string(path).unwrap();
    // pcid-spawner joins the files as they are.
    assert!(text.ends_with('\n'), "{}", path.display());
    toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A unit's file as init takes it: a field that it does not know is an error, and the unit is not started.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ServiceFile {
    unit: Unit,
    service: Service,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Unit {
    description: Option<String>,
    #[serde(default)]
    requires_weak: Vec<String>,
    condition_architecture: Option<Vec<String>>,
    default_dependencies: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Service {
    cmd: String,
    #[serde(default)]
    args: Vec<String>,
    #[serde(rename = "type")]
    kind: ServiceType,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum ServiceType {
    Notify,
    Oneshot,
    OneshotAsync,
    Scheme(String),
}

/// A file of pcid-spawner's folder.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PciDrivers {
    drivers: Vec<PciDriver>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PciDriver {
    #[serde(rename = "name")]
    _name: String,
    class: u8,
    ids: BTreeMap<String, Vec<u16>>,
    command: Vec<String>,
}

/// A file of xhcid's folder.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct UsbDrivers {
    drivers: Vec<UsbDriver>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct UsbDriver {
    #[serde(rename = "name")]
    _name: String,
    class: u8,
    subclass: i16,
    protocol: Option<u8>,
    command: Vec<String>,
}

/// A configuration of Redox's installer, as far as ours goes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FilesystemConfig {
    include: Vec<String>,
    #[serde(rename = "general")]
    _general: BTreeMap<String, toml::Value>,
    packages: BTreeMap<String, BTreeMap<String, toml::Value>>,
    files: Vec<InstalledFile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct InstalledFile {
    path: String,
    data: String,
}

#[test]
fn each_package_brings_its_programs_and_what_starts_them() {
    let trees = trees();
    let brought = |name: &str| files(trees[name].path());
    let expected = |paths: &[&str]| {
        paths
            .iter()
            .map(|&path| path.to_owned())
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(
        brought("smolnetd"),
        expected(&[
            "usr/bin/smolnetd",
            "etc/init.d/10_smolnetd.service",
            "etc/init.d/10_dhcpd.service"
        ])
    );
    assert_eq!(
        brought("virtio-netd"),
        expected(&[
            "usr/lib/drivers/network/virtio-netd",
            "etc/pcid.d/virtio-netd.toml"
        ])
    );
    assert_eq!(
        brought("usb-rndisd"),
        expected(&[
            "usr/lib/drivers/network/usb-rndisd",
            "etc/xhcid.d/00_usb-rndisd.toml"
        ])
    );
    assert_eq!(brought("network-commands"), expected(&["usr/bin/net"]));
    for tree in trees.values() {
        for file in files(tree.path())
            .iter()
            .filter(|file| file.starts_with("usr/"))
        {
            let mode = tree
                .path()
                .join(file)
                .metadata()
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o111, 0o111, "{file} cannot be run");
        }
    }
}

/// Two packages with the same file cannot be installed together, and the packages of Redox have some already.
#[test]
fn no_file_is_in_two_packages_or_in_one_of_redox() {
    let of_redox = [
        "usr/bin/netstack",
        "usr/bin/dhcpd",
        "usr/lib/drivers/virtio-netd",
        "usr/lib/init.d/10_smolnetd.service",
        "usr/bin/ping",
        "usr/bin/nc",
        "usr/bin/dns",
        "usr/bin/ifconfig",
        "usr/bin/curl",
        "usr/bin/cat",
        "usr/bin/ls",
    ];
    let mut all = BTreeSet::from(of_redox.map(str::to_owned));
    for tree in trees().values() {
        for file in files(tree.path()) {
            assert!(all.insert(file.clone()), "{file} is there twice");
        }
    }
}

#[test]
fn init_waits_for_the_schemes_of_a_server_that_exists_and_starts_no_dhcpd() {
    let trees = trees();
    let tree = trees["smolnetd"].path();
    let smolnetd: ServiceFile = parse(&tree.join("etc/init.d/10_smolnetd.service"));
    assert!(tree.join("usr/bin").join(&smolnetd.service.cmd).is_file());
    assert_eq!(smolnetd.service.kind, ServiceType::Notify);
    assert!(smolnetd.service.args.is_empty());
    assert_eq!(smolnetd.unit.requires_weak, ["00_pcid-spawner.service"]);
    assert_eq!(smolnetd.unit.condition_architecture, None);
    assert_ne!(smolnetd.unit.default_dependencies, Some(false));
    let dhcpd: ServiceFile = parse(&tree.join("etc/init.d/10_dhcpd.service"));
    assert_eq!(
        dhcpd.unit.condition_architecture,
        Some(Vec::new()),
        "no machine meets this"
    );
    assert!(dhcpd.unit.description.is_some());
    // Every file of the folder is in a package.
    let services = files(&repository().join("init.d"));
    let installed = files(&tree.join("etc/init.d"));
    assert_eq!(services, installed);
}

#[test]
fn the_spawners_find_the_drivers_that_their_files_name() {
    let trees = trees();
    let tree = trees["virtio-netd"].path();
    let pci: PciDrivers = parse(&tree.join("etc/pcid.d/virtio-netd.toml"));
    let [card] = &pci.drivers[..] else {
        panic!("{pci:?}");
    };
    assert_eq!(
        (card.class, &card.ids["0x1af4"][..]),
        (2, &[0x1000, 0x1041][..])
    );
    assert!(tree.join(&card.command[0][1..]).is_file(), "{card:?}");

    let tree = trees["usb-rndisd"].path();
    let usb: UsbDrivers = parse(&tree.join("etc/xhcid.d/00_usb-rndisd.toml"));
    let classes: Vec<_> = usb
        .drivers
        .iter()
        .map(|d| (d.class, d.subclass, d.protocol))
        .collect();
    let control = [(0x02, 0x02, 0xff), (0xe0, 1, 3), (0xef, 4, 1), (0xef, 1, 1)];
    let control = control.map(|(class, subclass, protocol)| (class, subclass, Some(protocol)));
    assert_eq!(classes[..4], control);
    assert_eq!(classes[4..], [(0x0a, -1, None)]);
    for driver in &usb.drivers {
        assert!(tree.join(&driver.command[0][1..]).is_file(), "{driver:?}");
        let arguments = ["$SCHEME", "$PORT", "$IF_NUM", "--endpoints", "blocking"];
        assert_eq!(driver.command[1..], arguments);
    }
    // The first entry that matches is taken, and the base's file is `drivers.toml`.
    assert!("00_usb-rndisd.toml" < "drivers.toml");
}

#[test]
fn the_harness_tells_the_driver_what_the_images_xhcid_can_do() {
    let trees = trees();
    let tree = trees["usb-rndisd"].path();
    set_endpoints(tree, "nonblocking").unwrap();
    let usb: UsbDrivers = parse(&tree.join("etc/xhcid.d/00_usb-rndisd.toml"));
    assert!(
        usb.drivers
            .iter()
            .all(|driver| driver.command[5] == "nonblocking")
    );
}

#[test]
fn the_filesystem_configuration_has_all_packages_and_no_address_of_its_own() {
    let config: FilesystemConfig = parse(&repository().join("recipes/redox-network.toml"));
    let packages: Vec<&String> = config.packages.keys().collect();
    let recipes = recipes().unwrap();
    assert_eq!(packages, recipes.keys().collect::<Vec<_>>());
    assert!(config.packages.values().all(BTreeMap::is_empty));
    assert!(
        config
            .include
            .iter()
            .all(|path| path.starts_with("../../config/"))
    );
    let [file] = &config.files[..] else {
        panic!("{config:?}");
    };
    assert_eq!(
        (file.path.as_str(), file.data.as_str()),
        ("/etc/net/ip", "0.0.0.0\n")
    );
    // One recipe has the source, the others refer to it.
    for (name, recipe) in recipes {
        let source = (
            recipe.source.path.as_deref(),
            recipe.source.same_as.as_deref(),
        );
        let expected = if name == "smolnetd" {
            (Some("network"), None)
        } else {
            (None, Some("../smolnetd"))
        };
        assert_eq!(source, expected, "{name}");
    }
}

#[test]
fn a_recipe_that_fails_says_what_its_script_said() {
    let stage = tempfile::tempdir().unwrap();
    let script = "echo no such file >&2\nfalse\necho not reached >&2";
    let error = cook(script, PRETEND, stage.path(), &[], end())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("no such file") && !error.contains("not reached"),
        "{error}"
    );
}

#[test]
fn an_address_that_fits_qemu_only_is_taken_away_as_our_configuration_says() {
    let stage = tempfile::tempdir().unwrap();
    lay_configured_files(stage.path()).unwrap();
    let text = std::fs::read_to_string(stage.path().join("etc/net/ip")).unwrap();
    assert_eq!(text.trim(), "0.0.0.0");
}
