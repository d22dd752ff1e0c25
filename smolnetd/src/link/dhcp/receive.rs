//! What a server says.

use smoltcp::time::{Duration, Instant};

use super::lease::Grant;
use super::wire::{self, Reply, ReplyKind};
use super::{Action, Client, FUZZ, Held, LinkCounters, State, Until};
use crate::counters::count;

impl Client {
    /// The message in `packet`, when it is one for a DHCP client and the client is on; such a packet is for nobody
    /// else.
    pub(in crate::link) fn intercept<'p>(
        &self,
        packet: &'p [u8],
        counters: &mut LinkCounters,
    ) -> Option<Option<&'p [u8]>> {
        if !self.enabled {
            return None;
        }
        let message = wire::message_to_client(packet)?;
        count(&mut counters.dhcp_rx);
        if message.is_err() {
            count(&mut counters.dhcp_rx_malformed);
        }
        Some(message.ok())
    }

    /// A message from a server. What is to be done follows here and from [`Client::poll`], due at once.
    pub(in crate::link) fn receive(
        &mut self,
        now: Instant,
        message: &[u8],
        counters: &mut LinkCounters,
    ) -> Option<Action> {
        let Ok(reply) = Reply::parse(message) else {
            count(&mut counters.dhcp_rx_malformed);
            return None;
        };
        // RFC 2131 section 4.4.1: the transaction identifier, and that it is ours.
        let ours = reply.xid == self.xid && reply.chaddr == self.mac;
        match (&self.state, reply.kind()) {
            (State::Selecting { .. }, Some(ReplyKind::Offer)) if ours => {
                self.receive_offer(now, &reply, counters)
            }
            (State::Requesting { .. }, Some(ReplyKind::Ack)) if ours => {
                self.receive_ack(&reply, counters)
            }
            (
                State::Rebooting { .. } | State::Renewing { .. } | State::Rebinding { .. },
                Some(ReplyKind::Ack),
            ) if ours => self.receive_ack(&reply, counters),
            (_, Some(ReplyKind::Nak)) if ours && self.expects_nak(&reply) => {
                self.receive_nak(now, counters)
            }
            _ => {
                count(&mut counters.dhcp_rx_unexpected);
                None
            }
        }
    }

    /// RFC 2131 section 4.4.1 leaves the choice among offers to us: the first that can be used.
    fn receive_offer(
        &mut self,
        now: Instant,
        reply: &Reply<'_>,
        counters: &mut LinkCounters,
    ) -> Option<Action> {
        match Grant::read(reply, self.mtu) {
            Some(Grant {
                address, server, ..
            }) => {
                self.state = State::Requesting {
                    address,
                    server,
                    sent: 0,
                    at: now,
                };
            }
            None => count(&mut counters.dhcp_rx_unusable),
        }
        None
    }

    fn receive_ack(&mut self, reply: &Reply<'_>, counters: &mut LinkCounters) -> Option<Action> {
        let expected = match self.state {
            State::Requesting { server, .. } => Some(server),
            _ => None,
        };
        let usable = |grant: &Grant| expected.is_none_or(|server| grant.server == server);
        let Some(grant) = Grant::read(reply, self.mtu).filter(usable) else {
            count(&mut counters.dhcp_rx_unusable);
            return None;
        };
        count(if self.held.is_some() {
            &mut counters.dhcp_renewals
        } else {
            &mut counters.dhcp_leases
        });
        self.refusals = 0;
        let until = self.until(&grant);
        self.state = State::Bound {
            at: until.map(|until| until.renew),
        };
        let lease = grant.lease.clone();
        let before = self
            .held
            .replace(Held { grant, until })
            .map(|held| held.grant.lease);
        Some(Action::Bound { lease, before })
    }

    /// Is a NAK from this server one to obey? While a server of our choice is spoken to, only from that one.
    fn expects_nak(&self, reply: &Reply<'_>) -> bool {
        let server = reply.address(wire::option::SERVER_IDENTIFIER);
        let held = self.held.as_ref().map(|held| held.grant.server);
        match self.state {
            State::Requesting { server: chosen, .. } => {
                server.is_none_or(|server| server == chosen)
            }
            State::Renewing { .. } => server.is_none() || server == held,
            State::Rebooting { .. } | State::Rebinding { .. } => true,
            _ => false,
        }
    }

    /// RFC 2131 section 3.1, step 4 and section 4.4.5: begin again; but at once only the first time.
    fn receive_nak(&mut self, now: Instant, counters: &mut LinkCounters) -> Option<Action> {
        count(&mut counters.dhcp_naks);
        let at = match self.refusals {
            0 => now,
            refusals => self.backoff(now, refusals),
        };
        self.refusals = self.refusals.saturating_add(1);
        self.state = State::Init { at };
        let held = self.held.take()?;
        count(&mut counters.dhcp_leases_lost);
        Some(Action::Lost(held.grant.lease))
    }

    pub(super) fn until(&mut self, grant: &Grant) -> Option<Until> {
        let (duration, (t1, t2)) = grant.lease.duration.zip(grant.times)?;
        let early = self.random.between(Duration::ZERO, t1 / FUZZ);
        Some(Until {
            renew: self.requested + (t1 - early),
            rebind: self.requested + (t2 - early),
            expire: self.requested + duration,
        })
    }
}
