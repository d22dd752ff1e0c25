//! What a file shows to its reader: the state at the first byte until its end has been read, and from then on, once it
//! has changed, the state anew. One who reads in pieces never sees two states mixed.

use netscheme::directory;

/// The state that one reader is shown.
#[derive(Default)]
pub(super) struct Shown {
    snapshot: Option<Vec<u8>>,
    position: usize,
    /// The reader has been told of the end.
    ended: bool,
    /// What is shown is no longer the state.
    changed: bool,
}

impl Shown {
    /// Must the state be looked at before the next read?
    pub(super) fn is_due(&self) -> bool {
        self.snapshot.is_none() || self.changed && self.ended
    }

    /// Shows this from its first byte on.
    pub(super) fn begin(&mut self, snapshot: Vec<u8>) {
        *self = Shown {
            snapshot: Some(snapshot),
            ..Shown::default()
        };
    }

    /// What is shown is not the state any more.
    pub(super) fn change(&mut self) {
        self.changed = true;
    }

    /// Bytes that are held for this reader.
    pub(super) fn len(&self) -> usize {
        self.snapshot.as_ref().map_or(0, Vec::len)
    }

    /// The next bytes; 0 is the end.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> usize {
        let text = self.snapshot.as_deref().unwrap_or_default();
        let n = directory::read_at(text, self.position as u64, buffer);
        self.position = self.position.saturating_add(n);
        self.ended |= n == 0 && !buffer.is_empty();
        n
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table changed between the two reads of a reader, who saw half of each state, or one state twice.
    #[test]
    fn a_change_in_the_middle_of_a_reading_shows_after_its_end() {
        let mut shown = Shown::default();
        assert!(shown.is_due());
        shown.begin(b"first".to_vec());
        let mut buffer = [0; 3];
        assert_eq!(shown.read(&mut buffer), 3);
        shown.change();
        assert!(!shown.is_due(), "in the middle");
        assert_eq!((shown.read(&mut buffer), &buffer), (2, b"str"));
        assert!(
            !shown.is_due(),
            "the reader does not know that this was the end"
        );
        assert_eq!(shown.read(&mut buffer), 0);
        assert!(shown.is_due());
        shown.begin(b"second".to_vec());
        assert_eq!((shown.read(&mut buffer), &buffer), (3, b"sec"));
        assert!(!shown.is_due());
    }

    #[test]
    fn without_a_change_the_end_stays_the_end() {
        let mut shown = Shown::default();
        shown.begin(Vec::new());
        assert_eq!(shown.read(&mut [0; 8]), 0);
        assert_eq!(shown.read(&mut [0; 8]), 0);
        assert!(!shown.is_due());
        shown.change();
        assert!(shown.is_due());
    }
}
