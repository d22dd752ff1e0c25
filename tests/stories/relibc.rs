//! Programs as Redox's C library drives them: `dup` to bind, connect and accept, `dup2` over the old descriptor,
//! messages by `SYS_CALL`. Upstream's dhcpd, ping and ifconfig make these calls and no others.

use std::net::{Ipv4Addr, UdpSocket};

use lab::machine::{MachineSpec, NicSpec};
use lab::network::{Namespace, Netdev, Tap, TapSpec};
use lab::peers::EchoServer;
use lab::{Stack, StackSpec, requires_tap};
use libredox::Fd;
use syscall::error::{EAGAIN, ECONNREFUSED, EINPROGRESS, ENOTCONN, EWOULDBLOCK};
use syscall::flag::{CallFlags, F_SETFL, O_DIRECTORY, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY};

use crate::common::{SOON, configured, machine, ping};

const SET_OPTION: u64 = 2;
const GET_OPTION: u64 = 3;
const GET_PEER_NAME: u64 = 8;
const RECEIVE_MESSAGE: u64 = 5;
const REUSEADDR: u64 = 2;

/// A socket as the C library holds one: a number that stays the same.
pub(crate) struct Socket(pub(crate) Fd);

impl Socket {
    pub(crate) fn new(scheme: &str) -> Socket {
        let path = format!("/scheme/{scheme}");
        Socket(Fd::open(&path, O_RDWR as i32, 0).unwrap())
    }

    /// `bind` and `connect`: dup with a path, then the new descriptor in the place of the old.
    pub(crate) fn replace(&self, path: &str) -> libredox::error::Result<()> {
        let new = self.0.dup(path.as_bytes())?;
        libredox::call::dup2(new, self.0.raw(), [])?;
        libredox::call::close(new)
    }

    /// `setsockopt(SO_RCVTIMEO)`.
    fn receive_timeout(&self, seconds: i64) {
        let setting = Fd::new(self.0.dup(b"read_timeout").unwrap());
        let timespec = [seconds.to_ne_bytes(), [0; 8]].concat();
        assert_eq!(setting.write(&timespec).unwrap(), 16);
    }

    /// `getsockname`: the second part of the path.
    pub(crate) fn name(&self) -> String {
        let mut buffer = [0; 256];
        let n = self.0.fpath(&mut buffer).unwrap();
        String::from_utf8(buffer[..n].to_vec()).unwrap()
    }

    /// `getpeername`: the same path up to its second part.
    fn peer(&self) -> Result<String, i32> {
        let mut buffer = [0; 256];
        let flags = CallFlags::empty();
        let n = libredox::call::call_ro(self.0.raw(), &mut buffer, flags, &[GET_PEER_NAME])
            .map_err(|error| error.errno())?;
        let path = String::from_utf8(buffer[..n].to_vec()).unwrap();
        let (peer, _own) = path.rsplit_once('/').unwrap();
        Ok(peer.to_owned())
    }

    /// `recvfrom` with an address: the payload and who sent it.
    pub(crate) fn receive_from(&self, room: usize) -> (Vec<u8>, String) {
        let mut buffer = vec![0; 64 + 8 + 16 + 8 + room + 8];
        for (at, value) in [16_usize, room, 0].into_iter().enumerate() {
            buffer[8 * at..8 * at + 8].copy_from_slice(&value.to_ne_bytes());
        }
        let flags = CallFlags::empty();
        libredox::call::call_rw(self.0.raw(), &mut buffer, flags, &[RECEIVE_MESSAGE, 0]).unwrap();
        let word = |at: usize| usize::from_ne_bytes(buffer[at..at + 8].try_into().unwrap());
        let name = word(0);
        let length = word(8 + name);
        let payload = buffer[16 + name..16 + name + length].to_vec();
        (
            payload,
            String::from_utf8(buffer[8..8 + name].to_vec()).unwrap(),
        )
    }
}

