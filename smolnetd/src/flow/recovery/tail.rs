//! The tail loss probe (RFC 8985 section 7): when the end of what was sent is lost, nothing behind it tells.

use super::time::Micros;
use crate::flow::sequence::Seq;

/// RFC 8985 7.2: TLP.max_ack_delay, for a lone segment may wait for a second one before it is acknowledged.
const MAX_ACK_DELAY: Micros = 200_000;

/// How late timers and processes may be at both ends.
const JITTER: Micros = 2_000;

/// RFC 8985 7.2: without a measurement.
const UNMEASURED: Micros = 1_000_000;

/// The state per connection.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// A probe is to be sent and has not been.
    pub(super) is_due: bool,
    /// TLP.end_seq and TLP.is_retrans of a probe that was sent.
    probe: Option<(Seq, bool)>,
}

impl Tail {
    /// RFC 8985 7.2: how long nothing must be heard. `is_one`: only a segment is on its way.
    pub(super) fn pto(srtt: Option<Micros>, is_one: bool) -> Micros {
        let Some(srtt) = srtt else {
            return UNMEASURED;
        };
        let delay = if is_one { MAX_ACK_DELAY } else { JITTER };
        srtt.saturating_mul(2).saturating_add(delay)
    }

    /// May a probe be sent? One at a time.
    pub(super) fn is_free(&self) -> bool {
        !self.is_due && self.probe.is_none()
    }

    /// Something was sent. True if it was the probe.
    pub(super) fn sent(&mut self, nxt: Seq, repeats: bool) -> bool {
        let was_due = core::mem::take(&mut self.is_due);
        if was_due {
            self.probe = Some((nxt, repeats));
        }
        was_due
    }

    /// Nothing is probed for any more.
    pub(super) fn forget(&mut self) {
        *self = Tail::default();
    }

    /// RFC 8985 7.4.2: TLP_process_ack. True if the probe has repaired a loss, which is to be answered like any other.
    /// `duplicate` is the range of a DSACK; `bare` a duplicate acknowledgement without blocks.
    pub(super) fn acknowledged(
        &mut self,
        ack: Seq,
        duplicate: Option<(Seq, Seq)>,
        bare: bool,
    ) -> bool {
        let Some((end, repeats)) = self.probe else {
            return false;
        };
        if ack.before(end) {
            return false;
        }
        let both_came = !repeats || bare || duplicate.is_some_and(|(_, right)| right == end);
        let repaired = !both_came && ack.after(end);
        if both_came || repaired {
            self.probe = None;
        }
        repaired
    }
}
