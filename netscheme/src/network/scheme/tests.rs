use std::cell::RefCell;
use std::collections::VecDeque;

use redox_scheme::{Request, RequestKind};
use syscall::error::{EMSGSIZE, ENOENT};
use syscall::flag::{O_DIRECTORY, O_NONBLOCK, O_RDWR};

use super::*;
use crate::frame::Mac;
use crate::network::server::Full;

const READ: EventFlags = EventFlags::EVENT_READ;
const WRITE: EventFlags = EventFlags::EVENT_WRITE;
const NONE: EventFlags = EventFlags::empty();

/// A card of the test's own: a queue of received frames, room for some to send.
#[derive(Default)]
struct Card {
    received: VecDeque<Vec<u8>>,
    sent: Vec<Vec<u8>>,
    room: usize,
    doorbells: usize,
    link: Option<LinkState>,
    recycled: RefCell<usize>,
}

struct Frame<'a>(Vec<u8>, &'a RefCell<usize>);

impl core::ops::Deref for Frame<'_> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Frame<'_> {
    fn drop(&mut self) {
        *self.1.borrow_mut() += 1;
    }
}

impl Nic for Card {
    type Frame<'a> = Frame<'a>;
    fn receive(&mut self) -> Option<Frame<'_>> {
        let frame = self.received.pop_front()?;
        Some(Frame(frame, &self.recycled))
    }
    fn can_receive(&mut self) -> bool {
        !self.received.is_empty()
    }
    fn transmit(&mut self, frame: &[u8]) -> core::result::Result<(), Full> {
        if self.room == 0 {
            return Err(Full);
        }
        self.room -= 1;
        self.sent.push(frame.to_vec());
        Ok(())
    }
    fn can_transmit(&mut self) -> bool {
        self.room > 0
    }
    fn flush(&mut self) {
        self.doorbells += 1;
    }
    fn mac(&self) -> Mac {
        Mac([0x52, 0x54, 0, 0x12, 0x34, 0x56])
    }
    fn mtu(&self) -> u16 {
        1500
    }
    fn link(&self) -> LinkState {
        self.link.unwrap_or(LinkState::UP)
    }
    fn stats(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [("rx_frames", 7), ("tx_frames", self.sent.len() as u64)].into_iter()
    }
}

fn caller(uid: u32) -> CallerCtx {
    let RequestKind::Call(call) = Request::default().kind() else {
        panic!("an empty request is a call");
    };
    CallerCtx {
        uid,
        ..call.caller()
    }
}

fn scheme() -> NetworkScheme<Card> {
    NetworkScheme::new(
        "network.test".to_owned(),
        Card {
            room: 8,
            ..Card::default()
        },
    )
}

fn try_open(scheme: &mut NetworkScheme<Card>, path: &str, flags: usize) -> Result<usize> {
    match scheme.openat(scheme.root, path, flags, 0, &caller(0))? {
        OpenResult::ThisScheme { number, .. } => Ok(number),
        other => panic!("{other:?}"),
    }
}

fn open(scheme: &mut NetworkScheme<Card>, path: &str) -> usize {
    try_open(scheme, path, O_RDWR | O_NONBLOCK).unwrap()
}

fn read(scheme: &mut NetworkScheme<Card>, id: usize, length: usize) -> Result<Vec<u8>> {
    let mut buffer = vec![0xee; length];
    let length = scheme.read(id, &mut buffer, u64::MAX, 0, &caller(0))?;
    buffer.truncate(length);
    Ok(buffer)
}

fn read_text(scheme: &mut NetworkScheme<Card>, id: usize) -> String {
    String::from_utf8(read(scheme, id, 4096).unwrap()).unwrap()
}

fn write(scheme: &mut NetworkScheme<Card>, id: usize, frame: &[u8]) -> Result<usize> {
    scheme.write(id, frame, u64::MAX, 0, &caller(0))
}

fn errno<T: core::fmt::Debug>(result: Result<T>) -> i32 {
    result.unwrap_err().errno
}

#[test]
fn the_1514_byte_frame_passes_both_ways() {
    let mut scheme = scheme();
    let data = open(&mut scheme, "");
    scheme.nic.received.push_back(vec![1; 1514]);
    assert_eq!(read(&mut scheme, data, 2048).unwrap(), vec![1; 1514]);
    assert_eq!(write(&mut scheme, data, &[2; 1514]).unwrap(), 1514);
    assert_eq!(scheme.nic.sent, [vec![2; 1514]]);
    assert_eq!(scheme.counters, Counters::default());
}

