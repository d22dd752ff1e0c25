//! One endpoint of a scripted device: what it has to say, and who waits for it.

use std::collections::VecDeque;

use crate::xhcid::bus::{Completion, EndpointState, Outcome, Ticket};

/// An endpoint between the two ends.
#[derive(Debug, Default)]
pub(super) struct Pipe {
    /// Transfers of the host that wait, with the bytes that they ask for.
    waiting: VecDeque<(Ticket, usize)>,
    /// What the device sent and nobody has asked for yet, a transfer each.
    sent: VecDeque<Vec<u8>>,
    /// The device stalls, until CLEAR_FEATURE.
    stalls: bool,
    /// The controller has seen a stall and moves nothing, until it is reset.
    halted: bool,
}

impl Pipe {
    /// The host asks for `length` bytes.
    pub(super) fn ask(&mut self, ticket: Ticket, length: usize) -> Option<Completion> {
        self.waiting.push_back((ticket, length));
        self.settle()
    }

    /// The device has something to say.
    pub(super) fn send(&mut self, bytes: Vec<u8>) -> Option<Completion> {
        self.sent.push_back(bytes);
        self.settle()
    }

    /// The device stalls from now on.
    pub(super) fn stall(&mut self) -> Option<Completion> {
        self.stalls = true;
        self.settle()
    }

    /// One transfer at most is ended by one thing that happens: there is one that waits, or one thing to say.
    fn settle(&mut self) -> Option<Completion> {
        if self.halted {
            return None;
        }
        let &(ticket, asked) = self.waiting.front()?;
        let (outcome, data) = if self.stalls {
            self.halted = true;
            (Outcome::Stalled, Vec::new())
        } else {
            let mut data = self.sent.pop_front()?;
            if data.len() > asked {
                self.sent.push_front(data.split_off(asked));
            }
            let full = data.len() == asked;
            (
                if full {
                    Outcome::Success
                } else {
                    Outcome::Short
                },
                data,
            )
        };
        self.waiting.pop_front();
        Some(Completion {
            ticket,
            outcome,
            transferred: data.len(),
            data,
        })
    }

    /// A transfer was answered by a stall.
    pub(super) fn halt(&mut self) {
        self.stalls = true;
        self.halted = true;
    }

    pub(super) fn is_halted(&self) -> bool {
        self.halted || self.stalls
    }

    pub(super) fn is_armed(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(super) fn clear_halt(&mut self) {
        self.stalls = false;
    }

    pub(super) fn reset(&mut self) {
        self.halted = false;
        self.waiting.clear();
    }

    pub(super) fn state(&self) -> EndpointState {
        match self.halted {
            true => EndpointState::Halted,
            false => EndpointState::Running,
        }
    }

    pub(super) fn into_waiting(self) -> impl Iterator<Item = Ticket> {
        self.waiting.into_iter().map(|(ticket, _)| ticket)
    }
}
