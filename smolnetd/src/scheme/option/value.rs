//! The bytes of an option.

use core::net::IpAddr;

use syscall::error::{EINVAL, ENODEV, Error, Result};

use crate::ports::LinkId;
use crate::stack::Stack;

/// The bytes of an option, in the C library's layout and native byte order.
pub(super) struct Value<'a>(pub(super) &'a [u8]);

impl Value<'_> {
    pub(super) fn bytes<const N: usize>(&self, at: usize) -> Result<[u8; N]> {
        let bytes = self.0.get(at..).and_then(|rest| rest.first_chunk());
        bytes.copied().ok_or(Error::new(EINVAL))
    }

    pub(super) fn int(&self, at: usize) -> Result<i32> {
        self.bytes(at).map(i32::from_ne_bytes)
    }

    pub(super) fn flag(&self) -> Result<bool> {
        self.int(0).map(|value| value != 0)
    }

    /// A number within a range of an int's.
    pub(super) fn within(&self, range: core::ops::RangeInclusive<i32>) -> Result<u32> {
        let value = Some(self.int(0)?).filter(|value| range.contains(value));
        let value = value.and_then(|value| u32::try_from(value).ok());
        value.ok_or(Error::new(EINVAL))
    }

    pub(super) fn size(&self) -> Result<usize> {
        usize::try_from(self.int(0)?).map_err(|_| Error::new(EINVAL))
    }

    /// What of IPv4's multicast may be a byte as well as an int.
    pub(super) fn small(&self) -> Result<i32> {
        match self.0 {
            [byte] => Ok(i32::from(*byte)),
            _ => self.int(0),
        }
    }

    /// A hop limit; -1 is the usual one.
    pub(super) fn hops(&self, usual: u8) -> Result<u8> {
        match self.small()? {
            -1 => Ok(usual),
            hops => u8::try_from(hops).map_err(|_| Error::new(EINVAL)),
        }
    }

    /// The number of a link (what the scope id of an address is); 0 leaves it open.
    pub(super) fn link(&self, at: usize) -> Result<Option<LinkId>> {
        let number = u32::from_ne_bytes(self.bytes(at)?);
        Ok((number != 0).then_some(LinkId(number)))
    }

    /// `struct in_addr`, or `struct ip_mreqn` from its second field on: a link by an address that it has, or by its
    /// number behind that.
    pub(super) fn link_of_address(&self, at: usize, stack: &Stack) -> Result<Option<LinkId>> {
        if let Ok(Some(link)) = self.link(at.saturating_add(4)) {
            return Ok(Some(link));
        }
        let address = IpAddr::from(self.bytes::<4>(at)?);
        if address.is_unspecified() {
            return Ok(None);
        }
        let mut links = stack.links();
        let link = links.find(|link| link.has_address(address));
        let link = link.ok_or(Error::new(ENODEV))?;
        Ok(Some(link.id()))
    }
}
