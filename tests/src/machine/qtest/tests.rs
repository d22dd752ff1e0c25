//! The other end of the socket is played by the test.

use super::*;
use std::io::{BufRead, BufReader};
use std::sync::mpsc;

/// A connection and its other end, which the test plays.
fn pair() -> (Qtest, BufReader<UnixStream>) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    (Qtest::new(ours).unwrap(), BufReader::new(theirs))
}

fn line(qemu: &mut BufReader<UnixStream>) -> String {
    let mut line = String::new();
    qemu.read_line(&mut line).unwrap();
    line.trim().to_owned()
}

#[test]
fn interrupt_lines_stand_anywhere_between_the_answers() {
    let (qtest, mut qemu) = pair();
    let (seen, inbox) = mpsc::channel();
    let player = std::thread::spawn(move || {
        assert_eq!(line(&mut qemu), "irq_intercept_in ioapic");
        qemu.get_mut()
            .write_all(b"IRQ raise 0\nOK\nIRQ lo")
            .unwrap();
        assert_eq!(line(&mut qemu), "readw 0xe0000002");
        qemu.get_mut()
            .write_all(b"wer 0\nIRQ raise 20\nOK 0x0000000000001af4\nIRQ lower 20\n")
            .unwrap();
        qemu
    });
    qtest
        .intercept_lines(move |number, raised| seen.send((number, raised)).unwrap())
        .unwrap();
    assert_eq!(qtest.read(Width::Word, 0xe000_0002), 0x1af4);
    let seen: Vec<_> = inbox.iter().take(4).collect();
    assert_eq!(seen, [(0, true), (0, false), (20, true), (20, false)]);
    drop(player.join().unwrap());
}

#[test]
fn a_write_is_posted_and_its_failure_is_noticed_by_the_next_read() {
    let (qtest, mut qemu) = pair();
    qtest.write(Width::Long, 0x10, 7);
    qtest.port_out(Width::Byte, 0x92, 1);
    assert_eq!(line(&mut qemu), "writel 0x10 0x7");
    assert_eq!(line(&mut qemu), "outb 0x92 0x1");
    qemu.get_mut()
        .write_all(b"FAIL no such address\nOK\nOK 0x2a\n")
        .unwrap();
    assert_eq!(qtest.failures(), 0, "nobody has looked yet");
    assert_eq!(qtest.port_in(Width::Byte, 0x60), 0x2a);
    assert_eq!(qtest.failures(), 1);
}

#[test]
fn ten_thousand_posted_writes_do_not_stop_a_machine_whose_answers_nobody_awaits() {
    let (qtest, mut qemu) = pair();
    let player = std::thread::spawn(move || {
        for count in 0..10_000 {
            assert_eq!(line(&mut qemu), format!("writeb {count:#x} 0x0"));
            qemu.get_mut().write_all(b"OK\n").unwrap();
        }
        qemu
    });
    for count in 0..10_000 {
        qtest.write(Width::Byte, count, 0);
    }
    drop(player.join().unwrap());
    assert_eq!(qtest.failures(), 0);
}

#[test]
fn four_threads_get_each_their_own_answer() {
    let (qtest, mut qemu) = pair();
    let player = std::thread::spawn(move || {
        for _ in 0..4000 {
            let question = line(&mut qemu);
            let answer = question.replace("readl ", "OK ");
            qemu.get_mut()
                .write_all(format!("{answer}\n").as_bytes())
                .unwrap();
        }
        qemu
    });
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let qtest = &qtest;
            scope.spawn(move || {
                for count in 0..1000 {
                    let address = thread << 16 | count;
                    assert_eq!(qtest.read(Width::Long, address), address);
                }
            });
        }
    });
    drop(player.join().unwrap());
}

#[test]
fn a_machine_that_is_gone_reads_all_ones() {
    let (qtest, qemu) = pair();
    drop(qemu);
    assert_eq!(qtest.read(Width::Byte, 0), 0xff);
    assert_eq!(qtest.port_in(Width::Long, 0xcfc), 0xffff_ffff);
    qtest.write(Width::Long, 0, 0);
    assert!(qtest.is_gone());
    assert_eq!(
        qtest.failures(),
        0,
        "a machine that is gone has refused nothing"
    );
}
