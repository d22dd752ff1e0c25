//! Who is served when, and what becomes of connections that are over.

use smoltcp::time::{Duration, Instant};

use super::super::Tcp;
use crate::counters::count;
use crate::flow::connection::{Holder, Served};
use crate::flow::{Flow, FlowId, FlowKey, Phase, TimeWait};
use crate::output::{Output, Path};
use crate::ports::LinkId;

/// When a connection is looked after again that says it has something to do and does nothing.
const OVERDUE: Duration = Duration::from_millis(1);

impl Tcp {
    /// Due timers, then every flow that has something to send, as far as there is room.
    pub fn poll(&mut self, now: Instant, out: &mut impl Output) {
        // Nobody need have told that there is room: it is looked at again.
        for link in self.flows.blocked_links() {
            if out.has_room(link) {
                self.flows.unblock(link);
            }
        }
        self.flows.expire(now);
        while let Some(id) = self.flows.next_dirty() {
            self.serve(now, id, out);
        }
        self.flows.settle();
    }

    /// When [`Tcp::poll`] must be called next, if nothing else happens before. In the past: at once.
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.flows.any_dirty() {
            Some(Instant::ZERO)
        } else {
            self.flows.next_deadline()
        }
    }

    /// A link that had no room has some again: its flows go on at the next [`Tcp::poll`].
    pub fn room_again(&mut self, link: LinkId) {
        self.flows.unblock(link);
    }

    fn serve(&mut self, now: Instant, id: FlowId, out: &mut impl Output) {
        count(&mut self.counters.served);
        match self.flows.get(id).map(|flow| &flow.phase) {
            Some(Phase::HalfOpen(_)) => self.serve_half_open(now, id, out),
            Some(Phase::Open(_)) => self.serve_connection(now, id, out),
            Some(Phase::TimeWait(_)) => self.serve_time_wait(now, id, out),
            None => (),
        }
    }

    fn serve_time_wait(&mut self, now: Instant, id: FlowId, out: &mut impl Output) {
        let Some((key, path, time_wait)) = self.flows.time_wait_mut(id) else {
            return;
        };
        let until = time_wait.until;
        if until <= now {
            self.remove_flow(id);
            return;
        }
        let full = time_wait.owes_ack && !time_wait.ack(key).send(now, &path, out);
        time_wait.owes_ack = full;
        self.flows.schedule(id, Some(until));
        if full {
            self.flows.block(id);
        }
    }

    fn serve_connection(&mut self, now: Instant, id: FlowId, out: &mut impl Output) {
        let before = self.view(id);
        let served = self.with_context(now, id, out, |connection, cx| match connection.serve(cx) {
            // What is to be sent must wait for room: only patience has an end.
            Served::Blocked => (Served::Blocked, connection.patience(cx.limits)),
            served => (served, connection.deadline(cx.limits)),
        });
        let Some((served, deadline)) = served else {
            return;
        };
        match served {
            Served::Idle if deadline.is_some_and(|deadline| deadline <= now) => {
                // It must not keep everyone busy.
                count(&mut self.counters.overdue);
                self.flows.schedule(id, Some(now + OVERDUE));
            }
            Served::Idle => self.flows.schedule(id, deadline),
            Served::More => self.flows.mark_dirty(id),
            Served::Blocked => {
                self.flows.schedule(id, deadline);
                self.flows.block(id);
            }
        }
        self.tell(id, before);
        self.retire(now, id);
    }

    /// A connection that is over leaves the flow table: for TIME-WAIT in its place, or for good. What was received
    /// stays for its socket.
    pub(super) fn retire(&mut self, now: Instant, id: FlowId) {
        let attached = self.flows.is_attached(id);
        let Some((key, path, connection)) = self.flows.connection_mut(id) else {
            return;
        };
        if !attached || !connection.is_over() {
            return;
        }
        let orphan = matches!(connection.holder, Holder::Orphan { .. });
        let (ended_well, numbers) = (
            connection.is_time_wait(),
            (connection.iss(), connection.irs()),
        );
        let mut time_wait = TimeWait {
            mark: 0,
            snd_nxt: connection.snd_nxt(),
            rcv_nxt: connection.rcv_nxt(),
            window: connection.window_field(),
            until: now + self.limits.time_wait_timeout,
            owes_ack: ended_well && connection.owes_ack(),
            quiet_until: None,
        };
        let replayable = match numbers {
            (iss, Some(irs)) => self.cookie_lives_until(now, (key, &path), (iss, irs)),
            (_, None) => None,
        };
        if let Some(until) = replayable {
            time_wait.until = time_wait.until.max(until);
        }
        if orphan {
            self.remove_flow(id);
        } else {
            self.flows.detach(id);
        }
        if ended_well || replayable.is_some() {
            self.enter_time_wait(key, path, time_wait);
        }
    }

    fn enter_time_wait(&mut self, key: FlowKey, path: Path, time_wait: TimeWait) {
        let until = time_wait.until;
        let flow = Flow::new(key, path, Phase::TimeWait(time_wait));
        let Some(id) = self.flows.insert(flow) else {
            return;
        };
        let mark = self.time_wait.push(id);
        if let Some((_, _, time_wait)) = self.flows.time_wait_mut(id) {
            time_wait.mark = mark;
        }
        self.flows.schedule(id, Some(until));
        self.flows.mark_dirty(id);
        if self.time_wait.len() > self.limits.time_wait
            && let Some(oldest) = self.time_wait.oldest()
        {
            count(&mut self.counters.time_wait_evicted);
            self.remove_flow(oldest);
        }
    }

    /// Takes a flow out, and out of every list that bounds its kind.
    pub(in super::super) fn remove_flow(&mut self, id: FlowId) {
        let Some(flow) = self.flows.remove(id) else {
            return;
        };
        match flow.phase {
            Phase::HalfOpen(half) => {
                let source = flow.key.remote.ip();
                self.half_open.remove(half.listener, id, source);
            }
            Phase::TimeWait(time_wait) => self.time_wait.remove(time_wait.mark),
            Phase::Open(mut connection) => {
                if let Some(account) = connection.account.take() {
                    self.memory.close(account);
                }
                if let Holder::Orphan { mark, .. } = connection.holder {
                    self.orphans.remove(mark);
                }
            }
        }
    }
}
