//! Neighbour solicitations and advertisements (RFC 4861 sections 4.3 and 4.4), with the rules by which they are valid.
//! smoltcp's own reading of them leaves these rules out, and knows no nonce.

use core::net::Ipv6Addr;

use crate::link::LinkCounters;
use crate::link::ipv6::packet::{Icmpv6, address_at};
use crate::link::neighbour::Flags;

/// Why a message was dropped: the counter it falls under.
type Reason = fn(&mut LinkCounters) -> &mut u64;

pub(in crate::link) const NEIGHBOUR_SOLICITATION: u8 = 135;
pub(in crate::link) const NEIGHBOUR_ADVERTISEMENT: u8 = 136;

const SOURCE_LINK_LAYER_ADDRESS: u8 = 1;
const TARGET_LINK_LAYER_ADDRESS: u8 = 2;
/// RFC 3971 section 5.3.2
const NONCE: u8 = 14;

/// RFC 4861 sections 6.1 and 7.1: who forwards a packet cannot leave this.
pub(in crate::link) const HOP_LIMIT: u8 = 255;

/// Bytes in front of the options.
const FIXED_LENGTH: usize = 24;

const ROUTER: u8 = 0x80;
const SOLICITED: u8 = 0x40;
const OVERRIDE: u8 = 0x20;

/// A nonce as this host makes them (RFC 7527 section 4.1; RFC 3971 section 5.3.2 wants six bytes at least).
pub(in crate::link) type Nonce = [u8; 6];

/// A message that is valid by RFC 4861.
#[derive(Clone, Copy, Debug)]
pub(in crate::link) enum Message<'p> {
    /// RFC 4861 section 4.3
    Solicitation {
        target: Ipv6Addr,
        mac: Option<[u8; 6]>,
        nonce: Option<&'p [u8]>,
    },
    /// RFC 4861 section 4.4
    Advertisement(Advertisement),
}

/// A neighbour advertisement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::link) struct Advertisement {
    pub(in crate::link) target: Ipv6Addr,
    pub(in crate::link) mac: Option<[u8; 6]>,
    pub(in crate::link) flags: Flags,
}

impl<'p> Message<'p> {
    /// Reads a message of one of the two types.
    ///
    /// # Errors
    /// The counter under which it is dropped.
    pub(in crate::link) fn parse(packet: &Icmpv6<'p>) -> Result<Message<'p>, Reason> {
        if packet.hop_limit != HOP_LIMIT {
            return Err(|counters| &mut counters.ndp_rx_bad_hop_limit);
        }
        if !packet.has_good_checksum() {
            return Err(|counters| &mut counters.ndp_rx_bad_checksum);
        }
        if packet.message.get(1) != Some(&0) {
            return Err(|counters| &mut counters.ndp_rx_malformed);
        }
        let options = packet
            .message
            .get(FIXED_LENGTH..)
            .and_then(Options::checked);
        let message = options.and_then(|options| Message::read(packet, options));
        let malformed: Reason = |counters| &mut counters.ndp_rx_malformed;
        let message = message.ok_or(malformed)?;
        if message.has_good_addresses(packet) {
            Ok(message)
        } else {
            Err(|counters| &mut counters.ndp_rx_bad_address)
        }
    }

    fn read(packet: &Icmpv6<'p>, options: Options<'p>) -> Option<Message<'p>> {
        let bytes = packet.message;
        Some(match packet.kind() {
            NEIGHBOUR_SOLICITATION => Message::Solicitation {
                target: address_at(bytes, 8)?,
                mac: options.mac(SOURCE_LINK_LAYER_ADDRESS),
                nonce: options.find(NONCE),
            },
            _ => {
                let flags = *bytes.get(4)?;
                Message::Advertisement(Advertisement {
                    target: address_at(bytes, 8)?,
                    mac: options.mac(TARGET_LINK_LAYER_ADDRESS),
                    flags: Flags {
                        router: flags & ROUTER != 0,
                        solicited: flags & SOLICITED != 0,
                        overrides: flags & OVERRIDE != 0,
                    },
                })
            }
        })
    }

