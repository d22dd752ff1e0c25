//! All flows: found by key, served when dirty or due, held back while their link is full.

use core::hash::BuildHasher;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use siphasher::sip::SipHasher13;
use smoltcp::time::Instant;

use super::{Connection, Flow, FlowKey, HalfOpen, Phase, TimeWait};
use crate::output::Path;
use crate::ports::LinkId;

/// A flow's number: its place, and how often the place was used before, so that a late timer reaches nobody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlowId {
    index: u32,
    generation: u32,
}

/// SipHash under a secret key: a peer that chooses its ports cannot choose what collides.
#[derive(Clone, Copy, Debug)]
pub struct Keyed(pub u64, pub u64);

impl BuildHasher for Keyed {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_keys(self.0, self.1)
    }
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    flow: Option<Flow>,
}

/// The flow table.
#[derive(Debug)]
pub struct Flows {
    slots: Vec<Slot>,
    free: Vec<u32>,
    by_key: HashMap<FlowKey, FlowId, Keyed>,
    /// How many keys have a local port.
    by_port: HashMap<u16, usize, Keyed>,
    /// One entry per flow at most. An entry may be too early, when the deadline has moved on since: a timer that is
    /// moved with every packet then costs nothing per packet.
    timers: BTreeSet<(Instant, FlowId)>,
    dirty: VecDeque<FlowId>,
    blocked: BTreeMap<LinkId, VecDeque<FlowId>>,
}

impl Flows {
    /// No flows, hashed under `key`.
    pub fn new(key: Keyed) -> Flows {
        Flows {
            slots: Vec::new(),
            free: Vec::new(),
            by_key: HashMap::with_hasher(key),
            by_port: HashMap::with_hasher(key),
            timers: BTreeSet::new(),
            dirty: VecDeque::new(),
            blocked: BTreeMap::new(),
        }
    }

