//! The open handles of a scheme.
//!
//! The kernel names an open file of a scheme by a number that the scheme chose. A number that is
//! given out again at once lets a late message about the old file hit the new one; here a number
//! holds its slot and the slot's generation, so it comes back only after 2^31 closes of that slot.

use std::collections::VecDeque;

/// Bits of a handle number that name the slot.
const SLOT_BITS: u32 = usize::BITS / 2;
/// Bits of a handle number that hold the generation: the top bit stays clear, because the last 4095
/// numbers mean an error in the kernel's result word.
const GENERATION_MASK: usize = (1 << (usize::BITS - SLOT_BITS - 1)) - 1;

/// No more handles: the limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandlesFull;

/// Handle numbers and what they stand for.
pub struct Handles<T> {
    slots: Vec<Slot<T>>,
    /// Free slots, the longest unused first.
    free: VecDeque<usize>,
    limit: usize,
    len: usize,
}

struct Slot<T> {
    generation: usize,
    value: Option<T>,
}

impl<T> Handles<T> {
    /// No handles yet, and never more than `limit`.
    pub fn new(limit: usize) -> Self {
        Self {
            slots: Vec::new(),
            free: VecDeque::new(),
            limit: limit.min(1 << SLOT_BITS.min(30)),
            len: 0,
        }
    }

    /// A new handle for `value`.
    ///
    /// # Errors
    /// [`HandlesFull`] when as many are open as the limit allows.
    pub fn insert(&mut self, value: T) -> Result<usize, HandlesFull> {
        let index = match self.free.pop_front() {
            Some(index) => index,
            None if self.slots.len() < self.limit => {
                self.slots.push(Slot {
                    generation: 0,
                    value: None,
                });
                self.slots.len() - 1
            }
            None => return Err(HandlesFull),
        };
        let slot = self.slots.get_mut(index).ok_or(HandlesFull)?;
        slot.value = Some(value);
        self.len += 1;
        Ok(slot.generation << SLOT_BITS | index)
    }

    /// What `handle` stands for; `None` when it is not open.
    pub fn get(&self, handle: usize) -> Option<&T> {
        let (index, generation) = split(handle);
        let slot = self.slots.get(index)?;
        (slot.generation == generation).then_some(slot.value.as_ref())?
    }

    /// What `handle` stands for; `None` when it is not open.
    pub fn get_mut(&mut self, handle: usize) -> Option<&mut T> {
        let (index, generation) = split(handle);
        let slot = self.slots.get_mut(index)?;
        if slot.generation != generation {
            return None;
        }
        slot.value.as_mut()
    }

    /// Closes `handle` and hands back what it stood for; `None` when it was not open.
    pub fn remove(&mut self, handle: usize) -> Option<T> {
        let (index, generation) = split(handle);
        let slot = self.slots.get_mut(index)?;
        if slot.generation != generation {
            return None;
        }
        let value = slot.value.take()?;
        slot.generation = (slot.generation + 1) & GENERATION_MASK;
        self.free.push_back(index);
        self.len -= 1;
        Some(value)
    }

    /// All open handles and what they stand for, in no order that matters.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &T)> {
        self.slots.iter().enumerate().filter_map(|(index, slot)| {
            let value = slot.value.as_ref()?;
            Some((slot.generation << SLOT_BITS | index, value))
        })
    }

    /// All open handles and what they stand for, in no order that matters.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut T)> {
        self.slots
            .iter_mut()
            .enumerate()
            .filter_map(|(index, slot)| {
                let value = slot.value.as_mut()?;
                Some((slot.generation << SLOT_BITS | index, value))
            })
    }

    /// How many are open.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

fn split(handle: usize) -> (usize, usize) {
    (handle & ((1 << SLOT_BITS) - 1), handle >> SLOT_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_closed_file_does_not_name_the_next_one() {
        let mut handles = Handles::new(1);
        let old = handles.insert("old").unwrap();
        assert_eq!(handles.remove(old), Some("old"));
        let new = handles.insert("new").unwrap();
        assert_ne!(old, new);
        assert_eq!(handles.get(old), None);
        assert_eq!(handles.get_mut(old), None);
        assert_eq!(
            handles.remove(old),
            None,
            "a second close must not close the new file"
        );
        assert_eq!(handles.get(new), Some(&"new"));
    }

    #[test]
    fn the_limit_holds_and_a_close_makes_room() {
        let mut handles = Handles::new(2);
        let first = handles.insert(1).unwrap();
        handles.insert(2).unwrap();
        assert_eq!(handles.insert(3), Err(HandlesFull));
        handles.remove(first);
        assert!(handles.insert(3).is_ok());
        assert_eq!(handles.len(), 2);
    }

    #[test]
    fn no_number_looks_like_an_error() {
        let mut handles = Handles::new(1);
        for _ in 0..10_000 {
            let handle = handles.insert(()).unwrap();
            assert!(handle as isize >= 0 && (handle as i32) >= 0, "{handle:#x}");
            handles.remove(handle);
        }
        assert_eq!(handles.get(usize::MAX), None);
        assert!(handles.is_empty());
    }

    #[test]
    fn iteration_gives_the_numbers_that_get_understands() {
        let mut handles = Handles::new(8);
        let ids: Vec<usize> = (0..4).map(|n| handles.insert(n).unwrap()).collect();
        handles.remove(ids[1]);
        for (_, value) in handles.iter_mut() {
            *value += 10;
        }
        let seen: Vec<(usize, i32)> = handles.iter().map(|(id, value)| (id, *value)).collect();
        assert_eq!(seen, [(ids[0], 10), (ids[2], 12), (ids[3], 13)]);
    }
}
