//! Segments in any order, any number of times, overlapping anyhow.

use core::ops::Range;

use proptest::prelude::*;

use super::super::chunks::CHUNK;
use super::super::receive::{Inserted, MAX_BLOCKS, MAX_RANGES, ReceiveBuffer, Refused};

/// What a receive buffer does, octet by octet.
#[derive(Default)]
struct Model {
    /// By position from the first of the connection.
    octets: Vec<Option<u8>>,
    /// The positions of what is read next, and of RCV.NXT.
    read: usize,
    next: usize,
    /// Where the segments began that came before their turn, the last one last.
    arrivals: Vec<usize>,
}

impl Model {
    fn is_known(&self, at: usize) -> bool {
        self.octets.get(at).is_some_and(Option::is_some)
    }

    /// The ranges beyond RCV.NXT.
    fn ranges(&self) -> Vec<Range<usize>> {
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for at in (self.next..self.octets.len()).filter(|at| self.is_known(*at)) {
            match ranges.last_mut() {
                Some(range) if range.end == at => range.end += 1,
                _ => ranges.push(at..at + 1),
            }
        }
        ranges
    }

    /// RFC 2018 section 4, backwards from the segment that came last.
    fn blocks(&self) -> Vec<Range<usize>> {
        let ranges = self.ranges();
        let mut blocks = Vec::new();
        for start in self.arrivals.iter().rev() {
            let range = ranges.iter().find(|range| range.contains(start));
            let block = range.map(|range| range.start - self.next..range.end - self.next);
            blocks.extend(block.filter(|block| !blocks.contains(block)));
        }
        blocks.truncate(MAX_BLOCKS);
        blocks
    }

    fn insert(&mut self, offset: i32, data: &[u8], window: usize) -> Result<Inserted, Refused> {
        let start = self.next as i64 + i64::from(offset);
        let places = (start..).take(data.len());
        let known: Vec<bool> = places
            .map(|at| at < self.next as i64 || self.is_known(at as usize))
            .collect();
        let first = known.iter().position(|known| *known);
        let duplicate = first.map(|first| {
            let length = known[first..].iter().take_while(|known| **known).count();
            first..first + length
        });
        let old = known.len().min((self.next as i64 - start).max(0) as usize);
        if old < data.len() && start + data.len() as i64 > (self.next + window) as i64 {
            return Err(Refused::BeyondWindow);
        }
        let before = (self.octets.clone(), self.next);
        for (at, octet) in (start..).zip(data).skip(old) {
            let at = at as usize;
            self.octets.resize(self.octets.len().max(at + 1), None);
            self.octets[at].get_or_insert(*octet);
        }
        if old < data.len() && start > self.next as i64 {
            if self.ranges().len() > MAX_RANGES {
                self.octets = before.0;
                return Err(Refused::TooManyRanges);
            }
            self.arrivals.push(start as usize);
        }
        while self.is_known(self.next) {
            self.next += 1;
        }
        Ok(Inserted {
            in_order: self.next - before.1,
            fresh: known.iter().filter(|known| !**known).count(),
            duplicate,
        })
    }

    fn unread(&self, most: usize) -> Vec<u8> {
        let octets = self.octets[self.read..self.next].iter().take(most);
        octets.map(|octet| octet.expect("in order")).collect()
    }
}

/// Both say the same of everything.
fn check(buffer: &ReceiveBuffer, model: &Model) -> Result<(), TestCaseError> {
    prop_assert_eq!(buffer.unread(), model.next - model.read);
    let mut unread = vec![0; buffer.unread() + 1];
    let length = buffer.peek(&mut unread);
    prop_assert_eq!(&unread[..length], &model.unread(usize::MAX));
    let ranges = model.ranges();
    let early: usize = ranges.iter().map(ExactSizeIterator::len).sum();
    prop_assert_eq!(buffer.out_of_order(), early);
    let blocks: Vec<_> = buffer.blocks().into_iter().flatten().collect();
    prop_assert_eq!(blocks, model.blocks());
    let reach = ranges.last().map_or(model.next, |range| range.end) - model.read;
    prop_assert!(
        buffer.held() <= fair(reach),
        "{} for {reach}",
        buffer.held()
    );
    Ok(())
}