#[test]
fn ping_sends_64_bytes_and_reads_the_same_layout_back() {
    let stack = configured(machine());
    let here = stack.enter("ping");
    let socket = Fd::open("/scheme/icmp/echo/10.0.2.2", O_RDWR as i32, 0).unwrap();
    (0..3).for_each(|sequence| echoes(&socket, sequence));
    drop(here);
}

/// What ping does: 64 bytes out, the same layout back.
pub(crate) fn echoes(socket: &Fd, sequence: u16) {
    let mut packet = [0x55; 64];
    packet[..2].copy_from_slice(&sequence.to_ne_bytes());
    assert_eq!(socket.write(&packet).unwrap(), 64);
    let mut reply = [0; 128];
    assert_eq!(socket.read(&mut reply).unwrap(), 64);
    assert_eq!(reply[..64], packet);
}

#[test]
fn ifconfig_lists_the_adapters_and_reads_their_addresses() {
    let stack = configured(machine());
    let here = stack.enter("ifconfig");
    let flags = (O_RDONLY | O_DIRECTORY) as i32;
    let directory = Fd::open("/scheme/netcfg/ifaces", flags, 0).unwrap();
    let mut buffer = [0; 1024];
    let n = libredox::call::getdents(directory.raw(), &mut buffer, 0).unwrap();
    let listing = String::from_utf8_lossy(&buffer[..n]).into_owned();
    assert!(
        listing.contains("eth0") && listing.contains("lo"),
        "{listing:?}"
    );
    drop(here);
    let text = stack.read("/scheme/netcfg/ifaces/eth0/addr/list").unwrap();
    assert!(text.starts_with("10.0.2.15/24\n"), "{text}");
}

#[test]
fn a_datagram_without_bind_gets_its_answer_and_the_senders_name() {
    let echo = EchoServer::udp(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()).unwrap();
    let stack = configured(machine());
    let here = stack.enter("client");
    let socket = Socket::new("udp");
    let peer = format!("10.0.2.2:{}", echo.address().port());
    // `sendto`: dup with the address, write, close.
    let once = Fd::new(socket.0.dup(peer.as_bytes()).unwrap());
    once.write(b"who are you?").unwrap();
    drop(once);
    let (payload, name) = socket.receive_from(100);
    assert_eq!(payload, b"who are you?");
    assert_eq!(name, format!("/scheme/udp/{peer}"));
    drop(here);
}

/// `connect` on a datagram socket is a dup that takes the place of the descriptor before it, and `sendto` one that is
/// closed again: only the first makes a peer, whose ICMP errors are heard.
#[test]
fn a_datagram_socket_is_connected_by_connect_and_not_by_sendto() {
    let stack = configured(machine());
    let here = stack.enter("client");
    let socket = Socket::new("udp");
    let nobody = "127.0.0.1:9";
    let once = Fd::new(socket.0.dup(nobody.as_bytes()).unwrap());
    once.write(b"sendto").unwrap();
    drop(once);
    assert_eq!(socket.peer(), Err(ENOTCONN));
    let flags = [F_SETFL, O_NONBLOCK];
    let set = |flags: [usize; 2]| libredox::call::fcntl(socket.0.raw(), flags[0], flags[1]);
    set(flags).unwrap();
    let heard = || socket.0.read(&mut [0; 10]).map_err(|error| error.errno());
    assert_eq!(heard(), Err(EAGAIN), "who is not connected hears no errors");
    socket.replace(nobody).unwrap();
    assert!(
        socket.name().contains("/127.0.0.1:9/127.0.0.1:"),
        "{}",
        socket.name()
    );
    socket.0.write(b"connected").unwrap();
    set([F_SETFL, 0]).unwrap();
    assert_eq!(heard(), Err(ECONNREFUSED));
    // `sendto` on a connected socket leaves it so.
    drop(Fd::new(socket.0.dup(b"127.0.0.1:10").unwrap()));
    assert_eq!(socket.peer().as_deref(), Ok("/scheme/udp/127.0.0.1:9"));
    // `connect` to AF_UNSPEC.
    socket.replace("disconnect").unwrap();
    assert_eq!(socket.peer(), Err(ENOTCONN));
    assert_eq!(socket.name(), "/scheme/udp/0.0.0.0:0/0.0.0.0:0");
    drop(here);
}

