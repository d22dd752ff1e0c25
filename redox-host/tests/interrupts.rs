//! Interrupts (kernel scheme/irq.rs).
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;
use common::*;

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};

use libredox::call as redox;
use redox_host::ProcessSpec;
use rustix::event::{EventfdFlags, eventfd};
use syscall::flag::{O_CREAT, O_DIRECTORY, O_RDONLY, O_RDWR, O_STAT};

fn names(fd: usize) -> Vec<String> {
    let mut buf = [0; 4096];
    let count = redox::getdents(fd, &mut buf, 0).unwrap();
    entry_names(&buf[..count])
}

fn source() -> (OwnedFd, OwnedFd) {
    let fd = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
    (fd.try_clone().unwrap(), fd)
}

fn ring(source: &OwnedFd) {
    rustix::io::write(source, &1u64.to_ne_bytes()).unwrap();
}

fn read_count(fd: usize) -> Option<usize> {
    let mut word = [0; 8];
    match redox::read(fd, &mut word).unwrap() {
        8 => Some(usize::from_ne_bytes(word)),
        count => {
            assert_eq!(count, 0);
            None
        }
    }
}

#[test]
fn the_tree_has_the_boot_cpu_and_what_is_free_on_it() {
    let host = host();
    let _me = client(&host);
    let irqs = host
        .irq()
        .provide_msi_vectors(vec![source().0, source().0, source().0]);
    assert_eq!(irqs, [16, 17, 18]);
    let top = open("/scheme/irq/", O_RDONLY | O_DIRECTORY).unwrap();
    assert_eq!(names(top), ["bsp", "cpu-00"]);
    assert_eq!(errno(open("/scheme/irq/", O_RDONLY)), syscall::EISDIR);
    let bsp = open("/scheme/irq/bsp", O_RDONLY).unwrap();
    let mut word = [9; 8];
    assert_eq!(redox::read(bsp, &mut word).unwrap(), 8);
    assert_eq!(word, [0; 8]);
    let cpu = open("/scheme/irq/cpu-00", O_RDONLY | O_DIRECTORY).unwrap();
    assert_eq!(names(cpu), ["16", "17", "18"]);
    let irq = open("/scheme/irq/cpu-00/17", O_RDWR | O_CREAT).unwrap();
    assert_eq!(names(cpu), ["16", "18"]);
    assert_eq!(host.irq().reserved(), [17]);
    redox::close(irq).unwrap();
    assert_eq!(names(cpu), ["16", "18"], "a vector is never given back");
    assert_eq!(
        errno(open("/scheme/irq/cpu-00/17", O_RDWR | O_CREAT)),
        syscall::EEXIST
    );
    assert_eq!(host.irq().source_of(18), Some(2));
}

#[test]
fn what_cannot_be_opened() {
    let host = host();
    let _me = client(&host);
    for (path, flags, expected) in [
        ("16", O_RDWR, syscall::ENOENT),
        ("cpu-00/16", O_RDWR, syscall::EINVAL),
        ("cpu-00/224", O_RDWR | O_CREAT, syscall::ENOENT),
        ("cpu-00/x", O_RDWR | O_CREAT, syscall::ENOENT),
        ("cpu-zz", O_RDONLY, syscall::ENOENT),
        ("cpu-", O_RDONLY, syscall::ENOENT),
        ("phandle-1/0,1,2", O_RDWR | O_CREAT, syscall::ENOENT),
        ("other", O_RDONLY, syscall::ENOENT),
    ] {
        assert_eq!(
            errno(open(&format!("/scheme/irq/{path}"), flags)),
            expected,
            "{path}"
        );
    }
    assert!(
        open("/scheme/irq/cpu-00/40", O_RDONLY | O_STAT).is_ok(),
        "a look reserves nothing"
    );
    assert!(host.irq().reserved().is_empty());
    let _user = host.enter(ProcessSpec::new("user").uid(1));
    assert_eq!(errno(open("/scheme/irq/bsp", O_RDONLY)), syscall::EACCES);
}