    /// The rules about addresses.
    fn has_good_addresses(&self, packet: &Icmpv6<'_>) -> bool {
        let (source, destination) = (packet.source, packet.destination);
        if source.is_multicast() || source.is_loopback() {
            return false;
        }
        let nameless = source.is_unspecified();
        match self {
            // RFC 4861 section 7.1.1
            Message::Solicitation { target, mac, .. } => {
                let asks_for_duplicates = mac.is_none() && is_solicited_node(destination);
                !target.is_multicast() && (!nameless || asks_for_duplicates)
            }
            // RFC 4861 section 7.1.2
            Message::Advertisement(advertisement) => {
                let answers_all = destination.is_multicast() && advertisement.flags.solicited;
                !nameless && !advertisement.target.is_multicast() && !answers_all
            }
        }
    }
}

/// The options of a message: type and what follows the length byte.
#[derive(Clone, Copy, Debug)]
pub(in crate::link) struct Options<'p>(&'p [u8]);

impl<'p> Options<'p> {
    /// RFC 4861 section 4.6: lengths are in units of eight bytes and not 0. `None` when one breaks that, or leaves the
    /// message.
    pub(in crate::link) fn checked(bytes: &'p [u8]) -> Option<Options<'p>> {
        let mut rest = Options(bytes);
        while !rest.0.is_empty() {
            rest.next()?;
        }
        Some(Options(bytes))
    }

    fn find(self, wanted: u8) -> Option<&'p [u8]> {
        let mut options = self;
        options.find_map(|(kind, body)| (kind == wanted).then_some(body))
    }

    /// The link-layer address in the first option of this type; one that is not of Ethernet (RFC 2464 section 6) is
    /// none.
    fn mac(self, wanted: u8) -> Option<[u8; 6]> {
        self.find(wanted)?.try_into().ok()
    }
}

impl<'p> Iterator for Options<'p> {
    type Item = (u8, &'p [u8]);

    fn next(&mut self) -> Option<(u8, &'p [u8])> {
        let [kind, units, ..] = self.0 else {
            return None;
        };
        let (option, rest) = self
            .0
            .split_at_checked(usize::from(*units).checked_mul(8)?)?;
        let body = option.get(2..)?;
        self.0 = rest;
        Some((*kind, body))
    }
}

fn is_solicited_node(address: Ipv6Addr) -> bool {
    matches!(address.segments(), [0xff02, 0, 0, 0, 0, 1, high, _] if high >> 8 == 0xff)
}

/// "Who has `target`?": with our address, or with a nonce while it is not ours yet.
pub(in crate::link) fn solicitation(
    target: Ipv6Addr,
    mac: Option<[u8; 6]>,
    nonce: Option<Nonce>,
) -> Vec<u8> {
    let mut message = vec![NEIGHBOUR_SOLICITATION, 0, 0, 0, 0, 0, 0, 0];
    message.extend(target.octets());
    for (kind, body) in [(SOURCE_LINK_LAYER_ADDRESS, mac), (NONCE, nonce)] {
        if let Some(body) = body {
            push_option(&mut message, kind, body);
        }
    }
    message
}

/// "`mac` has it": RFC 4861 section 7.2.4. This host forwards nothing, and is never a router.
pub(in crate::link) fn advertisement(target: Ipv6Addr, mac: [u8; 6], solicited: bool) -> Vec<u8> {
    let flags = if solicited {
        SOLICITED | OVERRIDE
    } else {
        OVERRIDE
    };
    let mut message = vec![NEIGHBOUR_ADVERTISEMENT, 0, 0, 0, flags, 0, 0, 0];
    message.extend(target.octets());
    push_option(&mut message, TARGET_LINK_LAYER_ADDRESS, mac);
    message
}

pub(in crate::link) fn push_option(message: &mut Vec<u8>, kind: u8, body: [u8; 6]) {
    message.extend([kind, 1]);
    message.extend(body);
}
