//! What takes too long.

use smoltcp::time::Instant;

use super::probe::Persist;
use super::{Connection, Context, Holder};
use crate::counters::count;
use crate::error::SocketError;
use crate::flow::state::State;
use crate::socket::tcp::{Limits, Reason};

/// The times that a connection remembers.
#[derive(Clone, Debug)]
pub(super) struct Timers {
    opened: Instant,
    /// When the peer said something acceptable last.
    heard: Instant,
    /// When something that was sent was acknowledged last, or began to be sent.
    progress: Instant,
    persist: Option<Persist>,
    /// Keep-alive probes sent since the peer was heard, and when the last of them left.
    keep_alives: u32,
    kept_alive: Instant,
    /// SO_LINGER with a time: by then the peer has everything, or hears a RST.
    linger: Option<Instant>,
}

impl Timers {
    pub(super) fn new(now: Instant) -> Timers {
        Timers {
            opened: now,
            heard: now,
            progress: now,
            persist: None,
            keep_alives: 0,
            kept_alive: now,
            linger: None,
        }
    }

    /// The peer said something acceptable.
    pub(super) fn hear(&mut self, now: Instant) {
        self.heard = now;
        self.keep_alives = 0;
    }

    /// Something was acknowledged, or begins to be sent.
    pub(super) fn progress(&mut self, now: Instant) {
        self.progress = now;
    }

    pub(super) fn opened(&self) -> Instant {
        self.opened
    }

    pub(super) fn heard(&self) -> Instant {
        self.heard
    }

    pub(super) fn persist(&self) -> Option<Persist> {
        self.persist
    }

    pub(super) fn persist_mut(&mut self) -> &mut Option<Persist> {
        &mut self.persist
    }

    pub(super) fn keep_alives(&self) -> u32 {
        self.keep_alives
    }

    pub(super) fn kept_alive(&self) -> Instant {
        self.kept_alive
    }

    /// A keep-alive probe has left.
    pub(super) fn keep_alive(&mut self, now: Instant) {
        self.keep_alives = self.keep_alives.saturating_add(1);
        self.kept_alive = now;
    }
}

/// A time, and what is to be said when it has passed.
type Timeout = (Option<Instant>, Reason);

impl Connection {
    /// What was written must have arrived by `until`, or the connection ends with RST (SO_LINGER).
    pub fn linger(&mut self, until: Instant) {
        self.timers.linger = Some(until);
    }

    /// Is anything sent, or to be sent, that the peer must acknowledge?
    fn awaits_ack(&self) -> bool {
        !self.outgoing.is_empty() || self.state.owes_fin()
    }

    /// What ends a connection when it has passed.
    fn timeouts(&self, limits: &Limits) -> [Timeout; 5] {
        let waits = self.awaits_ack();
        [
            (self.connect_timeout(limits), |counters| {
                &mut counters.connect_timeouts
            }),
            (waits.then(|| self.unanswered_until(limits)), |counters| {
                &mut counters.retransmit_timeouts
            }),
            (self.orphaned_until(limits), |counters| {
                &mut counters.orphan_timeouts
            }),
            (self.timers.linger.filter(|_| waits), |counters| {
                &mut counters.linger_timeouts
            }),
            (self.silent_until(), |counters| {
                &mut counters.keep_alive_timeouts
            }),
        ]
    }

    fn connect_timeout(&self, limits: &Limits) -> Option<Instant> {
        let most = limits.connect_timeout;
        let patience = self
            .settings
            .user_timeout
            .map_or(most, |time| time.min(most));
        self.is_connecting().then(|| self.timers.opened + patience)
    }

    /// R2 of RFC 9293 3.8.3: as long as the peer says anything at all it is there, and may keep its window closed (3.8.6.1).
    /// A user's own timeout (RFC 5482) is for what has left, which is to be acknowledged.
    fn unanswered_until(&self, limits: &Limits) -> Instant {
        let Timers {
            heard, progress, ..
        } = self.timers;
        match self.settings.user_timeout {
            Some(time) if self.is_in_flight() => progress + time,
            Some(time) => heard.max(progress) + time,
            None => heard.max(progress) + limits.retransmit_timeout,
        }
    }

    fn orphaned_until(&self, limits: &Limits) -> Option<Instant> {
        let Holder::Orphan { since, .. } = self.holder else {
            return None;
        };
        let stalled = self.timers.progress.max(since) + limits.orphan_timeout;
        Some(stalled.min(since + limits.orphan_lifetime))
    }

    /// Keep-alive probes were sent, as many as there may be, and the last had its time to be answered.
    fn silent_until(&self) -> Option<Instant> {
        let keep_alive = self.settings.keep_alive.filter(|_| self.established)?;
        let all = self.timers.keep_alives >= keep_alive.count;
        all.then(|| self.timers.kept_alive + keep_alive.interval)
    }

    pub(super) fn time_out<O>(&mut self, cx: &mut Context<'_, O>) {
        if self.state == State::Closed || self.is_over() {
            // If a RST still waits for room, it has been said why.
            return;
        }
        let timeouts = self.timeouts(cx.limits);
        let late = |timeout: &&Timeout| timeout.0.is_some_and(|at| at <= cx.now);
        let Some((_, reason)) = timeouts.iter().find(late) else {
            return;
        };
        count(reason(cx.counters));
        let error = self.soft_error.unwrap_or(SocketError::TimedOut);
        self.abort(Some(error));
    }

    /// When it is to be served next, if nothing happens before.
    pub fn deadline(&self, limits: &Limits) -> Option<Instant> {
        if self.is_over() {
            return None;
        }
        let persist = self.timers.persist.map(|persist| persist.at);
        [
            self.patience(limits),
            self.recovery.deadline(),
            self.acks.deadline(),
            persist,
            self.keep_alive_at(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// When it is to be given up, if nothing happens before.
    pub fn patience(&self, limits: &Limits) -> Option<Instant> {
        if self.is_over() {
            return None;
        }
        let timeouts = self.timeouts(limits);
        timeouts.iter().filter_map(|timeout| timeout.0).min()
    }
}
