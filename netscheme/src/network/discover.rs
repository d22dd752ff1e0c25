//! Which adapters there are.
//!
//! The daemon opens what it needs for this before it enters the null namespace: a descriptor of the
//! namespace it came from, without the rights to register or remove anything, and the listing of
//! its schemes. Both stay valid and show what is registered later. (A namespace cannot be narrowed to
//! schemes that do not exist yet: this one still opens any, and only adapters are opened by it.)
//!
//! The namespace manager posts no events: nobody is told when a scheme appears. A driver of ours says so
//! itself ([`crate::network::announce`]); for those of others a daemon looks again when something else
//! wakes it (a request that asks for the adapters, an adapter that fails), and never on a timer.

use std::collections::BTreeSet;

use libredox::Fd;
use libredox::protocol::{NsDup, NsPermissions, O_CLOEXEC};
use syscall::dirent::DirentHeader;
use syscall::error::{EIO, Error};
use syscall::flag::{O_DIRECTORY, O_FCNTL_MASK, O_RDONLY};

use crate::network::SCHEME_PREFIX;

/// Bytes of one read of the listing.
const LISTING: usize = 4096;
/// Adapters that are looked at; whoever may register schemes could register any number.
const ADAPTER_LIMIT: usize = 64;

/// The schemes of the namespace that the daemon started in.
pub struct Namespace {
    namespace: Fd,
    listing: Fd,
}

impl Namespace {
    /// The namespace of this process, which must not be the null one yet.
    ///
    /// # Errors
    /// What the system answered.
    pub fn current() -> Result<Self, Error> {
        let listing = Fd::open("/scheme", (O_RDONLY | O_DIRECTORY | O_CLOEXEC) as i32, 0)?;
        let mut command = (NsDup::ShrinkPermissions as usize).to_le_bytes().to_vec();
        command.extend_from_slice(&NsPermissions::LIST.bits().to_le_bytes());
        let namespace = libredox::call::dup(libredox::call::getns()?, command)?;
        Ok(Self {
            namespace: Fd::new(namespace),
            listing,
        })
    }

    /// Opens `/scheme/<path>` as if from that namespace: the scheme's root by its name, and from
    /// there the rest of the path. `flags` are those of `redox_syscall`.
    ///
    /// # Errors
    /// What the scheme answered; `ENODEV` when there is none of that name or it is dead.
    pub fn open(&self, path: &str, flags: usize) -> Result<Fd, Error> {
        let (scheme, reference) = path.split_once('/').unwrap_or((path, ""));
        let root_flags = (O_DIRECTORY | O_CLOEXEC) as i32;
        let root = self
            .namespace
            .openat(&format!("/scheme/{scheme}"), root_flags, 0)?;
        let fcntl_flags = (flags & O_FCNTL_MASK) as u32;
        Ok(root.openat(reference, (flags | O_CLOEXEC) as i32, fcntl_flags)?)
    }

    /// The names of the adapters there are now, in their order; at most 64.
    ///
    /// # Errors
    /// What the listing answered.
    pub fn adapters(&self) -> Result<BTreeSet<String>, Error> {
        let mut adapters = BTreeSet::new();
        let mut buffer = [0; LISTING];
        let mut opaque = 0;
        loop {
            let length = libredox::call::getdents(self.listing.raw(), &mut buffer, opaque)?;
            let mut last = None;
            for entry in entries(buffer.get(..length).unwrap_or_default()) {
                last = Some(entry.next_opaque_id);
                adapters.extend(adapter_name(entry.name).map(str::to_owned));
            }
            match last {
                None if length == 0 => return Ok(adapters),
                // A listing that does not get on is not worth an endless loop.
                Some(next) if next > opaque => opaque = next,
                _ => return Err(Error::new(EIO)),
            }
            if adapters.len() > ADAPTER_LIMIT {
                log::warn!("more than {ADAPTER_LIMIT} adapters: the others are left alone");
                return Ok(adapters.into_iter().take(ADAPTER_LIMIT).collect());
            }
        }
    }
}

/// What changed since the last look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Adapters that were not there before.
    pub appeared: Vec<String>,
    /// Adapters that are there no more.
    pub disappeared: Vec<String>,
}

/// The adapters known so far.
#[derive(Debug, Default)]
pub struct Discovery {
    known: BTreeSet<String>,
}

