//! Memory: anonymous, for DMA, and shared between processes (kernel scheme/memory.rs, context/memory.rs, scheme/user.rs).
#![allow(
    missing_docs,
    unsafe_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests"
)]

mod common;
use common::*;

use libredox::call::{self as redox, MmapArgs};
use redox_host::{Host, HostConfig, ProcessSpec, SharedRam};
use syscall::CallFlags;
use syscall::flag::{MapFlags, O_RDONLY, O_RDWR};
use syscall::schemev2::Opcode;

const RW: u32 = ((MapFlags::PROT_READ.bits() | MapFlags::PROT_WRITE.bits()) >> 16) as u32;
const SHARED: u32 = MapFlags::MAP_SHARED.bits() as u32;
const PRIVATE: u32 = MapFlags::MAP_PRIVATE.bits() as u32;
const PAGE: usize = 4096;

fn map(fd: usize, length: usize, flags: u32, offset: u64) -> libredox::error::Result<usize> {
    // SAFETY: a fresh mapping changes no memory that is in use.
    unsafe {
        redox::mmap(MmapArgs {
            addr: std::ptr::null_mut(),
            length,
            prot: RW,
            flags,
            fd,
            offset,
        })
    }
    .map(|p| p.expose_provenance())
}

fn unmap(address: usize, length: usize) -> libredox::error::Result<()> {
    // SAFETY: each test unmaps only what it mapped and uses no more.
    unsafe { redox::munmap(std::ptr::with_exposed_provenance_mut(address), length) }
}

fn poke(address: usize, bytes: &[u8]) {
    // SAFETY: tests pass addresses of their own mappings.
    unsafe {
        std::ptr::with_exposed_provenance_mut::<u8>(address).copy_from(bytes.as_ptr(), bytes.len())
    }
}

fn peek<const N: usize>(address: usize) -> [u8; N] {
    // SAFETY: tests pass addresses of their own mappings.
    unsafe { std::ptr::with_exposed_provenance::<[u8; N]>(address).read() }
}

fn physical(address: usize) -> libredox::error::Result<u64> {
    let translation = open("/scheme/memory/translation", O_RDWR).unwrap();
    let mut word = address.to_ne_bytes();
    redox::call_rw(translation, &mut word, CallFlags::empty(), &[])?;
    redox::close(translation).unwrap();
    Ok(u64::from_ne_bytes(word))
}

#[test]
fn anonymous_memory_is_zero_and_goes_back() {
    let host = host();
    let me = client(&host);
    let before = host.usage();
    let address = map(usize::MAX, 3 * PAGE + 1, PRIVATE, 0).unwrap();
    assert_eq!(me.mappings(), 1);
    assert_eq!(peek(address + 3 * PAGE), [0; 8]);
    poke(address + 3 * PAGE, b"last page");
    assert_eq!(
        before.anonymous_free - host.usage().anonymous_free,
        4 * PAGE as u64
    );
    unmap(address, 3 * PAGE + 1).unwrap();
    assert_eq!(host.usage(), before);
    assert_eq!(me.mappings(), 0);
    assert_eq!(errno(map(usize::MAX, 0, PRIVATE, 0)), syscall::EINVAL);
    assert!(
        unmap(address, PAGE).is_ok(),
        "nothing there: nothing happens"
    );
    assert_eq!(errno(unmap(address + 1, PAGE)), syscall::EINVAL);
}