/// What a buffer may hold whose last octet is the `reach`th from the first unread: a fiftieth more, and 16 KiB. Chunks
/// that nothing was put into are not there, so that is never more than the window and what is unread.
fn fair(reach: usize) -> usize {
    if reach == 0 {
        0
    } else {
        reach + reach / 50 + (16 << 10)
    }
}

/// Each step is a segment (offset, length), and how much is read after it. The octets of each segment are its own, so
/// that it shows which of two that overlap stayed.
fn run(window: usize, steps: Vec<(i32, usize, usize)>) -> Result<(), TestCaseError> {
    let (mut buffer, mut model) = (ReceiveBuffer::new(), Model::default());
    for (number, (offset, length, read)) in steps.into_iter().enumerate() {
        let data = vec![number as u8; length];
        let window = window - buffer.unread();
        prop_assert_eq!(
            buffer.insert(offset, &data, window),
            model.insert(offset, &data, window),
            "step {}: {} octets at {}, window {}",
            number,
            length,
            offset,
            window
        );
        check(&buffer, &model)?;
        let mut octets = vec![0; read];
        let length = buffer.read(&mut octets);
        prop_assert_eq!(&octets[..length], &model.unread(read));
        model.read += length;
        check(&buffer, &model)?;
    }
    let early = buffer.out_of_order();
    prop_assert_eq!(buffer.discard_out_of_order(), early);
    model.octets.truncate(model.next);
    check(&buffer, &model)?;
    buffer.read(&mut vec![0; buffer.unread()]);
    prop_assert_eq!(buffer.held(), 0);
    Ok(())
}

proptest! {
    #[test]
    fn crumbs_are_put_together_as_the_model_does(
        steps in proptest::collection::vec((-12..60, 0..20_usize, 0..16_usize), 0..80),
    ) {
        run(64, steps)?;
    }
}

proptest! {
    // The model looks at each octet, again and again.
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn segments_are_put_together_as_the_model_does(
        steps in proptest::collection::vec((-3000..14_000, 0..5000_usize, 0..6000_usize), 0..30),
    ) {
        run(4 * CHUNK, steps)?;
    }
}

#[test]
fn the_whole_window_fits_and_not_one_octet_more() {
    let mut buffer = ReceiveBuffer::new();
    let window = 2 * CHUNK;
    let beyond = Err(Refused::BeyondWindow);
    assert_eq!(buffer.insert(0, &vec![1; window + 1], window), beyond);
    assert_eq!(buffer.insert(window as i32, &[1], window), beyond);
    assert_eq!(buffer.insert(i32::MAX, &[1], window), beyond);
    assert_eq!(buffer.insert(0, &[1], 0), beyond);
    assert_eq!((buffer.unread(), buffer.held()), (0, 0));
    let whole = buffer.insert(0, &vec![1; window], window);
    assert_eq!(whole.map(|inserted| inserted.in_order), Ok(window));
    assert_eq!(buffer.insert(0, &[1], 0), beyond);
    assert_eq!(buffer.unread(), window);
}

#[test]
fn what_is_wholly_old_is_a_duplicate_and_nothing_else() {
    let mut buffer = ReceiveBuffer::new();
    assert_eq!(buffer.insert(0, &[1; 10], 100).map(|was| was.fresh), Ok(10));
    for (offset, length) in [(-10, 10), (-1, 1), (i32::MIN, 10)] {
        let old = Inserted {
            duplicate: Some(0..length),
            ..Inserted::default()
        };
        assert_eq!(buffer.insert(offset, &vec![2; length], 0), Ok(old));
    }
    assert_eq!(buffer.insert(0, &[], 0), Ok(Inserted::default()));
    assert_eq!(buffer.insert(i32::MAX, &[], 0), Ok(Inserted::default()));
    let mut octets = [0; 20];
    assert_eq!(buffer.read(&mut octets), 10);
    assert_eq!(octets[..10], [1; 10]);
}

