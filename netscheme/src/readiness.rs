//! When to tell the watchers of a handle that it is ready.
//!
//! Event queues are edge triggered, and the kernel keeps every posted event until its reader takes
//! it: posting too little hangs a client, posting too much costs kernel memory without a bound. A
//! handle's [`Readiness`] posts when it turns from not ready to ready, and once more for new data if
//! the client has acted since the last post. Before anybody watches, nothing is posted.

use syscall::flag::EventFlags;

/// What the watchers of one handle want and know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// What somebody watches for: the union over all queues, as the kernel gives it to `fevent`.
    wanted: EventFlags,
    /// What was ready when last seen.
    ready: EventFlags,
    /// What was posted and not acted upon since.
    told: EventFlags,
}

impl Readiness {
    /// Answers `fevent`: remembers what is watched and returns what of it is ready now, which the
    /// kernel reports to the watchers.
    pub fn watch(&mut self, wanted: EventFlags, ready: EventFlags) -> EventFlags {
        self.wanted = wanted;
        self.ready = ready;
        self.told = ready & wanted;
        self.told
    }

    /// Whether anybody watches for any of `flags`.
    pub fn watched(&self, flags: EventFlags) -> bool {
        self.wanted.intersects(flags)
    }

    /// The client read (`EVENT_READ`) or wrote (`EVENT_WRITE`): whatever it was told, it has seen.
    pub fn acted(&mut self, flags: EventFlags) {
        self.told -= flags;
    }

    /// The client was told to wait for `flags`: whatever is ready the next time is news, even if it
    /// became so before anybody looked again.
    pub fn would_block(&mut self, flags: EventFlags) {
        self.ready -= flags;
        self.told -= flags;
    }

    /// `ready` is the state now; the flags to post are those that became ready.
    #[must_use = "the returned flags are to be posted"]
    pub fn update(&mut self, ready: EventFlags) -> EventFlags {
        let became = ready - self.ready;
        self.told &= ready;
        self.ready = ready;
        self.tell(became)
    }

    /// `ready` is the state now and `arrived` of it is new (another frame, another connection): the
    /// flags to post are those that became ready or are new and not posted already.
    #[must_use = "the returned flags are to be posted"]
    pub fn arrived(&mut self, ready: EventFlags, arrived: EventFlags) -> EventFlags {
        let became = self.update(ready);
        became | self.tell(ready & arrived)
    }

    fn tell(&mut self, flags: EventFlags) -> EventFlags {
        let news = flags & self.wanted & !self.told;
        self.told |= news;
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: EventFlags = EventFlags::empty();
    const READ: EventFlags = EventFlags::EVENT_READ;
    const WRITE: EventFlags = EventFlags::EVENT_WRITE;

    #[test]
    fn what_was_ready_before_anybody_watched_is_told_at_the_start() {
        let mut readiness = Readiness::default();
        assert_eq!(readiness.update(READ), NONE, "nobody watches");
        assert_eq!(readiness.watch(READ | WRITE, READ), READ);
        assert_eq!(readiness.update(READ), NONE, "already told");
    }

    #[test]
    fn only_the_edge_is_posted() {
        let mut readiness = Readiness::default();
        readiness.watch(READ | WRITE, NONE);
        assert_eq!(readiness.update(WRITE), WRITE);
        assert_eq!(readiness.update(WRITE), NONE);
        assert_eq!(readiness.update(READ | WRITE), READ);
        assert_eq!(readiness.update(NONE), NONE);
        assert_eq!(readiness.update(READ | WRITE), READ | WRITE);
    }

    #[test]
    fn a_client_that_never_looks_costs_one_event_and_not_one_per_frame() {
        let mut readiness = Readiness::default();
        readiness.watch(READ, NONE);
        let posted = (0..1_000)
            .filter(|_| readiness.arrived(READ, READ) == READ)
            .count();
        assert_eq!(posted, 1);
    }

    #[test]
    fn a_client_that_read_a_part_hears_of_the_next_frame() {
        let mut readiness = Readiness::default();
        readiness.watch(READ, NONE);
        assert_eq!(readiness.arrived(READ, READ), READ);
        readiness.acted(READ);
        assert_eq!(
            readiness.update(READ),
            NONE,
            "a read that leaves data is no news"
        );
        assert_eq!(readiness.arrived(READ, READ), READ);
    }

    #[test]
    fn what_arrives_between_the_last_look_and_the_sleep_is_posted() {
        let mut readiness = Readiness::default();
        readiness.watch(READ, READ);
        // The client reads until it would block; a frame comes before the turn ends.
        readiness.acted(READ);
        readiness.would_block(READ);
        assert_eq!(readiness.update(READ), READ);
    }

    #[test]
    fn what_nobody_watches_is_not_posted() {
        let mut readiness = Readiness::default();
        readiness.watch(READ, NONE);
        assert_eq!(readiness.update(WRITE), NONE);
        assert!(!readiness.watched(WRITE));
        assert_eq!(
            readiness.watch(READ | WRITE, WRITE),
            WRITE,
            "a later watcher is told"
        );
    }
}
