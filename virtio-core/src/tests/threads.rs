//! Driver and device on two threads, asleep whenever the rules allow it. A wake-up that gets lost ends the test.

use super::*;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

/// Long enough for any host; only a lost wake-up takes it.
const LOST: Duration = Duration::from_secs(20);
const FRAMES: u32 = 10_000;

/// A level that is raised and waited for, as a doorbell or an interrupt is.
fn signal() -> (impl Fn(), impl Fn(&str)) {
    let (raise, wait): (SyncSender<()>, Receiver<()>) = sync_channel(1);
    let raise = move || _ = raise.try_send(());
    (raise, move |what: &str| {
        wait.recv_timeout(LOST)
            .unwrap_or_else(|_| panic!("a lost wake-up: {what}"))
    })
}

/// The device echoes each frame: a chain of a readable and a writable buffer.
fn device(mut end: DeviceQueue, interrupt: impl Fn(), doorbell: impl Fn(&str)) {
    let mut done = 0;
    while done < FRAMES {
        end.want_doorbell(false);
        while let Some(chain) = end.pop() {
            let bytes = end.memory.read(chain.parts[0].address, 4);
            end.memory.write(chain.parts[1].address, &bytes);
            if end.push(chain.head, 4) {
                interrupt();
            }
            done += 1;
        }
        if done < FRAMES && !end.want_doorbell(true) {
            doorbell("the device waits for a doorbell");
        }
    }
}

fn driver(line: &mut Line, doorbell: impl Fn(), interrupt: impl Fn(&str)) {
    let (mut sent, mut seen) = (0u32, 0u32);
    while seen < FRAMES {
        line.queue.disarm();
        while let Some(used) = line.queue.take().expect("an honest device") {
            let parts: Vec<_> = used.chain.into_parts().collect();
            assert_eq!(
                (used.written, &parts[1].buffer.bytes()[..4]),
                (4, &seen.to_le_bytes()[..]),
                "frame {seen}"
            );
            seen += 1;
        }
        while sent < FRAMES && line.queue.free() > 1 {
            let (mut frame, reply) = (line.buffer(), line.buffer());
            frame.bytes_mut()[..4].copy_from_slice(&sent.to_le_bytes());
            line.queue
                .post(Chain::readable(frame, 0..4).then_writable(reply))
                .expect("room");
            sent += 1;
        }
        line.queue.publish();
        if line.queue.notify_needed() {
            doorbell();
        }
        if seen < FRAMES && !line.queue.arm() {
            interrupt("the driver waits for an interrupt");
        }
    }
}

fn echo(offered: Features, size: u16) {
    let mut line = Line::with_buffers(offered, size, 2 * usize::from(size), 64);
    let end = line.end.clone();
    let (ring, wait_for_doorbell) = signal();
    let (interrupt, wait_for_interrupt) = signal();
    let device = thread::spawn(move || device(end, interrupt, wait_for_doorbell));
    driver(&mut line, ring, wait_for_interrupt);
    device.join().expect("the device");
    assert_eq!(line.queue.stats().taken, u64::from(FRAMES));
    line.assert_balance();
}

#[test]
fn ten_thousand_frames_and_no_wake_up_lost_by_flags() {
    echo(FLAGS, 2);
    echo(FLAGS, 64);
}

#[test]
fn ten_thousand_frames_and_no_wake_up_lost_by_events() {
    echo(EVENTS, 2);
    echo(EVENTS, 64);
}

#[test]
fn ten_thousand_frames_and_no_wake_up_lost_with_the_barriers_for_hardware() {
    echo(EVENTS | Features::ORDER_PLATFORM, 8);
    echo(
        FLAGS | Features::ORDER_PLATFORM | Features::INDIRECT_DESC,
        8,
    );
}

#[test]
fn buffers_dropped_on_other_threads_come_back_to_their_pool() {
    let memory = TestMemory::new(MEMORY_AT, 64);
    let pool = DmaSpace::new(Box::new(memory), Vec::new())
        .pool(100, 64)
        .expect("memory");
    let threads = (0..4u8).map(|number| {
        let pool = pool.clone();
        thread::spawn(move || {
            for _ in 0..2_000 {
                let mut held: Vec<Buffer> = (0..20).map_while(|_| pool.take()).collect();
                held.iter_mut()
                    .for_each(|buffer| buffer.bytes_mut().fill(number));
                assert!(
                    held.iter()
                        .all(|buffer| buffer.bytes().iter().all(|byte| *byte == number)),
                    "two owners"
                );
            }
        })
    });
    let threads: Vec<_> = threads.collect();
    threads
        .into_iter()
        .for_each(|thread| thread.join().expect("no panic"));
    assert_eq!(pool.free(), 100);
    assert!(pool.canaries_are_whole());
}