#[test]
fn dma_memory_is_guest_ram_at_the_address_that_translation_tells() {
    let directory = tempfile::tempdir().unwrap();
    let ram = SharedRam::create(&directory.path().join("ram"), 8 << 20).unwrap();
    let host = Host::new(HostConfig {
        ram: Some(ram.clone()),
        root: None,
    })
    .unwrap();
    let me = client(&host);
    let root = open("/scheme/memory/scheme-root", O_RDONLY).unwrap();
    let zeroed = openat(root, "zeroed@wb?phys_contiguous", O_RDWR).unwrap();
    let address = map(zeroed, 3 * PAGE, PRIVATE, 0).unwrap();
    redox::close(zeroed).unwrap();
    let device = physical(address + 2 * PAGE + 5).unwrap();
    assert!(device >= 1 << 20, "not where the firmware is: {device:#x}");
    assert_eq!(
        (device - 2 * PAGE as u64 - 5) % (4 * PAGE as u64),
        0,
        "a power of two, aligned to itself"
    );
    poke(address + 2 * PAGE + 5, b"to the device");
    let mut seen = [0; 13];
    ram.read(device, &mut seen).unwrap();
    assert_eq!(&seen, b"to the device");
    ram.write(device, b"from there").unwrap();
    assert_eq!(&peek::<10>(address + 2 * PAGE + 5), b"from there");
    let free = ram.free();
    unmap(address, 3 * PAGE).unwrap();
    assert_eq!(ram.free() - free, 4 * PAGE as u64);
    assert_eq!(ram.free(), ram.size() - (1 << 20));
    assert_eq!(me.mappings(), 0);
}

#[test]
fn the_rules_of_the_memory_scheme() {
    let host = host();
    let _me = client(&host);
    let contiguous = open("/scheme/memory/zeroed@uc?phys_contiguous", O_RDWR).unwrap();
    assert_eq!(errno(map(contiguous, PAGE, SHARED, 0)), syscall::EOPNOTSUPP);
    for path in ["zeroed@xx", "zeroed@wb?32", "nothing"] {
        assert_eq!(
            errno(open(&format!("/scheme/memory/{path}"), O_RDWR)),
            syscall::ENOENT,
            "{path}"
        );
    }
    assert_eq!(errno(physical(0x1000)), syscall::ENOENT);
    let _user = host.enter(ProcessSpec::new("user").uid(1000));
    for path in ["zeroed@wb?phys_contiguous", "translation", "physical@uc"] {
        assert_eq!(
            errno(open(&format!("/scheme/memory/{path}"), O_RDWR)),
            syscall::EACCES,
            "{path}"
        );
    }
    assert!(open("/scheme/memory/zeroed", O_RDWR).is_ok());
}

#[test]
fn memory_that_no_device_can_reach_has_addresses_beyond_ram() {
    let host = host();
    let _me = client(&host);
    let address = map(usize::MAX, PAGE, PRIVATE, 0).unwrap();
    assert!(physical(address).unwrap() >= host.ram().size());
}

/// A daemon that lends `pages` pages of its memory to whoever maps its file.
fn lender(host: &Host, name: &'static str, path: &'static str, pages: usize) -> (Daemon, usize) {
    let daemon = Daemon::start(host, name);
    let address = daemon.run(move |_| {
        let fd = if path.is_empty() {
            usize::MAX
        } else {
            open(path, O_RDWR).unwrap()
        };
        map(fd, pages * PAGE, PRIVATE, 0).unwrap()
    });
    (daemon, address)
}

