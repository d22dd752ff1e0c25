//! Which multicast groups an adapter listens to, and what routers are told of it: the host's part of IGMPv3 (RFC 3376)
//! and MLDv2 (RFC 3810), which are one protocol in two clothes, and of the older versions that a router may want
//! (IGMPv2, RFC 2236; MLDv1, RFC 2710). Groups are joined for any source.

mod handle;
mod igmp;
mod mld;
mod report;

use core::net::{IpAddr, Ipv4Addr};
use std::collections::BTreeMap;

use smoltcp::time::{Duration, Instant};

use super::ipv6::packet::ALL_NODES;
use super::random::Random;

use self::report::Report;

/// Groups of one family that an adapter may listen to. Those in which its own addresses are asked for have room beside
/// them.
pub const MAX_GROUPS: usize = 256;

/// RFC 3376 section 8.1, RFC 3810 section 9.1: [Robustness Variable], how often a change is told.
const ROBUSTNESS: u8 = 2;
/// RFC 3376 section 8.11, RFC 3810 section 9.11: [Unsolicited Report Interval]
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// RFC 2236 section 8.10, RFC 2710 section 7.10: the same of the older versions.
const OLDER_REPORT_INTERVAL: Duration = Duration::from_secs(10);
/// RFC 3376 section 8.12, RFC 3810 section 9.12: robustness times the query interval of 125 s, and the 10 s of a
/// response.
const OLDER_QUERIER_PRESENT: Duration = Duration::from_secs(260);

/// RFC 1112 section 4
const ALL_HOSTS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);

/// Why a group was not joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupError {
    /// Not a multicast address.
    Invalid,
    /// The adapter listens to [`MAX_GROUPS`].
    TooMany,
}

/// A query, of whatever version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Query {
    /// About this group; `None`: about all.
    group: Option<IpAddr>,
    /// The latest that may be answered.
    within: Duration,
    /// Is it of a version before the current one?
    older: bool,
}

/// What came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Received {
    Query(Query),
    /// Another host listens to this group.
    Report(IpAddr),
    /// Nothing that concerns a host.
    Nothing,
}

#[derive(Debug, Default)]
struct Membership {
    /// How many joined; 0: it was left, and routers are still being told.
    references: usize,
    /// How often the change has still to be told, and when next.
    changes: u8,
    change_at: Option<Instant>,
    /// When a query is to be answered.
    answer_at: Option<Instant>,
}

/// The groups of one family.
#[derive(Debug)]
pub(super) struct Groups {
    memberships: BTreeMap<IpAddr, Membership>,
    /// Are there others: is it Ethernet, and is there a carrier?
    up: bool,
    /// When the general query is to be answered.
    general_at: Option<Instant>,
    /// Until then there is a router of an older version.
    older_until: Option<Instant>,
    /// The first of all times above but the last.
    deadline: Option<Instant>,
    random: Random,
}

impl Groups {
    pub(super) fn new(up: bool, random: Random) -> Groups {
        Groups {
            memberships: BTreeMap::new(),
            up,
            general_at: None,
            older_until: None,
            deadline: None,
            random,
        }
    }

    /// Does the adapter listen to `group`? To all nodes, or all hosts, it always does (RFC 4291 section 2.8, RFC 1112
    /// section 7.2).
    pub(super) fn contains(&self, group: IpAddr) -> bool {
        let joined = |membership: &Membership| membership.references > 0;
        is_always_joined(group) || self.memberships.get(&group).is_some_and(joined)
    }

    /// One more wants to listen to `group`, which may be the last of `most`.
    pub(super) fn join(
        &mut self,
        now: Instant,
        group: IpAddr,
        most: usize,
    ) -> Result<(), GroupError> {
        if !group.is_multicast() {
            return Err(GroupError::Invalid);
        }
        if !self.memberships.contains_key(&group) && self.memberships.len() >= most {
            // Of one that was left, all that is missing is a repetition.
            let left = self
                .memberships
                .iter()
                .find(|(_, left)| left.references == 0);
            let left = left.map(|(group, _)| *group).ok_or(GroupError::TooMany)?;
            self.memberships.remove(&left);
        }
        let tell = self.up && is_reported(group);
        let membership = self.memberships.entry(group).or_default();
        membership.references = membership.references.saturating_add(1);
        if membership.references == 1 {
            membership.answer_at = None;
            membership.tell(now, tell);
        }
        self.update_deadline();
        Ok(())
    }

