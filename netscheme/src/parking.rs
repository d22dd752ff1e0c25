//! Calls that wait: which, in what order, until when. Knows nothing of the kernel.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;

use libredox::protocol::SocketCall;

use crate::time::Instant;

/// What a call that may wait asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallKind {
    /// `read`.
    Read,
    /// `write`.
    Write,
    /// `dup` with a path: `accept`, `connect` and the like.
    Dup,
    /// `SYS_CALL` with this first word of metadata (a `SocketCall` for sockets).
    Call(u64),
    /// A request for file descriptors.
    RecvFd,
    /// Anything else.
    Other,
}

impl CallKind {
    /// Calls of one lane wait for the same thing.
    pub(crate) fn lane(self) -> Lane {
        const RECV_MSG: u64 = SocketCall::RecvMsg as u64;
        const SEND_MSG: u64 = SocketCall::SendMsg as u64;
        match self {
            CallKind::Read | CallKind::Call(RECV_MSG) => Lane::Read,
            CallKind::Write | CallKind::Call(SEND_MSG) => Lane::Write,
            _ => Lane::Other,
        }
    }
}

/// The queues of one handle. A blocked reader does not hide a writer; within [`Lane::Read`] and
/// [`Lane::Write`] the first that must wait makes all behind it wait, which keeps their order, while
/// the calls in [`Lane::Other`] have nothing to do with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lane {
    Read,
    Write,
    Other,
}

impl Lane {
    pub(crate) const ALL: [Lane; 3] = [Lane::Read, Lane::Write, Lane::Other];

    /// Whether a call that must wait makes those behind it wait too.
    pub(crate) fn in_order(self) -> bool {
        self != Lane::Other
    }
}

/// Where a call waits: its handle, its lane, and its turn there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) handle: usize,
    pub(crate) lane: Lane,
    turn: u64,
}

/// When a call stops waiting, and the error it then gets.
pub(crate) type Deadline = (Instant, i32);

struct Waiting<K, C> {
    tag: K,
    call: C,
    deadline: Option<Deadline>,
}

/// The calls that wait: `K` is the tag by which the kernel knows a call, `C` the call.
pub(crate) struct Parking<K, C> {
    waiting: BTreeMap<Place, Waiting<K, C>>,
    places: HashMap<K, Place>,
    deadlines: BTreeSet<(Instant, Place)>,
    limit: usize,
    next_turn: u64,
}

impl<K: Copy + Eq + Hash, C> Parking<K, C> {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            waiting: BTreeMap::new(),
            places: HashMap::new(),
            deadlines: BTreeSet::new(),
            limit,
            next_turn: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    pub(crate) fn is_full(&self) -> bool {
        self.waiting.len() >= self.limit
    }

    /// Parks `call` at the end of its lane. The caller has looked at [`Parking::is_full`].
    pub(crate) fn park(
        &mut self,
        tag: K,
        handle: usize,
        lane: Lane,
        call: C,
        deadline: Option<Deadline>,
    ) {
        let place = Place {
            handle,
            lane,
            turn: self.next_turn,
        };
        self.next_turn = self.next_turn.wrapping_add(1);
        self.put(
            place,
            Waiting {
                tag,
                call,
                deadline,
            },
        );
    }

    /// Takes the call at `place` out, runs it, and puts it back where it was if `run` returns it.
    /// Returns whether it left.
    pub(crate) fn try_run(&mut self, place: Place, run: impl FnOnce(C) -> Option<C>) -> bool {
        let Some(Waiting {
            tag,
            call,
            deadline,
        }) = self.take(place)
        else {
            return false;
        };
        match run(call) {
            Some(call) => {
                self.put(
                    place,
                    Waiting {
                        tag,
                        call,
                        deadline,
                    },
                );
                false
            }
            None => true,
        }
    }

    /// The first call that waits on `handle` in `lane`, after `after` if that is given.
    pub(crate) fn next(&self, handle: usize, lane: Lane, after: Option<Place>) -> Option<Place> {
        let first = match after {
            Some(place) => Place {
                turn: place.turn.checked_add(1)?,
                ..place
            },
            None => Place {
                handle,
                lane,
                turn: 0,
            },
        };
        let last = Place {
            handle,
            lane,
            turn: u64::MAX,
        };
        self.waiting
            .range(first..=last)
            .next()
            .map(|(place, _)| *place)
    }

    /// The call that the kernel knows by `tag`, if it waits, and where it waited.
    pub(crate) fn remove_tag(&mut self, tag: K) -> Option<(Place, C)> {
        let place = *self.places.get(&tag)?;
        self.take(place).map(|waiting| (place, waiting.call))
    }

    /// The next call that waits on `handle`, in whatever lane.
    pub(crate) fn remove_any(&mut self, handle: usize) -> Option<C> {
        let place = Lane::ALL
            .into_iter()
            .find_map(|lane| self.next(handle, lane, None))?;
        self.take(place).map(|waiting| waiting.call)
    }

    /// Where the call waits whose deadline came first and is not after `now`, and its error.
    pub(crate) fn expired(&self, now: Instant) -> Option<(Place, i32)> {
        let (_, place) = self
            .deadlines
            .first()
            .filter(|(deadline, _)| *deadline <= now)?;
        let (_, errno) = self.waiting.get(place)?.deadline?;
        Some((*place, errno))
    }