#[test]
fn a_shared_mapping_is_the_same_memory_at_another_address() {
    for path in ["", "/scheme/memory/zeroed@wb?phys_contiguous"] {
        let host = host();
        let (daemon, lent) = lender(&host, "ring", path, 4);
        let me = client(&host);
        let prep = daemon.start_job(move |raw| {
            raw.accept_open(6);
            let sqe = raw.next();
            raw.answer(sqe.tag, Ok(lent + PAGE));
            sqe
        });
        let fd = open("/scheme/ring/", O_RDWR).unwrap();
        let mine = map(fd, 2 * PAGE - 7, SHARED, PAGE as u64).unwrap();
        let prep = prep.recv_timeout(LONG).unwrap();
        assert_eq!(
            (prep.opcode, prep.args[0], prep.args[1]),
            (Opcode::MmapPrep as u8, 6, 2 * PAGE as u64 - 7)
        );
        assert_eq!(
            prep.args[2],
            (MapFlags::MAP_SHARED | MapFlags::PROT_READ | MapFlags::PROT_WRITE).bits() as u64
        );
        assert_eq!((prep.args[3], prep.args[5]), (PAGE as u64, 0));
        assert_ne!(mine, lent + PAGE);
        poke(lent + PAGE, b"from the provider");
        assert_eq!(&peek::<17>(mine), b"from the provider");
        poke(mine + PAGE, b"from the client");
        assert_eq!(&peek::<15>(lent + 2 * PAGE), b"from the client");

        redox::close(fd).unwrap();
        assert!(
            daemon.run(Raw::drain).is_empty(),
            "the mapping holds the file open"
        );
        let unmapped = daemon.start_job(|raw| {
            let sqe = raw.next();
            raw.answer(sqe.tag, Ok(0));
            (sqe, raw.next())
        });
        unmap(mine, 2 * PAGE).unwrap();
        let (munmap, close) = unmapped.recv_timeout(LONG).unwrap();
        assert_eq!(
            (munmap.opcode, munmap.args[0], munmap.args[1]),
            (Opcode::Munmap as u8, 6, 2 * PAGE as u64)
        );
        assert_eq!(
            (munmap.args[2], munmap.args[3]),
            (1, PAGE as u64),
            "needs a sync, for it was writable; offset"
        );
        assert_eq!(
            (close.opcode, close.args[0]),
            (Opcode::CloseMsg as u8, 6),
            "only after the unmapping"
        );
        assert_eq!(me.mappings(), 0);
    }
}

#[test]
fn munmap_waits_for_the_schemes_answer_and_gives_its_error() {
    let host = host();
    let (daemon, lent) = lender(&host, "slow", "", 1);
    let _me = client(&host);
    daemon.start_job(move |raw| {
        raw.accept_open(6);
        let sqe = raw.next();
        raw.answer(sqe.tag, Ok(lent));
        let munmap = raw.next();
        raw.answer(munmap.tag, Err(syscall::EOPNOTSUPP));
    });
    let fd = open("/scheme/slow/", O_RDWR).unwrap();
    let mine = map(fd, PAGE, SHARED, 0).unwrap();
    assert_eq!(errno(unmap(mine, PAGE)), syscall::EOPNOTSUPP);
}

#[test]
fn part_of_a_mapping_can_go() {
    let host = host();
    let (daemon, lent) = lender(&host, "part", "", 4);
    let me = client(&host);
    let served = daemon.start_job(move |raw| {
        raw.accept_open(6);
        let sqe = raw.next();
        raw.answer(sqe.tag, Ok(lent));
        let munmap = raw.next();
        raw.answer(munmap.tag, Ok(0));
        munmap
    });
    let fd = open("/scheme/part/", O_RDWR).unwrap();
    let mine = map(fd, 4 * PAGE, SHARED, 0).unwrap();
    unmap(mine + PAGE, PAGE).unwrap();
    let munmap = served.recv_timeout(LONG).unwrap();
    assert_eq!((munmap.args[1], munmap.args[3]), (PAGE as u64, PAGE as u64));
    assert_eq!(me.mappings(), 2);
    poke(lent, b"A");
    poke(lent + 3 * PAGE, b"D");
    assert_eq!((peek(mine), peek(mine + 3 * PAGE)), ([b'A'], [b'D']));
}

#[test]
fn a_private_mapping_tells_the_provider_so_and_keeps_its_writes() {
    let host = host();
    let (daemon, lent) = lender(&host, "private", "", 1);
    let _me = client(&host);
    let flags = daemon.start_job(move |raw| {
        raw.accept_open(6);
        let sqe = raw.next();
        raw.answer(sqe.tag, Ok(lent));
        MapFlags::from_bits_retain(sqe.args[2] as usize)
    });
    let fd = open("/scheme/private/", O_RDWR).unwrap();
    let mine = map(fd, PAGE, PRIVATE, 0).unwrap();
    assert!(
        flags
            .recv_timeout(LONG)
            .unwrap()
            .contains(MapFlags::MAP_PRIVATE)
    );
    poke(mine, b"mine");
    assert_eq!(peek(lent), [0; 4]);
}