    /// Takes a flow in under its key, which no other flow may have. None if one has, or if numbers have run out.
    pub fn insert(&mut self, flow: Flow) -> Option<FlowId> {
        if self.by_key.contains_key(&flow.key) {
            return None;
        }
        let key = flow.key;
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                let index = u32::try_from(self.slots.len()).ok()?;
                self.slots.push(Slot::default());
                index
            }
        };
        let slot = self.slots.get_mut(index as usize)?;
        slot.flow = Some(flow);
        let id = FlowId {
            index,
            generation: slot.generation,
        };
        self.by_key.insert(key, id);
        let users = self.by_port.entry(key.local.port()).or_default();
        *users = users.saturating_add(1);
        Some(id)
    }

    /// Gives a flow's key free for another while the flow itself stays, to be read from: it is not served any more.
    pub fn detach(&mut self, id: FlowId) -> bool {
        let Some(flow) = self.get_mut(id) else {
            return false;
        };
        let (key, timer) = (flow.key, flow.timer.take());
        flow.deadline = None;
        if let Some(timer) = timer {
            self.timers.remove(&(timer, id));
        }
        let attached = self.by_key.get(&key) == Some(&id);
        if attached {
            self.by_key.remove(&key);
            self.release_port(key.local.port());
        }
        attached
    }

    fn release_port(&mut self, port: u16) {
        if let Some(users) = self.by_port.get_mut(&port) {
            *users = users.saturating_sub(1);
            if *users == 0 {
                self.by_port.remove(&port);
            }
        }
    }

    /// Has any key this local port?
    pub fn uses_port(&self, port: u16) -> bool {
        self.by_port.contains_key(&port)
    }

    /// Is it found by its key?
    pub fn is_attached(&self, id: FlowId) -> bool {
        self.get(id)
            .is_some_and(|flow| self.by_key.get(&flow.key) == Some(&id))
    }

    /// Takes a flow out. What of it is on lists is stepped over when its turn comes.
    pub fn remove(&mut self, id: FlowId) -> Option<Flow> {
        self.detach(id);
        let slot = self
            .slots
            .get_mut(id.index as usize)
            .filter(|slot| slot.generation == id.generation)?;
        let flow = slot.flow.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(id.index);
        Some(flow)
    }

    /// The flow of that number.
    pub fn get(&self, id: FlowId) -> Option<&Flow> {
        self.slots
            .get(id.index as usize)
            .filter(|slot| slot.generation == id.generation)?
            .flow
            .as_ref()
    }

    /// The flow of that number.
    pub fn get_mut(&mut self, id: FlowId) -> Option<&mut Flow> {
        self.slots
            .get_mut(id.index as usize)
            .filter(|slot| slot.generation == id.generation)?
            .flow
            .as_mut()
    }

    /// A half-open flow, with its name and way out.
    pub fn half_open_mut(&mut self, id: FlowId) -> Option<(FlowKey, Path, &mut HalfOpen)> {
        let flow = self.get_mut(id)?;
        match &mut flow.phase {
            Phase::HalfOpen(half) => Some((flow.key, flow.path, half)),
            Phase::Open(_) | Phase::TimeWait(_) => None,
        }
    }

    /// A flow in TIME-WAIT, with its name and way out.
    pub fn time_wait_mut(&mut self, id: FlowId) -> Option<(FlowKey, Path, &mut TimeWait)> {
        let flow = self.get_mut(id)?;
        match &mut flow.phase {
            Phase::TimeWait(time_wait) => Some((flow.key, flow.path, time_wait)),
            Phase::Open(_) | Phase::HalfOpen(_) => None,
        }
    }

    /// A connection, or what is left of it.
    pub fn connection(&self, id: FlowId) -> Option<&Connection> {
        match &self.get(id)?.phase {
            Phase::Open(connection) => Some(connection),
            Phase::HalfOpen(_) | Phase::TimeWait(_) => None,
        }
    }

    /// A connection, or what is left of it, with its name and way out.
    pub fn connection_mut(&mut self, id: FlowId) -> Option<(FlowKey, Path, &mut Connection)> {
        let flow = self.get_mut(id)?;
        match &mut flow.phase {
            Phase::Open(connection) => Some((flow.key, flow.path, connection)),
            Phase::HalfOpen(_) | Phase::TimeWait(_) => None,
        }
    }

    /// The flow of that key.
    pub fn find(&self, key: &FlowKey) -> Option<FlowId> {
        self.by_key.get(key).copied()
    }

    /// Every flow that is attached.
    pub fn ids(&self) -> impl Iterator<Item = FlowId> + '_ {
        self.by_key.values().copied()
    }

    /// How many keys are taken.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Is no key taken?
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// Has the flow served at the next poll, room on its link or not: it may have come to its end, or owe nothing more.
    pub fn mark_dirty(&mut self, id: FlowId) {
        if let Some(flow) = self.get_mut(id)
            && !flow.dirty
        {
            flow.dirty = true;
            self.dirty.push_back(id);
        }
    }

    /// The next flow to serve.
    pub fn next_dirty(&mut self) -> Option<FlowId> {
        while let Some(id) = self.dirty.pop_front() {
            if let Some(flow) = self.get_mut(id) {
                flow.dirty = false;
                return Some(id);
            }
        }
        None
    }

    /// Is there a flow to serve?
    pub fn any_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// Holds a flow back until its link has room.
    pub fn block(&mut self, id: FlowId) {
        if let Some(flow) = self.get_mut(id)
            && !flow.blocked
        {
            flow.blocked = true;
            let link = flow.path.link;
            let waiting = self.blocked.entry(link).or_default();
            waiting.push_back(id);
            // Those that have gone are not taken from the list one by one.
            if waiting.len() > self.by_key.len().saturating_mul(2).saturating_add(64) {
                self.forget_gone(link);
            }
        }
    }

    /// Of those that wait for a link, only who does is remembered, and once.
    fn forget_gone(&mut self, link: LinkId) {
        let mut waiting = self.blocked.remove(&link).unwrap_or_default();
        let mut known = BTreeSet::new();
        let waits = |flow: &Flow| flow.blocked && flow.path.link == link;
        waiting.retain(|&id| self.get(id).is_some_and(waits) && known.insert(id));
        self.blocked.insert(link, waiting);
    }

    /// The links for whose room flows wait.
    pub fn blocked_links(&self) -> Vec<LinkId> {
        self.blocked.keys().copied().collect()
    }

    /// A link has room: those that waited for it are served, the longest waiting first.
    pub fn unblock(&mut self, link: LinkId) {
        for id in self.blocked.remove(&link).unwrap_or_default() {
            if let Some(flow) = self.get_mut(id) {
                flow.blocked = false;
                self.mark_dirty(id);
            }
        }
    }

    /// A flow that waits for room waits no longer: its packets leave by another link now.
    pub fn release(&mut self, id: FlowId) {
        if let Some(flow) = self.get_mut(id)
            && flow.blocked
        {
            flow.blocked = false;
            self.mark_dirty(id);
        }
    }

    /// When the flow is to be served next.
    pub fn schedule(&mut self, id: FlowId, deadline: Option<Instant>) {
        let Some(flow) = self.get_mut(id) else { return };
        flow.deadline = deadline;
        let Some(deadline) = deadline else { return };
        let old = flow.timer;
        if old.is_none_or(|timer| deadline < timer) {
            flow.timer = Some(deadline);
            if let Some(old) = old {
                self.timers.remove(&(old, id));
            }
            self.timers.insert((deadline, id));
        }
    }

    /// Marks the flows whose time has come.
    pub fn expire(&mut self, now: Instant) {
        while let Some(&(at, id)) = self.timers.first()
            && at <= now
        {
            self.timers.pop_first();
            let Some(flow) = self.get_mut(id) else {
                continue;
            };
            flow.timer = None;
            match flow.deadline {
                Some(deadline) if deadline <= now => {
                    flow.deadline = None;
                    self.mark_dirty(id);
                }
                deadline => self.schedule(id, deadline),
            }
        }
    }

    /// Brings the earliest timer up to date, so that nobody is woken for a deadline that has moved.
    pub fn settle(&mut self) {
        while let Some(&(at, id)) = self.timers.first() {
            let deadline = self.get(id).and_then(|flow| flow.deadline);
            if deadline == Some(at) {
                return;
            }
            self.timers.pop_first();
            if let Some(flow) = self.get_mut(id) {
                flow.timer = None;
                self.schedule(id, deadline);
            }
        }
    }

    /// The earliest deadline; exact after [`Flows::settle`].
    pub fn next_deadline(&self) -> Option<Instant> {
        self.timers.first().map(|&(at, _)| at)
    }
}

/// Flows of one kind in the order of their age, for bounds at which the oldest goes.
#[derive(Debug, Default)]
pub struct Ages {
    next: u64,
    flows: BTreeMap<u64, FlowId>,
}

impl Ages {
    /// Takes the youngest in. Returns its age mark, for [`Ages::remove`].
    pub fn push(&mut self, id: FlowId) -> u64 {
        let mark = self.next;
        self.next = self.next.wrapping_add(1);
        self.flows.insert(mark, id);
        mark
    }

    /// Takes one out.
    pub fn remove(&mut self, mark: u64) {
        self.flows.remove(&mark);
    }

    /// The oldest.
    pub fn oldest(&self) -> Option<FlowId> {
        self.flows.first_key_value().map(|(_, &id)| id)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.flows.len()
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }
}

#[cfg(test)]
mod tests;