    /// The earliest deadline of all.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    fn put(&mut self, place: Place, waiting: Waiting<K, C>) {
        self.places.insert(waiting.tag, place);
        if let Some((deadline, _)) = waiting.deadline {
            self.deadlines.insert((deadline, place));
        }
        self.waiting.insert(place, waiting);
    }

    fn take(&mut self, place: Place) -> Option<Waiting<K, C>> {
        let waiting = self.waiting.remove(&place)?;
        self.places.remove(&waiting.tag);
        if let Some((deadline, _)) = waiting.deadline {
            self.deadlines.remove(&(deadline, place));
        }
        Some(waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EAGAIN: i32 = syscall::error::EAGAIN;

    fn parking() -> Parking<u32, &'static str> {
        Parking::new(8)
    }

    fn order(parking: &Parking<u32, &'static str>, handle: usize, lane: Lane) -> Vec<&'static str> {
        let mut place = None;
        let mut order = Vec::new();
        while let Some(next) = parking.next(handle, lane, place) {
            order.push(parking.waiting[&next].call);
            place = Some(next);
        }
        order
    }

    #[test]
    fn a_call_that_must_wait_again_keeps_its_turn() {
        let mut parking = parking();
        parking.park(1, 5, Lane::Read, "first", None);
        parking.park(2, 5, Lane::Read, "second", None);
        let place = parking.next(5, Lane::Read, None).unwrap();
        assert!(!parking.try_run(place, Some));
        assert_eq!(order(&parking, 5, Lane::Read), ["first", "second"]);
        assert!(parking.try_run(place, |_| None));
        assert_eq!(order(&parking, 5, Lane::Read), ["second"]);
    }

    #[test]
    fn handles_and_directions_do_not_see_each_other() {
        let mut parking = parking();
        parking.park(1, 5, Lane::Read, "reader", None);
        parking.park(2, 5, Lane::Write, "writer", None);
        parking.park(3, 6, Lane::Read, "other file", None);
        assert_eq!(order(&parking, 5, Lane::Read), ["reader"]);
        assert_eq!(order(&parking, 5, Lane::Write), ["writer"]);
        assert_eq!(order(&parking, 4, Lane::Read), [""; 0]);
        assert_eq!(parking.remove_any(5), Some("reader"));
        assert_eq!(parking.remove_any(5), Some("writer"));
        assert_eq!(parking.remove_any(5), None);
        assert_eq!(parking.len(), 1);
    }

    #[test]
    fn a_cancelled_call_leaves_no_trace() {
        let mut parking = parking();
        parking.park(
            1,
            5,
            Lane::Read,
            "reader",
            Some((Instant::from_secs(1), EAGAIN)),
        );
        assert_eq!(parking.remove_tag(1).map(|(_, call)| call), Some("reader"));
        assert_eq!(parking.remove_tag(1), None, "a second cancel finds nothing");
        assert_eq!(parking.next_deadline(), None);
        assert_eq!(parking.expired(Instant::MAX), None);
        assert_eq!(parking.len(), 0);
    }

    #[test]
    fn deadlines_come_in_their_order_and_not_before() {
        let mut parking = parking();
        parking.park(1, 5, Lane::Read, "late", Some((Instant::from_secs(2), 110)));
        parking.park(
            2,
            6,
            Lane::Read,
            "early",
            Some((Instant::from_secs(1), EAGAIN)),
        );
        parking.park(3, 7, Lane::Read, "never", None);
        assert_eq!(parking.next_deadline(), Some(Instant::from_secs(1)));
        assert_eq!(parking.expired(Instant::from_millis(999)), None);
        let (place, errno) = parking.expired(Instant::from_secs(1)).unwrap();
        assert_eq!((place.handle, errno), (6, EAGAIN));
        assert!(parking.try_run(place, |_| None));
        assert_eq!(parking.next_deadline(), Some(Instant::from_secs(2)));
    }

    #[test]
    fn ten_thousand_calls_wait_and_end_in_any_order() {
        let mut parking = Parking::new(10_000);
        for tag in 0..10_000_u32 {
            assert!(!parking.is_full());
            let deadline = (tag % 2 == 0).then_some((Instant::from_millis(tag.into()), EAGAIN));
            parking.park(tag, 5, Lane::Read, tag, deadline);
        }
        assert!(parking.is_full());
        for tag in (0..10_000).rev().step_by(4) {
            assert_eq!(parking.remove_tag(tag).map(|(_, call)| call), Some(tag));
        }
        let mut expired = 0;
        while let Some((place, _)) = parking.expired(Instant::MAX) {
            assert!(parking.try_run(place, |_| None));
            expired += 1;
        }
        assert_eq!((expired, parking.len()), (5_000, 2_500));
        let mut last = None;
        while let Some(tag) = parking.remove_any(5) {
            assert!(last < Some(tag), "{tag} after {last:?}");
            last = Some(tag);
        }
        assert_eq!(
            (parking.len(), parking.places.len(), parking.deadlines.len()),
            (0, 0, 0)
        );
    }

    #[test]
    fn receiving_and_sending_by_call_wait_with_read_and_write() {
        assert_eq!(CallKind::Call(5).lane(), Lane::Read);
        assert_eq!(CallKind::Call(4).lane(), Lane::Write);
        assert_eq!(CallKind::Call(9).lane(), Lane::Other);
        assert_eq!(CallKind::Dup.lane(), Lane::Other);
    }
}