#[test]
fn a_provider_can_lend_only_what_it_mapped() {
    let host = host();
    let (daemon, lent) = lender(&host, "lies", "", 2);
    let _me = client(&host);
    daemon.start_job(move |raw| {
        raw.accept_open(6);
        for answer in [
            Ok(lent + 1),
            Ok(lent + PAGE),
            Ok(0x1000),
            Err(syscall::EACCES),
        ] {
            let sqe = raw.next();
            raw.answer(sqe.tag, answer);
        }
    });
    let fd = open("/scheme/lies/", O_RDWR).unwrap();
    let errors: Vec<_> = (0..4)
        .map(|_| errno(map(fd, 2 * PAGE, SHARED, 0)))
        .collect();
    assert_eq!(
        errors,
        [
            syscall::EINVAL,
            syscall::EFAULT,
            syscall::EFAULT,
            syscall::EACCES
        ]
    );
    assert_eq!(errno(map(fd, PAGE, SHARED, 5)), syscall::EINVAL);
    assert_eq!(errno(map(fd, 0, SHARED, 0)), syscall::EINVAL);
}

#[test]
fn a_provider_cannot_map_its_own_file() {
    let host = host();
    let daemon = Daemon::start(&host, "self");
    let result = daemon.run(|raw| {
        let parameters = raw.socket.create_this_scheme_fd(0, 3, 0, 0).unwrap();
        errno(map(parameters, PAGE, SHARED, 0))
    });
    assert_eq!(result, syscall::EBUSY);
}

#[test]
fn shared_frames_outlive_their_provider() {
    let host = host();
    let before = host.usage();
    let (daemon, lent) = lender(&host, "gone", "", 1);
    let me = client(&host);
    daemon.start_job(move |raw| {
        raw.accept_open(6);
        let sqe = raw.next();
        raw.answer(sqe.tag, Ok(lent));
    });
    let fd = open("/scheme/gone/", O_RDWR).unwrap();
    let mine = map(fd, PAGE, SHARED, 0).unwrap();
    poke(mine, b"still here");
    let process = daemon.process.clone();
    process.kill();
    drop(daemon);
    process.wait(LONG).unwrap();
    assert_eq!(&peek::<10>(mine), b"still here");
    assert_eq!(errno(unmap(mine, PAGE)), syscall::ENODEV, "nobody to tell");
    assert_eq!(me.mappings(), 0);
    assert_eq!(host.usage().anonymous_free, before.anonymous_free);
}

#[test]
fn the_memory_of_a_killed_process_stays_until_its_thread_has_ended() {
    let host = host();
    let before = host.usage();
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let (mapped, address) = std::sync::mpsc::channel();
    let process = host.spawn(ProcessSpec::new("zombie"), move || {
        mapped
            .send(map(usize::MAX, PAGE, PRIVATE, 0).unwrap())
            .unwrap();
        gone.recv().unwrap();
        0
    });
    let address: usize = address.recv_timeout(LONG).unwrap();
    process.kill();
    assert_eq!(process.mappings(), 1);
    poke(address, b"the thread may still write here");
    go.send(()).unwrap();
    process.wait(LONG).unwrap();
    assert_eq!(process.mappings(), 0);
    assert_eq!(host.usage(), before);
}

#[test]
fn a_client_that_exits_unmaps_and_then_closes() {
    let host = host();
    let (daemon, lent) = lender(&host, "exits", "", 1);
    let served = daemon.start_job(move |raw| {
        raw.accept_open(6);
        let sqe = raw.next();
        raw.answer(sqe.tag, Ok(lent));
        let munmap = raw.next();
        raw.answer(munmap.tag, Ok(0));
        (munmap.opcode, raw.next().opcode)
    });
    {
        let _me = client(&host);
        let fd = open("/scheme/exits/", O_RDWR).unwrap();
        map(fd, PAGE, SHARED, 0).unwrap();
    }
    assert_eq!(
        served.recv_timeout(LONG).unwrap(),
        (Opcode::Munmap as u8, Opcode::CloseMsg as u8)
    );
}
