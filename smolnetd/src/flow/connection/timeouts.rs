//! What takes too long.

use smoltcp::socket::tcp::State;
use smoltcp::time::{Duration, Instant};

use super::{Connection, Context, Holder};
use crate::counters::count;
use crate::error::SocketError;
use crate::socket::tcp::{Limits, Reason};

/// A connection is given up after so many probes without an answer.
const KEEP_ALIVE_PROBES: u32 = 9;

impl Connection {
    /// Is anything sent, or to be sent, that the peer must acknowledge?
    fn awaits_ack(&self) -> bool {
        self.socket().send_queue() > 0
            || matches!(
                self.socket().state(),
                State::FinWait1 | State::Closing | State::LastAck
            )
    }

    /// Its own deadlines, besides smoltcp's: each with what is to be said when it has passed.
    fn timeouts(&self, limits: &Limits) -> impl Iterator<Item = (Instant, Reason)> + use<> {
        let connecting: (Option<Instant>, Reason) = (
            self.is_connecting()
                .then(|| self.opened + limits.connect_timeout),
            |counters| &mut counters.connect_timeouts,
        );
        let unanswered: (Option<Instant>, Reason) = (
            self.awaits_ack()
                .then(|| self.heard.max(self.progress) + limits.retransmit_timeout),
            |counters| &mut counters.retransmit_timeouts,
        );
        let orphaned: (Option<Instant>, Reason) = (
            match self.holder {
                Holder::Orphan { since, .. } => {
                    let stalled = self.progress.max(since) + limits.orphan_timeout;
                    Some(stalled.min(since + limits.orphan_lifetime))
                }
                _ => None,
            },
            |counters| &mut counters.orphan_timeouts,
        );
        let silent: (Option<Instant>, Reason) = (
            self.socket()
                .keep_alive()
                .filter(|_| self.established)
                .map(|interval| {
                    let probes = interval
                        .total_micros()
                        .saturating_mul(u64::from(KEEP_ALIVE_PROBES) + 1);
                    self.heard + Duration::from_micros(probes)
                }),
            |counters| &mut counters.keep_alive_timeouts,
        );
        [connecting, unanswered, orphaned, silent]
            .into_iter()
            .filter_map(|(at, reason)| Some((at?, reason)))
    }

    pub(super) fn time_out<O>(&mut self, cx: &mut Context<'_, O>) {
        if self.is_over() {
            return;
        }
        let Some((_, reason)) = self.timeouts(cx.limits).find(|&(at, _)| at <= cx.now) else {
            return;
        };
        if self.state() == State::Closed {
            // Its RST waits for room.
            return;
        }
        count(reason(cx.counters));
        let error = self.soft_error.unwrap_or(SocketError::TimedOut);
        self.abort(Some(error));
    }

    /// When it is to be served next, if nothing happens before.
    pub fn deadline<O>(&mut self, cx: &mut Context<'_, O>) -> Option<Instant> {
        if self.is_over() {
            return None;
        }
        let engine = cx.engine.deadline(cx.now, cx.path.mtu, &self.set);
        [self.patience(cx.limits), engine]
            .into_iter()
            .flatten()
            .min()
    }

    /// When it is to be given up, if nothing happens before.
    pub fn patience(&self, limits: &Limits) -> Option<Instant> {
        if self.is_over() {
            None
        } else {
            self.timeouts(limits).map(|(at, _)| at).min()
        }
    }
}