impl Discovery {
    /// Compares `adapters`, those there are now, with those there were.
    pub fn update(&mut self, adapters: BTreeSet<String>) -> Changes {
        let changes = Changes {
            appeared: adapters.difference(&self.known).cloned().collect(),
            disappeared: self.known.difference(&adapters).cloned().collect(),
        };
        self.known = adapters;
        changes
    }

    /// Forgets `adapter`, so that the next update reports it again if its name is there: a driver
    /// that ended leaves its name behind, and its successor takes it over.
    pub fn forget(&mut self, adapter: &str) {
        self.known.remove(adapter);
    }
}

/// The adapter that the scheme of this name serves.
pub fn adapter_name(scheme: &str) -> Option<&str> {
    scheme
        .strip_prefix(SCHEME_PREFIX)
        .filter(|name| !name.is_empty())
}

struct Entry<'a> {
    next_opaque_id: u64,
    name: &'a str,
}

/// The entries in `bytes`, which another process wrote: each a header, a name and a NUL. Ends at the
/// first that is malformed.
fn entries(mut bytes: &[u8]) -> impl Iterator<Item = Entry<'_>> {
    core::iter::from_fn(move || {
        let mut header = DirentHeader::default();
        header.copy_from_slice(bytes.get(..size_of::<DirentHeader>())?);
        let length = usize::from(header.record_len);
        let record = bytes.get(size_of::<DirentHeader>()..length)?;
        bytes = bytes.get(length..)?;
        // Records are padded: the name ends at the first NUL.
        let name = record.split(|byte| *byte == 0).next()?;
        let name = core::str::from_utf8(name).unwrap_or_default();
        Some(Entry {
            next_opaque_id: header.next_opaque_id,
            name,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use syscall::dirent::{DirEntry, DirentBuf, DirentKind};

    fn listing(names: &[&str]) -> Vec<u8> {
        let mut bytes = vec![0; 4096];
        let mut buffer = DirentBuf::new(&mut bytes[..], size_of::<DirentHeader>() as u16).unwrap();
        for (index, name) in names.iter().enumerate() {
            let next_opaque_id = index as u64 + 1;
            buffer
                .entry(DirEntry {
                    inode: 0,
                    next_opaque_id,
                    name,
                    kind: DirentKind::Unspecified,
                })
                .unwrap();
        }
        let length = buffer.finalize();
        bytes.truncate(length);
        bytes
    }

    #[test]
    fn the_names_come_out_as_the_namespace_wrote_them() {
        let bytes = listing(&[
            "memory",
            "network.pci-0000-00-03.0_virtio_net",
            "network.",
            "networking",
            "tcp",
        ]);
        let names: Vec<&str> = entries(&bytes).map(|entry| entry.name).collect();
        assert_eq!(names.len(), 5);
        let adapters: Vec<&str> = names.into_iter().filter_map(adapter_name).collect();
        assert_eq!(adapters, ["pci-0000-00-03.0_virtio_net"]);
    }

    #[test]
    fn a_listing_that_lies_about_its_lengths_ends_and_does_not_panic() {
        let good = listing(&["network.a", "network.b"]);
        for cut in 0..good.len() {
            assert!(entries(&good[..cut]).count() <= 2);
        }
        let record_len = core::mem::offset_of!(DirentHeader, record_len);
        for length in [0_u16, 1, 18, 19, 20, 100, u16::MAX] {
            let mut bad = good.clone();
            bad[record_len..record_len + 2].copy_from_slice(&length.to_ne_bytes());
            assert!(entries(&bad).count() <= 3, "{length}");
        }
    }

    #[test]
    fn a_driver_that_comes_back_is_reported_again() {
        let set = |names: &[&str]| {
            names
                .iter()
                .map(|name| name.to_string())
                .collect::<BTreeSet<_>>()
        };
        let mut discovery = Discovery::default();
        assert_eq!(discovery.update(set(&["a", "b"])).appeared, ["a", "b"]);
        assert_eq!(discovery.update(set(&["a", "b"])), Changes::default());
        assert_eq!(discovery.update(set(&["a"])).disappeared, ["b"]);
        discovery.forget("a");
        assert_eq!(discovery.update(set(&["a"])).appeared, ["a"]);
    }
}
