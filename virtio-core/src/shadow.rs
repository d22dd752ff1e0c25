//! The driver's own memory of what it posted. The descriptor table is written and never read: what the device makes
//! of it changes nothing here.

use alloc::vec::Vec;
use core::mem;

use crate::chain::Chain;
use crate::fault::DeviceFault;

/// A chain that is posted.
pub(crate) struct Posted {
    pub(crate) chain: Chain,
    /// Bytes that the device may write.
    pub(crate) room: u32,
    /// Descriptors that the chain takes up.
    descriptors: u16,
    /// How many chains were posted before this one.
    number: u64,
}

/// Which descriptors are free, and which chain has the others.
pub(crate) struct Shadow {
    size: u16,
    /// Last in, first out: what was used last is warm.
    free: Vec<u16>,
    /// Which descriptor follows in a chain.
    links: Vec<u16>,
    /// By the id of the first descriptor.
    chains: Vec<Option<Posted>>,
    /// Chains posted so far.
    posted: u64,
}

impl Shadow {
    pub(crate) fn new(size: u16) -> Self {
        Self {
            size,
            free: (0..size).rev().collect(),
            links: (0..size).map(|_| 0).collect(),
            chains: (0..size).map(|_| None).collect(),
            posted: 0,
        }
    }

    pub(crate) fn size(&self) -> u16 {
        self.size
    }

    pub(crate) fn free(&self) -> u16 {
        // At most `size`.
        self.free.len() as u16
    }

    /// Chains posted so far.
    pub(crate) fn posted(&self) -> u64 {
        self.posted
    }

    /// The descriptors that the next chain of `count` gets, its head first; `None` if fewer are free.
    pub(crate) fn next(&self, count: u16) -> Option<(u16, &[u16])> {
        let from = self.free.len().checked_sub(usize::from(count))?;
        let ids = self.free.get(from..)?;
        Some((*ids.first()?, ids))
    }

    /// Enters a chain on the descriptors that `next` gave for the same `count`.
    pub(crate) fn enter(&mut self, chain: Chain, count: u16, room: u32) {
        let from = self.free.len().saturating_sub(usize::from(count));
        let ids = self.free.get(from..).unwrap_or_default();
        for (id, next) in ids.iter().zip(ids.iter().skip(1)) {
            if let Some(link) = self.links.get_mut(usize::from(*id)) {
                *link = *next;
            }
        }
        let head = ids.first().map(|head| usize::from(*head));
        if let Some(place) = head.and_then(|head| self.chains.get_mut(head)) {
            *place = Some(Posted {
                chain,
                room,
                descriptors: count,
                number: self.posted,
            });
        }
        self.free.truncate(from);
        self.posted = self.posted.saturating_add(1);
    }

    /// The chain that the device means by `id`, if it has one: the first `published` chains were given to it.
    pub(crate) fn find(&self, id: u32, published: u64) -> Result<(u16, &Posted), DeviceFault> {
        let size = self.size;
        let number = u16::try_from(id).ok().filter(|id| *id < size);
        let id = number.ok_or(DeviceFault::UsedIdOutOfRange { id, size })?;
        let posted = self.chains.get(usize::from(id)).and_then(Option::as_ref);
        let posted = posted.filter(|posted| posted.number < published);
        Ok((id, posted.ok_or(DeviceFault::UsedIdNotOutstanding { id })?))
    }

    /// Gives the descriptors of a chain free, and the chain out.
    pub(crate) fn release(&mut self, id: u16) -> Option<Chain> {
        let Posted {
            chain, descriptors, ..
        } = self.chains.get_mut(usize::from(id))?.take()?;
        let mut next = id;
        for _ in 0..descriptors {
            self.free.push(next);
            next = self
                .links
                .get(usize::from(next))
                .copied()
                .unwrap_or_default();
        }
        Some(chain)
    }

    /// Gives all chains out, and every descriptor free.
    pub(crate) fn clear(&mut self) -> Vec<Chain> {
        let empty = Self {
            posted: self.posted,
            ..Self::new(self.size)
        };
        let chains = mem::replace(self, empty).chains;
        chains
            .into_iter()
            .flatten()
            .map(|posted| posted.chain)
            .collect()
    }
}
