//! Buffers of frames.

/// Room for one frame. Whole pages on page boundaries: for a read, the kernel lends those to the
/// driver instead of copying them.
#[repr(align(4096))]
struct Page([u8; 4096]);

/// Room for the frame of the largest MTU there is, and for more than a pipe holds.
#[repr(align(4096))]
struct Pages([u8; 17 * 4096]);

/// A buffer and the length of the frame in it.
pub(super) struct Buffer {
    memory: Memory,
    pub(super) length: usize,
}

enum Memory {
    Page(Box<Page>),
    Pages(Box<Pages>),
}

impl Buffer {
    /// One with room for all that a pipe holds.
    pub(super) fn for_pipe() -> Self {
        Self::new(size_of::<Pages>())
    }

    pub(super) fn new(capacity: usize) -> Self {
        let memory = match capacity {
            ..=4096 => Memory::Page(Box::new(Page([0; _]))),
            _ => Memory::Pages(Box::new(Pages([0; _]))),
        };
        Self { memory, length: 0 }
    }

    pub(super) fn all(&mut self) -> &mut [u8] {
        match &mut self.memory {
            Memory::Page(page) => &mut page.0,
            Memory::Pages(pages) => &mut pages.0,
        }
    }

    pub(super) fn frame(&self) -> &[u8] {
        let all: &[u8] = match &self.memory {
            Memory::Page(page) => &page.0,
            Memory::Pages(pages) => &pages.0,
        };
        all.get(..self.length).unwrap_or_default()
    }

    /// Moves what begins at `start` to the front, and forgets what was before it.
    pub(super) fn keep_from(&mut self, start: usize) {
        let (start, length) = (start.min(self.length), self.length);
        let all = self.all();
        if length <= all.len() {
            all.copy_within(start..length, 0);
            self.length = length - start;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{ETHERNET_HEADER, VLAN_TAG};

    #[test]
    fn every_mtu_has_room_for_its_frame() {
        for mtu in [68, 1500, 4078, 4079, 9000, u16::MAX] {
            let capacity = usize::from(mtu) + ETHERNET_HEADER + VLAN_TAG;
            let mut buffer = Buffer::new(capacity);
            assert!(buffer.all().len() >= capacity, "{mtu}");
            buffer.length = capacity;
            assert_eq!(buffer.frame().len(), capacity, "{mtu}");
        }
    }

    #[test]
    fn a_length_that_lies_is_no_frame() {
        let mut buffer = Buffer::new(1518);
        buffer.length = usize::MAX;
        assert_eq!(buffer.frame(), []);
    }
}
