//! SYN cookies (RFC 4987 3.6): while there is no room for half-open connections, the sequence number of the SYN-ACK
//! carries what would have been remembered, and the third segment of the handshake brings it back.
//!
//! ```text
//!  31                                             8   7   6   5 4 3   2 1 0
//! +-------------------------------------------------+---+---+-------+-------+
//! |         SipHash of all that is agreed           | P | S | scale |  MSS  |
//! +-------------------------------------------------+---+---+-------+-------+
//! ```
//! P is the lowest bit of the number of the period, S is SACK-permitted, MSS and window scale are classes, rounded down:
//! the peer gets segments and windows that are a little smaller than it could take.
//!
//! The hash, under the stack's secret, covers both ends, IRS, the period, these eight bits and what our SYN-ACK offered.
//! Guessing takes one segment in 2^24: at 1.49 million segments a second, which is a gigabit a second of the smallest
//! frames, one every eleven seconds; at ten gigabits nine in ten seconds. All that is won by it is a connection from an
//! address that is not the sender's, and only while somebody floods the listener. The hash is in the upper bits, so that
//! whoever does not see the SYN-ACK cannot tell where in the circle the connection begins.

use smoltcp::time::{Duration, Instant};

use super::FlowKey;
use super::half_open::{Offer, SynOptions};
use super::sequence::Seq;
use crate::secret::Secret;

/// A cookie is good in the period in which it was made and in the next: for 32 seconds at least.
const PERIOD: Duration = Duration::from_secs(32);

/// No cookie is older than this when it is believed.
pub const LIFETIME: Duration = Duration::from_secs(64);

/// Segment sizes that a cookie can tell, in octets: of the smallest MTUs (RFC 791, RFC 8200), of tunnels, of Ethernet
/// over both families, of jumbo frames. The first stands for whatever is smaller as well.
const SIZES: [u16; 8] = [216, 536, 1220, 1360, 1400, 1440, 1460, 8940];

/// Window scales that a cookie can tell. The first says that there was no such option.
const SCALES: [Option<u8>; 8] = [
    None,
    Some(0),
    Some(2),
    Some(5),
    Some(6),
    Some(7),
    Some(8),
    Some(10),
];

const SCALE_AT: u32 = 3;
const SACK_AT: u32 = 6;
const PERIOD_AT: u32 = 7;

/// Makes cookies, and knows its own.
#[derive(Clone, Copy, Debug)]
pub struct Cookies(Secret);

impl Cookies {
    /// Those of one `secret`.
    pub fn new(secret: Secret) -> Cookies {
        Cookies(secret)
    }

    /// ISS for the answer to a SYN of `irs` with these options, which offers `offer`.
    pub fn make(
        &self,
        now: Instant,
        key: &FlowKey,
        irs: Seq,
        syn: &SynOptions,
        offer: &Offer,
    ) -> Seq {
        let period = period(now);
        let size = class(&SIZES, &syn.mss.unwrap_or(key.default_mss()));
        let scale = class(&SCALES, &syn.window_scale);
        let bits = size
            | scale << SCALE_AT
            | u32::from(syn.sack_permitted) << SACK_AT
            | (period as u32 & 1) << PERIOD_AT;
        self.sealed(period, key, irs, bits, offer)
    }

    /// What the SYN of `irs` said, if `iss` is a cookie that was made for it lately, with this very `offer`.
    pub fn open(
        &self,
        now: Instant,
        key: &FlowKey,
        irs: Seq,
        iss: Seq,
        offer: &Offer,
    ) -> Option<SynOptions> {
        let current = period(now);
        let bits = iss.0 & 0xff;
        let period = match bits >> PERIOD_AT == (current as u32 & 1) {
            true => current,
            false => current.wrapping_sub(1),
        };
        if self.sealed(period, key, irs, bits, offer) != iss {
            return None;
        }
        let (size, scale) = (bits & 7, bits >> SCALE_AT & 7);
        Some(SynOptions {
            mss: SIZES.get(size as usize).copied(),
            window_scale: SCALES.get(scale as usize).copied().flatten(),
            sack_permitted: bits >> SACK_AT & 1 == 1,
        })
    }

    /// The hash depends on the period as it does on the secret: what was seen of one tells nothing of the next.
    fn sealed(&self, period: u64, key: &FlowKey, irs: Seq, bits: u32, offer: &Offer) -> Seq {
        let agreed = (period, key, irs.0, bits, offer.window, offer.shift);
        Seq(self.0.hash("cookie", agreed) as u32 & !0xff | bits)
    }
}

/// The number of the period that it is.
fn period(now: Instant) -> u64 {
    (now.total_micros() as u64) / PERIOD.total_micros()
}