/// Two words of metadata, without a level: what comes to the scheme has three, and the last of them is zero. The standard
/// library sets SO_REUSEADDR so on every listener that it binds.
#[test]
fn setsockopt_names_an_option_of_sol_socket_and_no_level() {
    let stack = configured(machine());
    let here = stack.enter("server");
    let socket = Socket::new("tcp");
    let flags = CallFlags::empty();
    let mut on = 1_i32.to_ne_bytes();
    libredox::call::call_rw(socket.0.raw(), &mut on, flags, &[SET_OPTION, REUSEADDR]).unwrap();
    socket.replace("/0.0.0.0:7070").unwrap();
    let mut value = [0; 4];
    let words = [GET_OPTION, REUSEADDR];
    let length = libredox::call::call_ro(socket.0.raw(), &mut value, flags, &words).unwrap();
    assert_eq!((length, i32::from_ne_bytes(value)), (4, 1));
    drop(here);
}

#[test]
fn a_reader_with_a_timeout_hears_eagain_and_not_silence() {
    let stack = configured(machine());
    let here = stack.enter("client");
    let socket = Socket::new("udp");
    socket.replace("/0.0.0.0:4000").unwrap();
    socket.receive_timeout(1);
    let started = std::time::Instant::now();
    let error = socket.0.read(&mut [0; 10]).unwrap_err();
    assert_eq!(error.errno(), EAGAIN);
    assert!((1..5).contains(&started.elapsed().as_secs()));
    drop(here);
}