/// RFC 2018 section 8 tells a sender not to rely on blocks, but it does as long as no timer expires: octets that were
/// reported are not sent again, so they must be what they were.
#[test]
fn rfc_2018_8_what_was_reported_does_not_change() {
    let mut buffer = ReceiveBuffer::new();
    let _ = buffer.insert(4, b"said", 100);
    let all = buffer.insert(0, b"liar liar liar", 100).expect("fits");
    assert_eq!(
        (all.in_order, all.fresh, all.duplicate),
        (14, 10, Some(4..8))
    );
    let mut octets = [0; 14];
    buffer.read(&mut octets);
    assert_eq!(&octets, b"liarsaidr liar");
}

/// The example of RFC 2018 section 4, case 2: segments of 500 octets from 5000 on, of which the first is lost.
#[test]
fn rfc_2018_4_the_first_is_lost_and_the_seven_behind_it_come() {
    let mut buffer = ReceiveBuffer::new();
    for number in 1..8_usize {
        let _ = buffer.insert(number as i32 * 500, &[0; 500], 65_535);
        assert_eq!(
            buffer.blocks(),
            [Some(500..500 + number * 500), None, None, None]
        );
    }
}

/// The example of RFC 2018 section 4, case 3: the second, fourth, sixth and eighth are lost; then the fourth comes, and
/// the second.
#[test]
fn rfc_2018_4_every_second_segment_is_lost() {
    let segment = [0; 500];
    let mut buffer = ReceiveBuffer::new();
    let blocks = |buffer: &ReceiveBuffer| buffer.blocks().into_iter().flatten().collect::<Vec<_>>();
    let _ = buffer.insert(0, &segment, 65_535);
    // Offsets from RCV.NXT = 5500 on.
    let _ = buffer.insert(500, &segment, 65_535);
    assert_eq!(buffer.blocks(), [Some(500..1000), None, None, None]);
    let _ = buffer.insert(1500, &segment, 65_535);
    assert_eq!(blocks(&buffer), [1500..2000, 500..1000]);
    let _ = buffer.insert(2500, &segment, 65_535);
    assert_eq!(blocks(&buffer), [2500..3000, 1500..2000, 500..1000]);
    let _ = buffer.insert(1000, &segment, 65_535);
    assert_eq!(blocks(&buffer), [500..2000, 2500..3000]);
    let second = buffer.insert(0, &segment, 65_535);
    assert_eq!(second.map(|inserted| inserted.in_order), Ok(2000));
    assert_eq!(buffer.blocks(), [Some(500..1000), None, None, None]);
}

/// RFC 2883 4.1.2 and 4.2.2: a duplicate above RCV.NXT is reported in front of the block that it lies in.
#[test]
fn rfc_2883_4_a_duplicate_above_rcv_nxt_moves_its_block_to_the_front() {
    let mut buffer = ReceiveBuffer::new();
    let _ = buffer.insert(500, &[0; 1000], 65_535);
    let _ = buffer.insert(3000, &[0; 500], 65_535);
    let partial = buffer.insert(1000, &[0; 1000], 65_535).expect("fits");
    assert_eq!((partial.fresh, partial.duplicate), (500, Some(0..500)));
    assert_eq!(buffer.blocks()[..2], [Some(500..2000), Some(3000..3500)]);
    let again = buffer.insert(3000, &[0; 500], 65_535).expect("fits");
    assert_eq!((again.fresh, again.duplicate), (0, Some(0..500)));
    assert_eq!(buffer.blocks()[..2], [Some(3000..3500), Some(500..2000)]);
}