/// The number of the last of `classes` that is not above `value`: the first if all are.
fn class<T: PartialOrd>(classes: &[T; 8], value: &T) -> u32 {
    let above = classes.iter().skip(1).take_while(|class| *class <= value);
    above.count() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: Offer = Offer {
        window: 65_535,
        mss: 1460,
        shift: 7,
    };
    const IRS: Seq = Seq(0xffff_fff0);

    /// Those of a secret that begins with these numbers.
    fn cookies_of((first, second): (u64, u64)) -> Cookies {
        let mut secret = [0; 32];
        secret[..8].copy_from_slice(&first.to_ne_bytes());
        secret[8..16].copy_from_slice(&second.to_ne_bytes());
        Cookies::new(Secret::new(secret))
    }

    fn key(v6: bool) -> FlowKey {
        let (local, remote) = if v6 {
            ("[fd42::2]:80", "[fd42::1]:40000")
        } else {
            ("10.0.2.15:80", "10.0.2.2:40000")
        };
        FlowKey {
            local: local.parse().expect("an end"),
            remote: remote.parse().expect("an end"),
        }
    }

    fn syn(mss: Option<u16>, window_scale: Option<u8>, sack_permitted: bool) -> SynOptions {
        SynOptions {
            mss,
            window_scale,
            sack_permitted,
        }
    }

    /// What comes back of `options` in the same second.
    fn kept(key: &FlowKey, options: SynOptions) -> SynOptions {
        let (cookies, now) = (cookies_of((1, 2)), Instant::from_secs(5));
        let iss = cookies.make(now, key, IRS, &options, &OFFER);
        cookies
            .open(now, key, IRS, iss, &OFFER)
            .expect("our own cookie")
    }

    #[test]
    fn sizes_and_scales_are_rounded_down_and_never_up() {
        let key = key(false);
        for mss in 0..=u16::MAX {
            let told = kept(&key, syn(Some(mss), Some(7), true));
            assert_eq!((told.window_scale, told.sack_permitted), (Some(7), true));
            let size = told.mss.expect("a class");
            assert!(size <= mss.max(216) && SIZES.contains(&size), "{mss}");
        }
        for exact in SIZES {
            assert_eq!(kept(&key, syn(Some(exact), None, false)).mss, Some(exact));
        }
        for scale in 0..=14 {
            let told = kept(&key, syn(Some(1460), Some(scale), false));
            let told = told.window_scale.expect("windows are scaled");
            assert!(told <= scale && told + 4 >= scale, "{scale} became {told}");
        }
        let told = kept(&key, syn(Some(1460), None, false));
        assert_eq!(told, syn(Some(1460), None, false));
    }

    /// RFC 9293 3.7.1: 536 octets over IPv4, 1220 over IPv6.
    #[test]
    fn a_syn_without_a_segment_size_has_that_of_its_family() {
        assert_eq!(kept(&key(false), syn(None, None, true)).mss, Some(536));
        assert_eq!(kept(&key(true), syn(None, None, true)).mss, Some(1220));
    }

    #[test]
    fn a_cookie_is_good_in_its_period_and_the_next() {
        let cookies = cookies_of((1, 2));
        let options = syn(Some(1460), Some(7), true);
        for start in [0_i64, 31, 32, 1_000_000, (1 << 32) * 32 - 1] {
            let made = Instant::from_secs(start);
            let iss = cookies.make(made, &key(false), IRS, &options, &OFFER);
            let at = |seconds| {
                let now = Instant::from_secs(seconds);
                cookies.open(now, &key(false), IRS, iss, &OFFER)
            };
            let end = (start / 32 + 2) * 32;
            for seconds in [start, start + 32, end - 1] {
                assert_eq!(at(seconds), Some(options), "made at {start}, at {seconds}");
            }
            // The bit that names the period comes round again: what it stands for does not.
            for seconds in [end, end + 32, end + 64, end + 96, start - 32, start - 64] {
                assert_eq!(at(seconds), None, "made at {start}, at {seconds}");
            }
        }
    }

    #[test]
    fn whatever_was_agreed_is_sealed() {
        let cookies = cookies_of((1, 2));
        let (now, key) = (Instant::from_secs(5), key(false));
        let options = syn(Some(1460), Some(7), true);
        let iss = cookies.make(now, &key, IRS, &options, &OFFER);
        for secret in [(1, 3), (0, 2), (2, 1)] {
            let others = cookies_of(secret);
            assert_eq!(others.open(now, &key, IRS, iss, &OFFER), None);
        }
        for bit in 0..32 {
            let other = Seq(iss.0 ^ 1 << bit);
            assert_eq!(cookies.open(now, &key, IRS, other, &OFFER), None, "{bit}");
        }
        let shrunk = Offer {
            window: 65_534,
            ..OFFER
        };
        let scaled = Offer { shift: 8, ..OFFER };
        for offer in [shrunk, scaled] {
            assert_eq!(cookies.open(now, &key, IRS, iss, &offer), None);
        }
        assert_eq!(cookies.open(now, &key, IRS.plus(1), iss, &OFFER), None);
        let swapped = FlowKey {
            local: key.remote,
            remote: key.local,
        };
        assert_eq!(cookies.open(now, &swapped, IRS, iss, &OFFER), None);
    }

    #[test]
    fn no_time_and_no_number_is_too_large() {
        let cookies = cookies_of((u64::MAX, 0));
        let options = syn(Some(u16::MAX), Some(u8::MAX), true);
        for micros in [i64::MIN, -1, 0, i64::MAX] {
            let now = Instant::from_micros(micros);
            for number in [0, u32::MAX] {
                let iss = cookies.make(now, &key(true), Seq(number), &options, &OFFER);
                let opened = cookies.open(now, &key(true), Seq(number), iss, &OFFER);
                assert_eq!(opened, Some(syn(Some(8940), Some(10), true)));
            }
        }
    }
}
