//! What an octet costs on its way through TCP's buffers, beside a ring that is always there:
//! `cargo test --release -p smolnetd --test buffers -- --ignored --nocapture`.

use std::collections::VecDeque;
use std::hint::black_box;
use std::time::{Duration, Instant};

use redox_host as _;
use smolnetd::flow::buffer::{ReceiveBuffer, SendBuffer};

/// Octets in a segment.
const SEGMENT: usize = 1460;

/// How long each is measured.
const TIME: Duration = Duration::from_millis(500);

/// Gigabits per second of `round`, which moves the octets that it returns.
fn rate(mut round: impl FnMut() -> usize) -> f64 {
    let (start, mut octets) = (Instant::now(), 0);
    while start.elapsed() < TIME {
        octets += (0..16).map(|_| round()).sum::<usize>();
    }
    octets as f64 * 8.0 / start.elapsed().as_nanos() as f64
}

/// Copies the octets of a ring from `offset` on.
fn copy_out(ring: &VecDeque<u8>, offset: usize, out: &mut [u8]) {
    let (first, second) = ring.as_slices();
    let from_first = first.get(offset..).unwrap_or_default();
    let length = from_first.len().min(out.len());
    out[..length].copy_from_slice(&from_first[..length]);
    let skipped = offset.saturating_sub(first.len());
    let rest = out.len() - length;
    out[length..].copy_from_slice(&second[skipped..][..rest]);
}

/// A program keeps `full` octets in the buffer; they leave in segments and are acknowledged two by two.
fn sending(full: usize) -> (f64, f64) {
    let data = vec![1; full];
    let mut segment = [0; SEGMENT];
    let mut buffer = SendBuffer::new(full);
    let chunks = rate(|| {
        buffer.write(&data[..buffer.room()]);
        for offset in [0, SEGMENT] {
            black_box(buffer.copy(full - 2 * SEGMENT + offset, &mut segment));
        }
        buffer.acknowledge(2 * SEGMENT);
        2 * SEGMENT
    });
    let mut ring = VecDeque::with_capacity(full);
    let plain = rate(|| {
        ring.extend(&data[..full - ring.len()]);
        for offset in [0, SEGMENT] {
            copy_out(&ring, full - 2 * SEGMENT + offset, &mut segment);
            black_box(&segment);
        }
        ring.drain(..2 * SEGMENT);
        2 * SEGMENT
    });
    (chunks, plain)
}

/// Segments come and are read when `unread` octets have come.
fn receiving(unread: usize) -> (f64, f64) {
    let segment = [1; SEGMENT];
    let mut out = vec![0; unread];
    let mut buffer = ReceiveBuffer::new();
    let chunks = rate(|| {
        while buffer.unread() + SEGMENT <= unread {
            let _ = black_box(buffer.insert(0, &segment, SEGMENT));
        }
        buffer.read(&mut out)
    });
    let mut ring = VecDeque::with_capacity(unread);
    let plain = rate(|| {
        while ring.len() + SEGMENT <= unread {
            ring.extend(&segment);
        }
        let length = ring.len();
        copy_out(&ring, 0, &mut out[..length]);
        ring.clear();
        length
    });
    (chunks, plain)
}

/// Every second segment of `unread` octets comes first.
fn receiving_early(unread: usize) -> f64 {
    let segment = [1; SEGMENT];
    let mut out = vec![0; unread];
    let mut buffer = ReceiveBuffer::new();
    let segments = unread / SEGMENT;
    rate(|| {
        let (odd, even) = ((1..segments).step_by(2), (0..segments).step_by(2));
        for number in odd.chain(even) {
            let offset = (number * SEGMENT) as i32 - buffer.unread() as i32;
            let _ = black_box(buffer.insert(offset, &segment, unread));
        }
        buffer.read(&mut out)
    })
}

#[test]
#[ignore = "a measurement"]
fn octets_per_second() {
    println!("Gbit/s through          chunks   a ring");
    for full in [16 << 10, 128 << 10, 1 << 20, 4 << 20] {
        let (chunks, plain) = sending(full);
        println!(
            "send, {:>4} KiB full    {chunks:>7.1}  {plain:>7.1}",
            full >> 10
        );
    }
    for unread in [SEGMENT, 16 << 10, 64 << 10, 1 << 20] {
        let (chunks, plain) = receiving(unread);
        println!(
            "receive, {:>4} KiB read {chunks:>7.1}  {plain:>7.1}",
            unread >> 10
        );
    }
    for unread in [16 << 10, 256 << 10] {
        let chunks = receiving_early(unread);
        println!("every second first, {:>3} KiB {chunks:>7.1}", unread >> 10);
    }
}
