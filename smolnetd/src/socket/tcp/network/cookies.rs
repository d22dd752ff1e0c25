//! Handshakes that nothing was remembered of (RFC 4987 3.6).

use smoltcp::time::Instant;

use super::super::{Ingress, Tcp, TcpId};
use crate::counters::count;
use crate::flow::FlowKey;
use crate::flow::cookie::LIFETIME;
use crate::flow::half_open::{Offer, SynOptions};
use crate::flow::segment::Segment;
use crate::flow::sequence::Seq;
use crate::output::{Output, Path};

impl Tcp {
    /// A SYN for which there is no room among the half-open connections is answered, and forgotten.
    pub(super) fn send_cookie(
        &mut self,
        now: Instant,
        (id, path): (TcpId, Path),
        segment: &Segment,
        offer: &Offer,
        out: &mut impl Output,
    ) {
        let (key, irs) = (segment.key, segment.seq);
        let syn = SynOptions::of(segment);
        let iss = self.cookies.make(now, &key, irs, &syn, offer);
        if !offer.syn_ack(key, iss, irs, &syn).send(now, &path, out) {
            count(&mut self.counters.cookies_unsent);
            return;
        }
        count(&mut self.counters.cookies_sent);
        count(&mut self.counters.syn_acks);
        if let Some((listener, _)) = self.listener_mut(id) {
            listener.cookies_until = Some(now + LIFETIME);
        }
    }

    /// An ACK for a listener: it may bring a cookie back, if any were sent lately.
    pub(super) fn cookie_ingress(
        &mut self,
        now: Instant,
        (id, path): (TcpId, Path),
        cookie: Seq,
        (segment, data): (&Segment, &[u8]),
        out: &mut impl Output,
    ) -> Ingress {
        let believed = self
            .listener_mut(id)
            .filter(|(listener, _)| listener.cookies_until.is_some_and(|until| now < until));
        let Some((listener, options)) = believed else {
            count(&mut self.counters.no_flow);
            return Ingress::NoFlow;
        };
        if listener.is_full() {
            // Cookie or not: the peer will say it again, and what follows it must not be answered with RST till then.
            return self.drop_segment(|counters| &mut counters.accept_queue_full);
        }
        let (key, irs) = (segment.key, segment.seq.minus(1));
        let offer = Offer::of(&options, key, &path);
        let Some(syn) = self.cookies.open(now, &key, irs, cookie, &offer) else {
            count(&mut self.counters.cookies_refused);
            return Ingress::NoFlow;
        };
        count(&mut self.counters.cookies_accepted);
        // RFC 7323 2.3: what is not a SYN is scaled.
        let window = u32::from(segment.window) << syn.window_scale.unwrap_or(0).min(14);
        let agreed = offer.agreed((cookie, irs), &syn, window, None);
        self.establish(now, (id, path), (key, &agreed), (segment, data), out);
        Ingress::Consumed
    }

    /// Until when the segment that began this connection would begin another, if a cookie did it: without a record its
    /// place must be kept that long, however it ended.
    pub(super) fn cookie_lives_until(
        &mut self,
        now: Instant,
        (key, path): (FlowKey, &Path),
        (iss, irs): (Seq, Seq),
    ) -> Option<Instant> {
        let id = self.ports.listener(key.local)?;
        let (listener, options) = self.listener_mut(id)?;
        listener.cookies_until.filter(|&until| now < until)?;
        let offer = Offer::of(&options, key, path);
        self.cookies.open(now, &key, irs, iss, &offer)?;
        Some(now + LIFETIME)
    }
}
