//! What a connection costs that nobody says anything on: resident memory of a whole host, both ends of each connection
//! counted. One test, for it looks at what the process holds.

#![expect(
    clippy::expect_used,
    reason = "helpers of a test, which the linter does not take for tests"
)]

mod host;

use core::net::Ipv4Addr;

use host::resident;
use redox_host as _;
use smolnetd::ports::{LinkId, Ports};
use smolnetd::socket::{Owner, ReceiveFlags, SocketId, SocketKind};
use smolnetd::stack::{Limits, Stack};
use smoltcp::time::{Duration, Instant};

/// Connections of the host with itself: each has two ends.
const PAIRS: usize = 5_000;

/// The goal for each end, in bytes.
const GOAL: usize = 4 << 10;

/// No adapter: nothing leaves the host.
struct Nowhere;

impl Ports for Nowhere {
    fn has_room(&self, _: LinkId) -> bool {
        false
    }

    fn send<R>(&mut self, _: LinkId, _: usize, _: impl FnOnce(&mut [u8]) -> R) -> Option<R> {
        None
    }
}

struct Host {
    stack: Stack,
    now: Instant,
    listener: SocketId,
}

impl Host {
    fn new() -> Host {
        let now = Instant::from_secs(1000);
        let mut stack = Stack::new([7; 32], Limits::default(), now);
        let listener = stack.socket(SocketKind::Tcp, Owner::ROOT);
        let listener = listener.expect("a socket");
        stack
            .bind(now, listener, (Ipv4Addr::LOCALHOST, 80).into())
            .expect("bind");
        stack.listen(listener, 16).expect("listen");
        Host {
            stack,
            now,
            listener,
        }
    }

    fn poll(&mut self) {
        host::poll(&mut self.stack, self.now, &mut Nowhere);
    }

    /// Time passes, and what becomes due is done.
    fn waits(&mut self, time: Duration) {
        host::wait(&mut self.stack, &mut self.now, time, &mut Nowhere);
    }

    fn pair(&mut self) -> (SocketId, SocketId) {
        let client = self.stack.socket(SocketKind::Tcp, Owner::ROOT);
        let client = client.expect("a socket");
        let to = (Ipv4Addr::LOCALHOST, 80).into();
        self.stack.connect(self.now, client, to).expect("connect");
        self.poll();
        let server = self.stack.accept(self.listener).expect("a connection");
        (client, server)
    }

    /// `octets` are written at one end and read at the other.
    fn says(&mut self, (from, to): (SocketId, SocketId), octets: usize) {
        let written = self
            .stack
            .send(self.now, from, &vec![7; octets], None, &mut Nowhere);
        assert_eq!(written, Ok(octets));
        self.poll();
        let mut buffer = vec![0; octets];
        let (now, flags) = (self.now, ReceiveFlags::default());
        let mut came = 0;
        while came < octets {
            let received = self.stack.receive(now, to, &mut buffer, flags);
            came += received.expect("some of it").length;
            self.poll();
        }
    }

    /// Bytes in the buffers of all connections.
    fn in_buffers(&self) -> u64 {
        let stats = self.stack.stats();
        let held = stats.iter().find(|(name, _)| name == "tcp.memory.held");
        held.map(|(_, bytes)| *bytes).expect("a counter")
    }
}

#[test]
fn ten_thousand_idle_connections_cost_4_kib_each_at_most() {
    let mut host = Host::new();
    let first = host.pair();
    host.says(first, 10_000);
    let before = resident();
    let each = || resident().saturating_sub(before) / (2 * PAIRS);

    let pairs: Vec<_> = (0..PAIRS).map(|_| host.pair()).collect();
    host.waits(Duration::from_secs(1));
    let new = each();
    assert_eq!(host.in_buffers(), 0);

    for (client, server) in &pairs {
        host.says((*client, *server), 100);
        host.says((*server, *client), 30_000);
        // The last acknowledgement waits for company.
        host.waits(Duration::from_millis(20));
    }
    host.waits(Duration::from_secs(1));
    let used = each();
    println!("{new} bytes when it is new, {used} when it was used");
    assert_eq!(
        host.in_buffers(),
        0,
        "what was read and acknowledged is given back"
    );
    assert!(new <= GOAL && used <= GOAL, "{new}, {used}");
    assert_eq!(
        host.stack.next_deadline(),
        None,
        "and nobody wakes for them"
    );
}