/// A peer sends single octets as far apart as makes them the most expensive, and as many as there may be ranges.
#[test]
fn single_octets_far_apart_cost_no_more_than_the_window() {
    for window in [100, 2048, 65_535, 1 << 20, 16 << 20] {
        for stride in [2, 256, CHUNK, window / MAX_RANGES] {
            let mut buffer = ReceiveBuffer::new();
            for number in 1..window {
                let offset = number.saturating_mul(stride.max(2));
                if offset >= window || buffer.insert(offset as i32, &[1], window).is_err() {
                    break;
                }
            }
            let held = buffer.held();
            assert!(held <= fair(window), "{held} for {window}, {stride} apart");
            assert!(held <= (MAX_RANGES + 4) * CHUNK + window / 50, "{held}");
            buffer.discard_out_of_order();
            assert_eq!(buffer.held(), 0);
        }
    }
}

#[test]
fn one_range_too_many_is_refused_whole_and_what_is_missing_is_still_taken() {
    let mut buffer = ReceiveBuffer::new();
    let window = 1 << 20;
    for number in 0..MAX_RANGES {
        let inserted = buffer.insert(10 + 20 * number as i32, &[1; 10], window);
        assert_eq!(inserted.map(|inserted| inserted.fresh), Ok(10));
    }
    let (held, blocks) = (buffer.held(), buffer.blocks());
    for offset in [5, 20 * MAX_RANGES as i32 + 10, 500_000] {
        let refused = buffer.insert(offset, &[2; 4], window);
        assert_eq!(refused, Err(Refused::TooManyRanges), "at {offset}");
    }
    assert_eq!((buffer.held(), buffer.blocks()), (held, blocks));
    // What joins ranges, or prolongs one, or is next, makes no new one.
    assert_eq!(
        buffer.insert(20, &[3; 10], window).map(|was| was.fresh),
        Ok(10)
    );
    assert_eq!(
        buffer.insert(60, &[3; 5], window).map(|was| was.fresh),
        Ok(5)
    );
    let next = buffer.insert(0, &[4; 10], window);
    assert_eq!(next.map(|was| was.in_order), Ok(40));
}

#[test]
fn a_buffer_holds_nothing_before_the_first_octet_and_after_the_last() {
    let mut buffer = ReceiveBuffer::new();
    assert_eq!(buffer.held(), 0);
    let _ = buffer.insert(0, b"a short answer", 65_535);
    assert!(buffer.held() <= 512, "{}", buffer.held());
    let _ = buffer.insert(20_000, &[0; 20_000], 65_535);
    buffer.read(&mut [0; 100]);
    assert!(buffer.held() > 20_000, "what came early is kept");
    assert_eq!(
        buffer
            .insert(0, &[0; 20_000], 65_535)
            .map(|was| was.in_order),
        Ok(40_000)
    );
    buffer.read(&mut vec![0; 40_000]);
    assert_eq!(buffer.held(), 0);

    let _ = buffer.insert(0, &[1; 5000], 65_535);
    let _ = buffer.insert(9000, &[1; 5000], 65_535);
    buffer.clear();
    assert_eq!(
        (buffer.unread(), buffer.out_of_order(), buffer.held()),
        (0, 0, 0)
    );
}

#[test]
fn what_came_early_is_forgotten_and_comes_again() {
    let mut buffer = ReceiveBuffer::new();
    let _ = buffer.insert(0, &[1; 3000], 65_535);
    let _ = buffer.insert(3000, &[2; 30_000], 65_535);
    assert_eq!(buffer.discard_out_of_order(), 30_000);
    assert!(buffer.held() <= 2 * CHUNK, "{}", buffer.held());
    assert_eq!(buffer.blocks(), [const { None }; MAX_BLOCKS]);
    let _ = buffer.insert(3000, &[3; 3000], 65_535);
    let _ = buffer.insert(0, &[3; 3000], 65_535);
    let mut octets = [0; 10_000];
    assert_eq!(buffer.read(&mut octets), 9000);
    assert_eq!((octets[2999], octets[3000], octets[8999]), (1, 3, 3));
}
