//! All sockets, as they are shown.

use core::net::SocketAddr;

use super::Stack;
use super::sockets::Socket;
use crate::socket::SocketKind;

/// One socket as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketInfo {
    /// What it speaks.
    pub kind: SocketKind,
    /// Its own end, if it has one.
    pub local: Option<SocketAddr>,
    /// The other end, if it has one.
    pub peer: Option<SocketAddr>,
    /// TCP's state in the words of RFC 9293 3.3.2, in lower case (`syn-sent`, `time-wait`); `open` or `connected` for the others.
    pub state: String,
    /// Bytes received that nobody has read.
    pub receive_queue: usize,
    /// Bytes written that the peer has not acknowledged; TCP only.
    pub send_queue: usize,
    /// Whose it is.
    pub uid: u32,
}

impl Stack {
    /// All sockets in the order in which they were opened. Connections that nobody holds any more are not among them.
    pub fn socket_list(&self) -> impl Iterator<Item = SocketInfo> {
        self.sockets.iter().map(|(id, owner, socket)| {
            let (kind, state, receive_queue, send_queue) = match socket {
                Socket::Tcp(tcp) => (
                    SocketKind::Tcp,
                    self.tcp.state(*tcp).map_or("closed".into(), |state| {
                        state.to_string().to_ascii_lowercase()
                    }),
                    self.tcp.unread(*tcp),
                    self.tcp.unacknowledged(*tcp),
                ),
                Socket::Datagram(socket) => {
                    let state = match socket.peer {
                        Some(_) => "connected",
                        None => "open",
                    };
                    (socket.kind, state.into(), socket.inbox.bytes(), 0)
                }
            };
            SocketInfo {
                kind,
                local: self.local(id),
                peer: self.peer(id),
                state,
                receive_queue,
                send_queue,
                uid: owner.uid,
            }
        })
    }
}