#[test]
fn a_reader_with_a_small_buffer_gets_the_start_of_the_frame_and_the_next_one_whole() {
    let mut scheme = scheme();
    let data = open(&mut scheme, "");
    scheme.nic.received.extend([vec![1; 1514], vec![2; 60]]);
    assert_eq!(read(&mut scheme, data, 1500).unwrap(), vec![1; 1500]);
    assert_eq!(read(&mut scheme, data, 1500).unwrap(), vec![2; 60]);
    assert_eq!(scheme.counters.rx_truncated, 1);
    assert_eq!(
        *scheme.nic.recycled.borrow(),
        2,
        "both buffers went back to the card"
    );
    assert_eq!(errno(read(&mut scheme, data, 1500)), EWOULDBLOCK);
    scheme.nic.received.push_back(vec![3; 60]);
    assert_eq!(read(&mut scheme, data, 0).unwrap(), []);
    assert_eq!(scheme.counters.rx_truncated, 2);
}

#[test]
fn a_frame_of_the_wrong_length_is_refused_and_counted() {
    let mut scheme = scheme();
    let data = open(&mut scheme, "");
    for length in [0, 1, 13] {
        assert_eq!(
            errno(write(&mut scheme, data, &vec![0; length])),
            EINVAL,
            "{length}"
        );
    }
    for length in [1515, 1518, 9000, 1 << 20] {
        assert_eq!(
            errno(write(&mut scheme, data, &vec![0; length])),
            EMSGSIZE,
            "{length}"
        );
    }
    assert_eq!(
        (scheme.counters.tx_too_short, scheme.counters.tx_too_long),
        (3, 4)
    );
    assert_eq!(write(&mut scheme, data, &[0; 14]).unwrap(), 14);

    let mut tagged = vec![0; 1518];
    tagged[12..14].copy_from_slice(&[0x81, 0x00]);
    assert_eq!(write(&mut scheme, data, &tagged).unwrap(), 1518);
    tagged.push(0);
    assert_eq!(errno(write(&mut scheme, data, &tagged)), EMSGSIZE);
}

#[test]
fn a_full_card_makes_the_writer_wait_and_tells_it_when_there_is_room() {
    let mut scheme = scheme();
    let data = open(&mut scheme, "");
    scheme.nic.room = 1;
    assert_eq!(scheme.fevent(data, READ | WRITE, &caller(0)), Ok(WRITE));
    write(&mut scheme, data, &[0; 60]).unwrap();
    assert_eq!(scheme.edges(NONE), []);
    assert_eq!(errno(write(&mut scheme, data, &[0; 60])), EWOULDBLOCK);
    assert_eq!(scheme.edges(NONE), []);
    scheme.nic.room = 1;
    assert_eq!(scheme.edges(NONE), [(data, WRITE)]);
    assert_eq!(scheme.edges(NONE), [], "one post for one edge");
}

#[test]
fn the_doorbell_rings_once_for_all_frames_of_a_turn() {
    let mut scheme = scheme();
    let data = open(&mut scheme, "");
    for _ in 0..5 {
        write(&mut scheme, data, &[0; 60]).unwrap();
    }
    assert!(!scheme.settle() && !scheme.settle());
    assert_eq!(scheme.nic.doorbells, 1);
}

#[test]
fn frames_without_a_reader_go_back_to_the_card_and_are_counted() {
    let mut scheme = scheme();
    scheme.nic.received.extend([vec![1; 60], vec![2; 60]]);
    scheme.settle();
    assert_eq!(scheme.counters.rx_no_reader, 2);
    assert_eq!(*scheme.nic.recycled.borrow(), 2);

    let data = open(&mut scheme, "");
    scheme.nic.received.push_back(vec![3; 60]);
    scheme.settle();
    assert_eq!(read(&mut scheme, data, 60).unwrap(), vec![3; 60]);

    scheme.nic.received.push_back(vec![4; 60]);
    scheme.on_close(data);
    scheme.settle();
    let data = open(&mut scheme, "");
    assert_eq!(
        errno(read(&mut scheme, data, 60)),
        EWOULDBLOCK,
        "nothing stale for the next reader"
    );
    assert_eq!(scheme.counters.rx_no_reader, 3);
}

#[test]
fn a_flood_that_nobody_reads_does_not_hold_up_the_daemon() {
    let mut scheme = scheme();
    scheme
        .nic
        .received
        .extend((0..DROPS_PER_TURN + 1).map(|_| vec![1; 60]));
    assert!(scheme.settle(), "one is left");
    assert!(!scheme.settle());
    assert_eq!(scheme.counters.rx_no_reader, DROPS_PER_TURN as u64 + 1);
}

