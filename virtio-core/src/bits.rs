//! A fixed set of small numbers that several threads may change: who owns which buffer of a pool.

use alloc::boxed::Box;
use core::sync::atomic::{AtomicUsize, Ordering};

/// The numbers `0..count`, each in or out.
///
/// Taking a number out is `Acquire` and putting it in is `Release`, so whoever takes a number sees everything that was
/// done before it was put in.
#[derive(Debug)]
pub(crate) struct Bits {
    words: Box<[AtomicUsize]>,
}

impl Bits {
    /// `count` numbers, all of them out.
    pub(crate) fn empty(count: usize) -> Self {
        let words = count.div_ceil(usize::BITS as usize);
        Self {
            words: (0..words).map(|_| AtomicUsize::new(0)).collect(),
        }
    }

    /// `count` numbers, all of them in.
    pub(crate) fn full(count: usize) -> Self {
        let bits = Self::empty(count);
        for number in 0..count {
            bits.insert(number);
        }
        bits
    }

    /// Puts `number` in; false if it was in already or is out of range.
    pub(crate) fn insert(&self, number: usize) -> bool {
        let (word, mask) = Self::place(number);
        self.words
            .get(word)
            .is_some_and(|word| word.fetch_or(mask, Ordering::Release) & mask == 0)
    }

    /// Takes `number` out; false if it was not in.
    pub(crate) fn remove(&self, number: usize) -> bool {
        let (word, mask) = Self::place(number);
        self.words
            .get(word)
            .is_some_and(|word| word.fetch_and(!mask, Ordering::Acquire) & mask != 0)
    }

    /// Takes out the lowest number that is in. Low numbers first keeps the memory in use small and warm.
    pub(crate) fn remove_any(&self) -> Option<usize> {
        for (index, word) in self.words.iter().enumerate() {
            let mut seen = word.load(Ordering::Relaxed);
            while seen != 0 {
                let bit = seen.trailing_zeros() as usize;
                let number = index * usize::BITS as usize + bit;
                if self.remove(number) {
                    return Some(number);
                }
                seen = word.load(Ordering::Relaxed);
            }
        }
        None
    }

    /// How many numbers are in.
    pub(crate) fn count(&self) -> usize {
        self.words
            .iter()
            .map(|word| word.load(Ordering::Relaxed).count_ones() as usize)
            .sum()
    }

    fn place(number: usize) -> (usize, usize) {
        (
            number / usize::BITS as usize,
            1 << (number % usize::BITS as usize),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_comes_out_once() {
        let bits = Bits::full(130);
        assert_eq!(bits.count(), 130);
        let mut seen = [false; 130];
        while let Some(number) = bits.remove_any() {
            assert!(!seen[number], "{number} came out twice");
            seen[number] = true;
        }
        assert!(seen.iter().all(|seen| *seen));
        assert!(bits.insert(129) && !bits.insert(129), "in once");
        assert!(bits.remove(129) && !bits.remove(129), "out once");
        assert!(
            !bits.insert(1 << 20) && !bits.remove(usize::MAX),
            "out of range"
        );
    }
}