    /// One less does. False when nobody did.
    pub(super) fn leave(&mut self, now: Instant, group: IpAddr) -> bool {
        let tell = self.up && is_reported(group);
        let Some(membership) = self
            .memberships
            .get_mut(&group)
            .filter(|membership| membership.references > 0)
        else {
            return false;
        };
        membership.references = membership.references.saturating_sub(1);
        if membership.references == 0 {
            membership.answer_at = None;
            membership.tell(now, tell);
            if !tell {
                self.memberships.remove(&group);
            }
        }
        self.update_deadline();
        true
    }

    /// The carrier came (everything is told anew) or went.
    pub(super) fn set_up(&mut self, now: Instant, up: bool) {
        self.up = up;
        self.older_until = None;
        self.general_at = None;
        self.memberships
            .retain(|_, membership| membership.references > 0);
        for (group, membership) in &mut self.memberships {
            membership.answer_at = None;
            membership.tell(now, up && is_reported(*group));
        }
        self.update_deadline();
    }

    /// A router asks: RFC 3376 section 5.2, RFC 3810 section 6.2.
    fn query(&mut self, now: Instant, query: &Query) {
        if query.older {
            self.hear_older_querier(now);
        }
        let at = now + self.random.between(Duration::ZERO, query.within);
        let sooner = |planned: Option<Instant>| Some(planned.map_or(at, |planned| planned.min(at)));
        match query.group {
            // Rule 1: an answer about all groups comes sooner.
            _ if self.general_at.is_some_and(|general| general <= at) => {}
            None if self.is_older(now) => self.spread(now, query.within),
            None => self.general_at = Some(at),
            Some(group) => {
                let asked = self
                    .memberships
                    .get_mut(&group)
                    .filter(|asked| asked.references > 0);
                if let Some(asked) = asked.filter(|_| is_reported(group)) {
                    asked.answer_at = sooner(asked.answer_at);
                }
            }
        }
        self.update_deadline();
    }

    /// RFC 2236 section 3, RFC 2710 section 4: each group is answered for at a time of its own.
    fn spread(&mut self, now: Instant, within: Duration) {
        let asked = self
            .memberships
            .iter_mut()
            .filter(|(group, asked)| asked.references > 0 && is_reported(**group));
        for (_, asked) in asked {
            let at = now + self.random.between(Duration::ZERO, within);
            asked.answer_at = Some(asked.answer_at.map_or(at, |planned| planned.min(at)));
        }
    }

    /// RFC 3376 section 7.2.1, RFC 3810 section 8.2.1: what was to be said in the language of before is not said.
    fn hear_older_querier(&mut self, now: Instant) {
        if !self.is_older(now) {
            self.general_at = None;
            self.memberships
                .retain(|_, membership| membership.references > 0);
            for membership in self.memberships.values_mut() {
                membership.answer_at = None;
                membership.tell(now, false);
            }
        }
        self.older_until = Some(now + OLDER_QUERIER_PRESENT);
    }

    /// Somebody else answered for `group`: among older routers one answer is enough (RFC 2236 section 3, RFC 2710
    /// section 4).
    fn hear_report(&mut self, now: Instant, group: IpAddr) {
        if self.is_older(now) {
            if let Some(membership) = self.memberships.get_mut(&group) {
                membership.answer_at = None;
            }
            self.update_deadline();
        }
    }

    fn is_older(&self, now: Instant) -> bool {
        self.older_until.is_some_and(|until| now < until)
    }

    /// When [`Groups::poll`] is wanted next.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadline
    }

    fn update_deadline(&mut self) {
        let times = |membership: &Membership| [membership.change_at, membership.answer_at];
        let all = self
            .memberships
            .values()
            .flat_map(times)
            .chain([self.general_at]);
        self.deadline = all.flatten().min();
    }
}

impl Membership {
    /// It was joined or left: routers are told now and, as far as the robustness goes, again.
    fn tell(&mut self, now: Instant, tell: bool) {
        self.changes = if tell { ROBUSTNESS } else { 0 };
        self.change_at = tell.then_some(now);
    }
}

fn is_always_joined(group: IpAddr) -> bool {
    group == IpAddr::V4(ALL_HOSTS) || group == IpAddr::V6(ALL_NODES)
}

/// RFC 3376 section 5, RFC 3810 section 5.2.13: nobody reports the group of all hosts, nor what does not leave the host.
fn is_reported(group: IpAddr) -> bool {
    match group {
        IpAddr::V4(group) => group != ALL_HOSTS,
        IpAddr::V6(group) => {
            let [_, flags_and_scope, ..] = group.octets();
            group != ALL_NODES && flags_and_scope & 0x0f > 1
        }
    }
}
