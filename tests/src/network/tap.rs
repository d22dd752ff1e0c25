//! A TAP device: Linux itself is the peer.

use super::Namespace;
use crate::error::Result;

/// What a TAP of the test's own looks like.
#[derive(Clone, Debug)]
pub struct TapSpec {
    /// The device's name in the namespace.
    pub name: String,
    /// Linux's addresses on it, like "10.9.0.1/24".
    pub addresses: Vec<String>,
    /// Frames carry a virtio-net header, which is what makes QEMU offer checksums and segmentation.
    pub vnet_hdr: bool,
    /// The largest packet, in bytes.
    pub mtu: u16,
}

impl Default for TapSpec {
    fn default() -> Self {
        Self {
            name: "tap0".into(),
            addresses: vec!["10.9.0.1/24".into()],
            vnet_hdr: false,
            mtu: 1500,
        }
    }
}

/// A TAP that QEMU opens by name.
#[derive(Clone, Debug)]
pub struct Tap {
    name: String,
    vnet_hdr: Option<bool>,
    namespace: Option<Namespace>,
}

impl Tap {
    /// Makes a TAP in `namespace`, where it ends with it.
    pub fn create(namespace: &Namespace, spec: &TapSpec) -> Result<Self> {
        let TapSpec {
            name,
            addresses,
            vnet_hdr,
            mtu,
        } = spec;
        let header = if *vnet_hdr { " vnet_hdr" } else { "" };
        namespace.ip(&format!("tuntap add dev {name} mode tap{header}"))?;
        namespace.ip(&format!("link set dev {name} mtu {mtu}"))?;
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
        namespace.add_addresses(name, &addresses)?;
        namespace.ip(&format!("link set dev {name} up"))?;
        Ok(Self {
            name: name.clone(),
            vnet_hdr: Some(*vnet_hdr),
            namespace: Some(namespace.clone()),
        })
    }

    /// A TAP of the machine's own network that exists already.
    pub fn existing(name: &str) -> Self {
        Self {
            name: name.into(),
            vnet_hdr: None,
            namespace: None,
        }
    }

    /// The device's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn argument(&self, id: &str) -> String {
        let header = match self.vnet_hdr {
            None => "",
            Some(true) => ",vnet_hdr=on",
            Some(false) => ",vnet_hdr=off",
        };
        format!(
            "tap,id={id},ifname={},script=no,downscript=no{header}",
            self.name
        )
    }

    pub(super) fn namespace(&self) -> Option<&Namespace> {
        self.namespace.as_ref()
    }
}