#[test]
fn a_connect_that_does_not_wait_turns_its_own_descriptor_into_the_connection() {
    let echo = EchoServer::tcp(std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    let port = echo.as_ref().unwrap().address().port();
    let stack = configured(machine());
    let here = stack.enter("client");
    let socket = Socket::new("tcp");
    libredox::call::fcntl(socket.0.raw(), F_SETFL, O_RDWR | O_NONBLOCK).unwrap();
    let error = socket.replace(&format!("10.0.2.2:{port}")).unwrap_err();
    assert_eq!(error.errno(), EINPROGRESS);
    // poll(POLLOUT), then getpeername and a byte each way.
    let mut reactor = netscheme::reactor::Reactor::new().unwrap();
    let (read, write) = (
        syscall::EventFlags::EVENT_READ,
        syscall::EventFlags::EVENT_WRITE,
    );
    reactor.watch(socket.0.raw(), 1, read | write).unwrap();
    let mut events = Vec::new();
    let mut wait_for = |wanted: syscall::EventFlags| {
        let deadline = netscheme::clock::now().saturating_add(SOON);
        loop {
            reactor.wait(Some(deadline), &mut events).unwrap();
            assert!(!events.is_empty(), "no {wanted:?} within {SOON:?}");
            if events.iter().any(|event| event.flags.intersects(wanted)) {
                return;
            }
        }
    };
    wait_for(write);
    let mut name = [0; 256];
    let n = socket
        .0
        .call_ro(&mut name, CallFlags::empty(), &[GET_PEER_NAME])
        .unwrap();
    let name = String::from_utf8_lossy(&name[..n]).into_owned();
    assert!(
        name.starts_with(&format!("/scheme/tcp/10.0.2.2:{port}/10.0.2.15:")),
        "{name}"
    );
    assert_eq!(socket.0.write(b"x").unwrap(), 1);
    let mut byte = [0; 1];
    let got = loop {
        match socket.0.read(&mut byte) {
            Ok(n) => break n,
            Err(e) if [EAGAIN, EWOULDBLOCK].contains(&e.errno()) => wait_for(read),
            Err(e) => panic!("{e:?}"),
        }
    };
    assert_eq!((got, byte), (1, *b"x"));
    drop(here);
}

/// DHCP as upstream's dhcpd does it, with dnsmasq as the server: while it holds port 68 the built-in client is silent.
#[test]
fn dhcpd_configures_the_adapter_while_the_builtin_client_yields() {
    if !requires_tap() {
        return;
    }
    let namespace = Namespace::new().unwrap().without_ipv6().unwrap();
    let tap = Tap::create(&namespace, &TapSpec::default()).unwrap();
    let machine = MachineSpec::new().nic(NicSpec::virtio(Netdev::Tap(tap)));
    let stack = Stack::start(StackSpec::new(machine)).unwrap();
    let here = stack.enter("dhcpd");
    // No server yet: the built-in client has asked in vain.
    let socket = Socket::new("udp");
    socket.replace("/0.0.0.0:68").unwrap();
    socket.replace("255.255.255.255:67").unwrap();
    assert_eq!(socket.name(), "/scheme/udp/255.255.255.255:67/0.0.0.0:68");
    socket.receive_timeout(30);
    let range = [Ipv4Addr::new(10, 9, 0, 50), Ipv4Addr::new(10, 9, 0, 60)];
    let peers = lab::network::Peers::inside(&namespace);
    let _server = peers.dhcp_server("tap0", range, 600, &[]).unwrap();
    let offer = exchange(&socket, &message(1, &[]));
    let address = Ipv4Addr::from(<[u8; 4]>::try_from(&offer[16..20]).unwrap());
    assert!(range[0] <= address && address <= range[1], "{address}");
    let wanted = [[50, 4].as_slice(), &address.octets(), &[54, 4, 10, 9, 0, 1]].concat();
    let answer = exchange(&socket, &message(3, &wanted));
    assert_eq!(answer[16..20], address.octets());
    write_and_commit("ifaces/eth0/addr/set", &format!("{address}/24\n"));
    write_and_commit("route/add", "default via 10.9.0.1");
    drop(socket);
    drop(here);
    let text = stack.read("/scheme/netcfg/ifaces/eth0/addr/list").unwrap();
    assert!(text.starts_with(&format!("{address}/24\n")), "{text}");
    ping(&stack, "10.9.0.1");
}

fn write_and_commit(path: &str, text: &str) {
    let file = Fd::open(&format!("/scheme/netcfg/{path}"), O_WRONLY as i32, 0).unwrap();
    file.write(text.as_bytes()).unwrap();
    file.fdatasync().unwrap();
}

/// A DHCP message (RFC 2131 2) of this type, from QEMU's first card, asking for a broadcast answer.
fn message(kind: u8, options: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 240];
    bytes[..12].copy_from_slice(&[1, 1, 6, 0, 0xd0, 0x0d, 0xf0, 0x0d, 0, 0, 0x80, 0]);
    bytes[28..34].copy_from_slice(&[0x52, 0x54, 0, 0x12, 0x34, 0x56]);
    bytes[236..].copy_from_slice(&[0x63, 0x82, 0x53, 0x63]);
    bytes.extend_from_slice(&[53, 1, kind]);
    bytes.extend_from_slice(options);
    bytes.push(255);
    bytes.resize(548, 0);
    bytes
}

/// Sends a message and reads answers up to the one that belongs to it.
fn exchange(socket: &Socket, message: &[u8]) -> Vec<u8> {
    socket.0.write(message).unwrap();
    loop {
        let mut answer = vec![0; 1500];
        let n = socket.0.read(&mut answer).unwrap();
        answer.truncate(n);
        if n > 240 && answer[4..8] == message[4..8] {
            return answer;
        }
    }
}
