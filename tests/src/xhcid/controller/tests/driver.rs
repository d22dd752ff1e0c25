//! A driver of a few lines, as literal as can be.

use std::cell::RefCell;

use netscheme::reactor::Reactor;
use syscall::error::{EWOULDBLOCK, Error};

use super::{ADDRESS, GATEWAY, MAC, READ, WRITE};
use crate::checksum::checksum;
use crate::xhcid::scripted::message;
use crate::xhcid::tests::client::{Client, Endpoint};

/// A driver of a few lines: what RNDIS needs before frames go both ways.
pub(super) struct Driver {
    pub(super) bulk_in: Endpoint,
    pub(super) bulk_out: Endpoint,
    received: RefCell<Reactor>,
    sent: RefCell<Reactor>,
}

/// The largest transfer that QEMU's adapter agrees to.
pub(super) const TRANSFER: usize = 1580;

impl Driver {
    pub(super) fn start(client: &Client) -> Self {
        client.configure(2).unwrap();
        let initialize = message::message(message::INITIALIZE, &[1, 1, 0, 0x4000], &[]);
        let answer = ask(client, &initialize);
        assert_eq!(answer[..52], message::initialize_complete(1, 1, 1580, 0));
        let filter = message::message(
            message::SET,
            &[2, 0x0001_010e, 4, 20, 0],
            &15_u32.to_le_bytes(),
        );
        assert_eq!(ask(client, &filter)[..16], message::set_complete(2, 0));
        let bulk_in = client.nonblocking(2);
        let bulk_out = client.nonblocking(3);
        bulk_in.arm(TRANSFER).unwrap();
        let (received, sent) = (Reactor::new().unwrap(), Reactor::new().unwrap());
        // An xhcid without events is polled.
        let _ = received.watch(bulk_in.data.raw(), 0, READ);
        let _ = sent.watch(bulk_out.data.raw(), 0, WRITE);
        Self {
            bulk_in,
            bulk_out,
            received: received.into(),
            sent: sent.into(),
        }
    }

    pub(super) fn send(&self, frame: &[u8]) {
        let packet = message::packet(frame, 1);
        self.bulk_out.transfer("Out", packet.len()).unwrap();
        assert_eq!(self.bulk_out.write(&packet).unwrap(), packet.len());
        let mut answer = self.bulk_out.answer().unwrap();
        while answer == r#""Pending""# {
            self.bulk_out.wait_on(&mut self.sent.borrow_mut());
            answer = self.bulk_out.answer().unwrap();
        }
        assert!(answer.contains("Success"), "{answer}");
    }

    /// Sleeps until something came, or the device is gone.
    pub(super) fn wait(&self) {
        let event = self.bulk_in.wait_on(&mut self.received.borrow_mut());
        assert!(event.contains(READ), "nothing came");
    }

    /// The next frame that satisfies `wanted`.
    pub(super) fn receive(&self, wanted: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        loop {
            let transfer = match self.bulk_in.read(TRANSFER) {
                Err(Error { errno: EWOULDBLOCK }) => {
                    self.wait();
                    continue;
                }
                other => other.unwrap(),
            };
            let result = self.bulk_in.answer().unwrap();
            assert!(result.contains("ShortPacket"), "{result}");
            self.bulk_in.arm(TRANSFER).unwrap();
            let [frame] = &message::frames(&transfer)[..] else {
                panic!("not one frame: {transfer:02x?}");
            };
            if wanted(frame) {
                return frame.clone();
            }
        }
    }

    /// The gateway's Ethernet address.
    pub(super) fn resolve(&self) -> [u8; 6] {
        self.send(&arp_request());
        let reply = self.receive(|frame| frame[12..14] == [0x08, 0x06] && frame[20..22] == [0, 2]);
        assert_eq!(reply[28..32], GATEWAY);
        reply[22..28].try_into().unwrap()
    }

    pub(super) fn ping(&self, gateway: [u8; 6], sequence: u16) {
        self.send(&echo_request(gateway, sequence));
        let [high, low] = sequence.to_be_bytes();
        self.receive(|frame| frame[23] == 1 && frame[34] == 0 && frame[40..42] == [high, low]);
    }
}

/// A command and its response, which is asked for until it is there.
pub(super) fn ask(client: &Client, command: &[u8]) -> Vec<u8> {
    client.send_command(command).unwrap();
    let responses = (0..1000).map(|_| client.get_response(1025).unwrap());
    let mut answers = responses.skip_while(|bytes| bytes[0] == 0);
    answers.next().expect("a response")
}

pub(super) fn arp_request() -> Vec<u8> {
    let ethernet = [&[0xff; 6][..], &MAC, &[0x08, 0x06]].concat();
    let arp = [
        &[0, 1, 8, 0, 6, 4, 0, 1][..],
        &MAC,
        &ADDRESS,
        &[0; 6],
        &GATEWAY,
    ]
    .concat();
    [ethernet, arp].concat()
}

pub(super) fn echo_request(gateway: [u8; 6], sequence: u16) -> Vec<u8> {
    let [high, low] = sequence.to_be_bytes();
    let mut icmp = [&[8, 0, 0, 0, 0, 1, high, low][..], &[0x5a; 20]].concat();
    let sum = checksum(&icmp);
    icmp[2..4].copy_from_slice(&sum.to_be_bytes());
    let length = 20 + icmp.len() as u8;
    let mut ip = [
        &[0x45, 0, 0, length, 0, 0, 0, 0, 64, 1, 0, 0][..],
        &ADDRESS,
        &GATEWAY,
    ]
    .concat();
    let sum = checksum(&ip);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    [&gateway[..], &MAC, &[8, 0], &ip, &icmp].concat()
}
