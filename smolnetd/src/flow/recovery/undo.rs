//! What was done for a loss that was none is undone (RFC 4015), when every octet that was sent again is reported to have
//! arrived twice (RFC 2883, RFC 3708), or when a timeout is followed by the arrival of what was not sent again.

use super::congestion::Congestion;

/// What there was before, until the next loss.
#[derive(Debug, Default)]
pub(super) struct Undo {
    before: Option<Congestion>,
    /// Octets sent again since.
    repeated: usize,
    /// Of these, those that had arrived.
    in_vain: usize,
}

impl Undo {
    /// A loss is about to be answered.
    pub(super) fn begin(&mut self, before: &Congestion) {
        *self = Undo {
            before: Some(before.clone()),
            ..Undo::default()
        };
    }

    pub(super) fn forget(&mut self) {
        *self = Undo::default();
    }

    /// `length` octets were sent again.
    pub(super) fn repeated(&mut self, length: usize) {
        self.repeated = self.repeated.saturating_add(length);
    }

    /// A DSACK of `length` octets.
    pub(super) fn duplicate(&mut self, length: usize) {
        self.in_vain = self.in_vain.saturating_add(length);
    }

    /// Was all of it in vain? Then what there was before, once.
    pub(super) fn take_if_in_vain(&mut self) -> Option<Congestion> {
        if self.repeated > 0 && self.in_vain >= self.repeated {
            self.take()
        } else {
            None
        }
    }

    /// What there was before, once.
    pub(super) fn take(&mut self) -> Option<Congestion> {
        core::mem::take(self).before
    }
}
