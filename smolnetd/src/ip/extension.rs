//! IPv6 extension headers (RFC 8200 section 4), walked once and with bounds.

use super::{Fragment, Parameter, Problem, Reason};

/// Length in bytes of the IPv6 header itself.
pub const HEADER_LENGTH: usize = 40;

/// Where the IPv6 header says what follows it.
const NEXT_HEADER_AT: usize = 6;

/// Extension headers that a packet may have: RFC 8200 4.1 has a use for six.
const MAX_HEADERS: usize = 8;

/// Next Header values that are extension headers, or say that nothing follows.
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
/// Nothing follows (RFC 8200 4.7).
pub const NO_NEXT_HEADER: u8 = 59;
const DESTINATION_OPTIONS: u8 = 60;

/// Options that are known and say nothing to a host that is the destination: RFC 8200 4.2 padding, RFC 2711.
const PAD1: u8 = 0;
const PADN: u8 = 1;
const ROUTER_ALERT: u8 = 5;

/// RFC 4443 3.4: the codes of Parameter Problem.
const ERRONEOUS_FIELD: u8 = 0;
/// The code for a Next Header that this host does not know.
pub const UNRECOGNIZED_NEXT_HEADER: u8 = 1;
const UNRECOGNIZED_OPTION: u8 = 2;

/// What the headers of a packet came to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chain {
    /// What the payload is.
    pub(super) protocol: u8,
    /// Where in the packet the field is that says so.
    pub(super) named_at: usize,
    /// Where in the packet the payload begins.
    pub(super) payload_at: usize,
    /// The payload is a fragment.
    pub(super) fragment: Option<Fragment>,
    /// An atomic fragment (RFC 6946) is whole, and none.
    pub(super) atomic: bool,
    /// Why the packet may not be used. The walk goes on behind what can be stepped over.
    pub(super) problem: Option<Problem>,
}

impl Chain {
    /// From the IPv6 header at the start of `packet`, which is all there.
    pub(super) fn of(packet: &[u8]) -> Chain {
        let protocol = packet.get(NEXT_HEADER_AT).copied();
        let mut chain = Chain {
            protocol: protocol.unwrap_or(NO_NEXT_HEADER),
            named_at: NEXT_HEADER_AT,
            payload_at: HEADER_LENGTH,
            fragment: None,
            atomic: false,
            problem: None,
        };
        chain.walk(packet);
        chain
    }

    /// The same behind the fragment header of a first fragment.
    pub(super) fn behind_fragment(mut self, packet: &[u8]) -> Chain {
        self.fragment = None;
        self.walk(packet);
        self
    }

    fn walk(&mut self, packet: &[u8]) {
        let mut routed = false;
        for _ in 0..MAX_HEADERS {
            let header = Header::at(packet, self.payload_at);
            let malformed: Reason = |counters| &mut counters.bad_extension;
            match (self.protocol, header) {
                (HOP_BY_HOP, _) if self.payload_at != HEADER_LENGTH => {
                    // RFC 8200 4: as if it were not known.
                    let parameter = Parameter::new(UNRECOGNIZED_NEXT_HEADER, self.named_at);
                    return self.stop(malformed, Some(parameter));
                }
                (HOP_BY_HOP | DESTINATION_OPTIONS, Some(header)) => {
                    if let Err(problem) = header.options(packet) {
                        self.note(problem);
                    }
                    self.step_over(&header);
                }
                (ROUTING, Some(header)) if !routed => {
                    routed = true;
                    if header.segments_left(packet) != 0 {
                        // RFC 8200 4.4, and RFC 5095 3 for type 0: no type is known here.
                        let parameter = Parameter::new(ERRONEOUS_FIELD, header.at + 2);
                        self.note(Problem {
                            reason: |counters| &mut counters.routing_header,
                            parameter: Some(parameter),
                        });
                    }
                    self.step_over(&header);
                }
                (FRAGMENT, _) if !self.atomic => {
                    let Some((next, fragment)) =
                        Fragment::parse(packet, self.payload_at, self.named_at)
                    else {
                        return self.stop(malformed, None);
                    };
                    self.protocol = next;
                    self.named_at = self.payload_at;
                    self.payload_at += Fragment::HEADER_LENGTH;
                    if fragment.offset != 0 || fragment.more {
                        self.fragment = Some(fragment);
                        return;
                    }
                    self.atomic = true;
                }
                (HOP_BY_HOP | DESTINATION_OPTIONS | ROUTING | FRAGMENT, _) => {
                    return self.stop(malformed, None);
                }
                _ => return,
            }
        }
        self.stop(|counters| &mut counters.many_extensions, None);
    }

    fn step_over(&mut self, header: &Header) {
        self.protocol = header.next;
        self.named_at = header.at;
        self.payload_at = header.end;
    }

    /// The first problem counts.
    fn note(&mut self, problem: Problem) {
        self.problem.get_or_insert(problem);
    }

    fn stop(&mut self, reason: Reason, parameter: Option<Parameter>) {
        self.note(Problem { reason, parameter });
    }
}

impl Fragment {
    /// Length in bytes of a fragment header (RFC 8200 4.5).
    pub const HEADER_LENGTH: usize = 8;

    fn parse(packet: &[u8], at: usize, next_header_at: usize) -> Option<(u8, Fragment)> {
        let [next, _, a, b, identification @ ..] = *packet
            .get(at..)?
            .first_chunk::<{ Fragment::HEADER_LENGTH }>()?;
        let field = u16::from_be_bytes([a, b]);
        let fragment = Fragment {
            identification: u32::from_be_bytes(identification),
            offset: usize::from(field & !7),
            more: field & 1 == 1,
            unfragmentable: at,
            next_header_at,
        };
        Some((next, fragment))
    }
}

/// An extension header of the common form: Next Header, then its length in units of 8 bytes, less one.
struct Header {
    next: u8,
    at: usize,
    end: usize,
}

impl Header {
    /// The header at `at`, if all of it is there.
    fn at(packet: &[u8], at: usize) -> Option<Header> {
        let [next, length] = *packet.get(at..)?.first_chunk::<2>()?;
        let length = (usize::from(length) + 1) * 8;
        let end = at.checked_add(length)?;
        let header = Header { next, at, end };
        (end <= packet.len()).then_some(header)
    }

    fn segments_left(&self, packet: &[u8]) -> u8 {
        packet.get(self.at + 3).copied().unwrap_or(u8::MAX)
    }

    /// RFC 8200 4.2: the highest two bits of an option say what becomes of a packet whose option is not known. A Jumbo
    /// Payload (RFC 2675) is one of these.
    fn options(&self, packet: &[u8]) -> Result<(), Problem> {
        let mut at = self.at + 2;
        while at < self.end {
            let kind = packet.get(at).copied().unwrap_or(PAD1);
            if kind == PAD1 {
                at += 1;
                continue;
            }
            let length = packet.get(at + 1).copied().map_or(usize::MAX, usize::from);
            let next = at.saturating_add(2).saturating_add(length);
            if next > self.end {
                return Err(Problem {
                    reason: |counters| &mut counters.bad_extension,
                    parameter: None,
                });
            }
            let action = kind >> 6;
            if matches!(kind, PADN | ROUTER_ALERT) || action == 0b00 {
                at = next;
                continue;
            }
            let parameter = Parameter {
                to_groups: action == 0b10,
                ..Parameter::new(UNRECOGNIZED_OPTION, at)
            };
            return Err(Problem {
                reason: |counters| &mut counters.unknown_option,
                parameter: (action != 0b01).then_some(parameter),
            });
        }
        Ok(())
    }
}