#[test]
fn two_readers_do_not_steal_frames_from_each_other() {
    let mut scheme = scheme();
    let first = open(&mut scheme, "");
    assert_eq!(errno(try_open(&mut scheme, "", O_RDWR)), EBUSY);
    let writer = try_open(&mut scheme, "", O_WRONLY).unwrap();
    scheme.nic.received.push_back(vec![1; 60]);
    assert_eq!(errno(read(&mut scheme, writer, 60)), EBADF);
    assert_eq!(write(&mut scheme, writer, &[0; 60]), Ok(60));
    assert_eq!(read(&mut scheme, first, 60).unwrap(), vec![1; 60]);
    scheme.on_close(first);
    let second = try_open(&mut scheme, "", O_RDONLY).unwrap();
    assert_eq!(errno(write(&mut scheme, second, &[0; 60])), EBADF);
}

#[test]
fn arriving_frames_are_posted_once_until_the_reader_reads() {
    let mut scheme = scheme();
    let data = open(&mut scheme, "");
    assert_eq!(scheme.fevent(data, READ, &caller(0)), Ok(NONE));
    scheme.nic.received.extend([vec![1; 60], vec![2; 60]]);
    assert_eq!(scheme.edges(READ), [(data, READ)]);
    scheme.nic.received.push_back(vec![3; 60]);
    assert_eq!(scheme.edges(READ), []);
    read(&mut scheme, data, 60).unwrap();
    assert_eq!(
        scheme.edges(NONE),
        [],
        "the reader knows that there are more"
    );
    scheme.nic.received.push_back(vec![4; 60]);
    assert_eq!(scheme.edges(READ), [(data, READ)]);
}

#[test]
fn the_files_say_what_upstream_and_we_expect() {
    let mut scheme = scheme();
    let mac = open(&mut scheme, "mac");
    let mut buffer = [0; 8];
    assert_eq!(scheme.read(mac, &mut buffer, 0, 0, &caller(0)), Ok(6));
    assert_eq!(
        buffer[..6],
        [0x52, 0x54, 0, 0x12, 0x34, 0x56],
        "six raw bytes"
    );
    assert_eq!(scheme.read(mac, &mut buffer, 6, 0, &caller(0)), Ok(0));
    assert_eq!(
        scheme.read(mac, &mut buffer, u64::MAX, 0, &caller(0)),
        Ok(0)
    );

    let mtu = open(&mut scheme, "mtu");
    assert_eq!(read_text(&mut scheme, mtu), "1500\n");
    assert_eq!(read_text(&mut scheme, mtu), "");

    scheme.counters.rx_truncated = 3;
    let stats = open(&mut scheme, "stats");
    let text = read_text(&mut scheme, stats);
    assert!(text.starts_with("rx_frames 7\ntx_frames 0\n"), "{text}");
    assert!(text.contains("rx_truncated 3\n"), "{text}");
}

#[test]
fn a_text_read_byte_by_byte_is_one_snapshot_and_then_ends() {
    let mut scheme = scheme();
    scheme.nic.link = Some(LinkState {
        up: true,
        speed_mbps: Some(1000),
    });
    let link = open(&mut scheme, "link");
    let mut text = Vec::new();
    loop {
        let byte = read(&mut scheme, link, 1).unwrap();
        scheme.nic.link = Some(LinkState::DOWN);
        if byte.is_empty() {
            break;
        }
        text.extend(byte);
    }
    assert_eq!(String::from_utf8(text).unwrap(), "up 1000\n");
    assert_eq!(read_text(&mut scheme, link), "down\n");
}

#[test]
fn a_link_that_changes_is_posted_to_who_watches_it() {
    let mut scheme = scheme();
    let link = open(&mut scheme, "link");
    assert_eq!(read_text(&mut scheme, link), "up\n");
    assert_eq!(read_text(&mut scheme, link), "");
    assert_eq!(scheme.fevent(link, READ, &caller(0)), Ok(NONE));
    scheme.nic.link = Some(LinkState::DOWN);
    assert_eq!(scheme.edges(READ), [(link, READ)]);
    assert_eq!(scheme.edges(READ), []);
    assert_eq!(read_text(&mut scheme, link), "down\n");
    assert_eq!(read_text(&mut scheme, link), "");
    scheme.nic.link = Some(LinkState::UP);
    assert_eq!(scheme.edges(NONE), [(link, READ)]);
}