#[test]
fn an_msi_rings_once_for_each_signal_and_is_an_edge() {
    let host = host();
    let _me = client(&host);
    let (theirs, mine) = source();
    let irqs = host.irq().provide_msi_vectors(vec![theirs]);
    let fd = open(&format!("/scheme/irq/cpu-00/{}", irqs[0]), O_RDWR | O_CREAT).unwrap();
    let queue = event_queue();
    subscribe(queue, fd, 3, 1).unwrap();
    assert_eq!(events_now(queue), []);
    ring(&mine);
    assert_eq!(wait_events(queue), [(fd, 1, 3)]);
    ring(&mine);
    assert_eq!(
        wait_events(queue),
        [(fd, 1, 3)],
        "without any acknowledgement"
    );
    assert_eq!(read_count(fd), Some(2));
    assert_eq!(host.irq().stray_acks(), 0);
}

#[test]
fn interrupts_before_the_subscription_are_counted_but_not_told() {
    let host = host();
    let _me = client(&host);
    let fd = open("/scheme/irq/cpu-00/50", O_RDWR | O_CREAT).unwrap();
    host.irq().raise(50);
    let queue = event_queue();
    subscribe(queue, fd, 3, 1).unwrap();
    assert_eq!(events_now(queue), [], "no readiness at subscription");
    assert_eq!(read_count(fd), Some(1), "so look once after subscribing");
}

#[test]
fn every_open_handle_gets_its_own_event_and_acknowledges_for_itself() {
    let host = host();
    let _me = client(&host);
    host.irq().connect_line(11, |_| {});
    let a = open("/scheme/irq/11", O_RDWR).unwrap();
    let b = open("/scheme/irq/cpu-00/11", O_RDWR).unwrap();
    let queue = event_queue();
    subscribe(queue, a, 1, 1).unwrap();
    subscribe(queue, b, 2, 1).unwrap();
    assert_eq!(read_count(a), None, "never blocks");
    host.irq().raise_line(11);
    let mut events = events_now(queue);
    events.sort_unstable();
    assert_eq!(events, [(a, 1, 1), (b, 1, 2)]);
    host.irq().lower_line(11);
    assert_eq!(redox::write(a, &1usize.to_ne_bytes()).unwrap(), 8);
    assert_eq!((read_count(a), read_count(b)), (None, Some(1)));
    assert_eq!(errno(redox::read(a, &mut [0; 7])), syscall::EINVAL);
    assert_eq!(errno(redox::write(a, &[0; 7])), syscall::EINVAL);
}

#[test]
fn a_level_line_is_masked_when_it_rings_and_rings_again_at_the_acknowledgement_while_asserted() {
    let host = host();
    let _me = client(&host);
    let masks = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&masks);
    host.irq()
        .connect_line(10, move |masked| seen.lock().unwrap().push(masked));
    let fd = open("/scheme/irq/10", O_RDWR).unwrap();
    host.irq().raise_line(10);
    host.irq().raise_line(10);
    assert_eq!(read_count(fd), Some(1), "masked: it cannot ring twice");
    assert_eq!(
        redox::write(fd, &7usize.to_ne_bytes()).unwrap(),
        0,
        "not the current count: not acknowledged"
    );
    assert_eq!(*masks.lock().unwrap(), [true]);
    assert_eq!(redox::write(fd, &1usize.to_ne_bytes()).unwrap(), 8);
    assert_eq!(read_count(fd), Some(2), "still asserted");
    host.irq().lower_line(10);
    assert_eq!(redox::write(fd, &2usize.to_ne_bytes()).unwrap(), 8);
    assert_eq!(read_count(fd), None);
    assert_eq!(*masks.lock().unwrap(), [true, false, true, false]);
}

#[test]
fn the_acknowledgement_of_an_msi_is_noticed() {
    let host = host();
    let _me = client(&host);
    let fd = open("/scheme/irq/cpu-00/16", O_RDWR | O_CREAT).unwrap();
    host.irq().raise(16);
    redox::write(fd, &1usize.to_ne_bytes()).unwrap();
    assert_eq!(host.irq().stray_acks(), 1);
}

#[test]
fn a_device_tree_names_interrupts_its_own_way() {
    let host = host();
    let _me = client(&host);
    host.irq().connect_phandle(7, &[0, 3, 4], 60);
    let fd = open("/scheme/irq/phandle-7/0,3,4", O_RDWR | O_CREAT).unwrap();
    assert_eq!(
        errno(open("/scheme/irq/phandle-7/0,3,4", O_RDWR | O_CREAT)),
        syscall::EEXIST
    );
    assert_eq!(
        errno(open("/scheme/irq/phandle-7/0,3,4", O_RDWR)),
        syscall::EINVAL
    );
    host.irq().raise_line(60);
    assert_eq!(read_count(fd), Some(1));
}
