//! How much of everything TCP may hold.

use smoltcp::time::Duration;

/// The bounds that TCP keeps to. Each is a number of things unless it says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Sockets, all users together.
    pub sockets: usize,
    /// Longest accept queue of a listener; a larger backlog is cut to it.
    pub backlog: usize,
    /// Connections half open (SYN-RECEIVED) per listener: beyond, SYNs are answered with cookies.
    pub half_open_per_listener: usize,
    /// Connections half open in all.
    pub half_open: usize,
    /// Connections that go on in the background after their socket was closed, to deliver what was written.
    pub orphans: usize,
    /// Connections in TIME-WAIT: the oldest goes when another comes.
    pub time_wait: usize,
    /// Receive buffer of a connection to begin with, in bytes.
    pub receive_buffer: usize,
    /// Largest receive buffer, which it becomes with use or an option may ask for, in bytes.
    pub receive_buffer_max: usize,
    /// Send buffer of a connection to begin with, in bytes.
    pub send_buffer: usize,
    /// Largest send buffer, which it becomes with use or an option may ask for, in bytes.
    pub send_buffer_max: usize,
    /// Memory of all connections for what was written, what was received and what is known of it on its way, in bytes.
    pub memory: usize,
    /// The same for the connections of one user.
    pub memory_per_user: usize,
    /// How long a SYN is retransmitted without an answer (RFC 1122 4.2.3.5: at least 3 minutes).
    pub connect_timeout: Duration,
    /// How long a half-open connection waits for the last ACK of its handshake.
    pub half_open_timeout: Duration,
    /// R2: how long data stays unacknowledged while nothing at all is heard from the peer (RFC 1122 4.2.3.5: at least
    /// 100 seconds).
    pub retransmit_timeout: Duration,
    /// How long an orphan may go on without any progress, FIN-WAIT-2 included.
    pub orphan_timeout: Duration,
    /// How long an orphan may go on at all.
    pub orphan_lifetime: Duration,
    /// Twice the maximum segment lifetime: how long TIME-WAIT lasts.
    pub time_wait_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            sockets: 65_536,
            backlog: 4096,
            half_open_per_listener: 1024,
            half_open: 4096,
            orphans: 4096,
            time_wait: 8192,
            receive_buffer: 65_535,
            receive_buffer_max: 4 << 20,
            send_buffer: 128 << 10,
            send_buffer_max: 4 << 20,
            memory: 256 << 20,
            memory_per_user: 192 << 20,
            connect_timeout: Duration::from_secs(180),
            half_open_timeout: Duration::from_secs(63),
            retransmit_timeout: Duration::from_secs(900),
            orphan_timeout: Duration::from_secs(60),
            orphan_lifetime: Duration::from_secs(600),
            time_wait_timeout: Duration::from_secs(60),
        }
    }
}