#[test]
fn traffic_does_not_wake_who_watches_the_counters() {
    let mut scheme = scheme();
    let stats = open(&mut scheme, "stats");
    assert_eq!(
        scheme.fevent(stats, READ, &caller(0)),
        Ok(READ),
        "a file is always readable"
    );
    for _ in 0..3 {
        read_text(&mut scheme, stats);
        scheme.nic.received.push_back(vec![1; 60]);
        scheme.settle();
        assert_eq!(scheme.edges(READ), []);
    }
}

#[test]
fn only_root_opens_anything_and_only_what_there_is() {
    let mut scheme = scheme();
    let root = scheme.root;
    let refused = scheme
        .openat(root, "", O_RDWR, 0, &caller(1000))
        .map(|_| ());
    assert_eq!(errno(refused), EACCES);
    for path in ["x", "mac/x", "../mac", "mac\0", "\u{1f600}"] {
        assert_eq!(
            errno(try_open(&mut scheme, path, O_RDONLY)),
            ENOENT,
            "{path:?}"
        );
    }
    assert_eq!(
        errno(try_open(&mut scheme, "mac", O_RDONLY | O_DIRECTORY)),
        ENOTDIR
    );
    let mac = open(&mut scheme, "mac");
    let below = scheme
        .openat(mac, "mtu", O_RDONLY, 0, &caller(0))
        .map(|_| ());
    assert_eq!(errno(below), ENOTDIR);
    assert_eq!(errno(write(&mut scheme, mac, b"x")), EINVAL);
}

#[test]
fn a_directory_reads_as_a_directory() {
    let mut scheme = scheme();
    let directory = try_open(&mut scheme, "", O_RDONLY | O_DIRECTORY).unwrap();
    let mut bytes = vec![0; 1024];
    let buffer = DirentBuf::new(&mut bytes[..], 19).unwrap();
    let length = scheme.getdents(directory, buffer, 0).unwrap().finalize();
    let names: Vec<String> = syscall::dirent::DirentIter::new(&bytes[..length])
        .map(|entry| {
            String::from_utf8_lossy(entry.unwrap().1)
                .trim_end_matches('\0')
                .to_owned()
        })
        .collect();
    assert_eq!(names, NODES);
    assert_eq!(errno(read(&mut scheme, directory, 8)), EISDIR);
    let mut stat = Stat::default();
    scheme.fstat(directory, &mut stat, &caller(0)).unwrap();
    assert_eq!(
        stat.st_mode & syscall::flag::MODE_TYPE,
        syscall::flag::MODE_DIR
    );

    // It does not stand in the way of the one reader, and a file below it opens.
    open(&mut scheme, "");
    assert!(
        scheme
            .openat(directory, "mac", O_RDONLY, 0, &caller(0))
            .is_ok()
    );
}

#[test]
fn flags_paths_and_sizes_are_answered_for_every_file() {
    let mut scheme = scheme();
    for (path, size) in [("", 0), ("mac", 6), ("mtu", 5), ("link", 3)] {
        let id = open(&mut scheme, path);
        let mut stat = Stat::default();
        scheme.fstat(id, &mut stat, &caller(0)).unwrap();
        assert_eq!(stat.st_size, size, "{path}");
        let mut buffer = [0; 64];
        let length = scheme.fpath(id, &mut buffer, &caller(0)).unwrap();
        assert_eq!(
            buffer[..length],
            *format!("/scheme/network.test/{path}").as_bytes()
        );
        assert_eq!(scheme.fcntl(id, F_SETFL, O_NONBLOCK, &caller(0)), Ok(0));
        let flags = scheme.fcntl(id, F_GETFL, 0, &caller(0)).unwrap();
        assert_eq!(flags, O_RDWR | O_NONBLOCK);
        assert_eq!(errno(scheme.fcntl(id, 999, 0, &caller(0))), EINVAL);
        scheme.on_close(id);
        assert_eq!(
            errno(read(&mut scheme, id, 8)),
            EBADF,
            "{path} after its close"
        );
    }
}

#[test]
fn a_client_that_opens_without_end_is_stopped() {
    let mut scheme = scheme();
    let opened = (0..10_000)
        .filter(|_| try_open(&mut scheme, "mac", O_RDONLY).is_ok())
        .count();
    assert_eq!(opened, HANDLE_LIMIT - 1);
    assert_eq!(errno(try_open(&mut scheme, "mac", O_RDONLY)), EMFILE);
}
