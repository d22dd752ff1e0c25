//! A look at a raw request before `redox_scheme` decodes it.
//!
//! `redox_scheme` decodes a request by trusting its arguments: a plain `Fstat` (the kernel passes
//! the client's buffer through unchecked, kernel `scheme/user.rs` `kfstat`) whose buffer is shorter
//! than a `Stat` is an assertion, and one that is not aligned is undefined behaviour; the same holds
//! for `Fstatvfs` and `Futimens`. An `Msync` loses its tag and can never be answered. So these must
//! be seen before they are decoded. The crate keeps the raw entry private and offers no accessor;
//! what it offers is `Debug`, which prints the entry in full. The formatting is cut off right after
//! the opcode unless the opcode is one of the few that need a closer look.

use core::fmt::{self, Debug, Write};

use syscall::schemev2::Opcode;

/// What to do with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// `redox_scheme` may decode it.
    Decode,
    /// It must not be decoded: answer this error to this tag.
    Refuse {
        /// The tag to answer.
        tag: u32,
        /// The error to answer.
        errno: i32,
    },
    /// Nothing may be answered; it asks for nothing.
    Ignore,
}

/// The parts of a raw request that matter here.
#[derive(Debug, PartialEq, Eq)]
struct Raw {
    tag: u32,
    address: u64,
    length: u64,
}

/// Judges `request`, a `redox_scheme::Request`.
pub(crate) fn judge(request: &impl Debug) -> Verdict {
    let Some(opcode) = opcode(request) else {
        return Verdict::Ignore;
    };
    let sizes = match Opcode::try_from_raw(opcode) {
        Some(Opcode::Fstat) => size_of::<syscall::Stat>()..=usize::MAX,
        Some(Opcode::Fstatvfs) => size_of::<syscall::StatVfs>()..=usize::MAX,
        Some(Opcode::Futimens) => 0..=2 * size_of::<syscall::TimeSpec>(),
        Some(Opcode::Msync) => {
            return match raw(request) {
                Some(raw) => Verdict::Refuse {
                    tag: raw.tag,
                    errno: syscall::error::EOPNOTSUPP,
                },
                None => Verdict::Ignore,
            };
        }
        _ => return Verdict::Decode,
    };
    let Some(raw) = raw(request) else {
        return Verdict::Ignore;
    };
    // All three structures hold 64-bit words.
    let aligned = raw.address.is_multiple_of(align_of::<u64>() as u64);
    match usize::try_from(raw.length) {
        Ok(length) if aligned && sizes.contains(&length) => Verdict::Decode,
        _ => Verdict::Refuse {
            tag: raw.tag,
            errno: syscall::error::EINVAL,
        },
    }
}

/// What `Debug` prints before the opcode.
const PREFIX: &str = "Request { sqe: Sqe { opcode: ";

fn opcode(request: &impl Debug) -> Option<u8> {
    let mut opcode = Digits {
        matched: 0,
        value: None,
    };
    // Ends with an error right after the opcode, so that the rest is never formatted.
    let _ = write!(opcode, "{request:?}");
    opcode.value
}

/// Takes the number after [`PREFIX`] and nothing else: every request passes here.
struct Digits {
    /// Bytes of the prefix seen so far.
    matched: usize,
    value: Option<u8>,
}

impl Write for Digits {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        match PREFIX.get(self.matched..) {
            Some(rest) if !rest.is_empty() && rest.starts_with(text) => {
                self.matched += text.len();
                Ok(())
            }
            Some("") => {
                self.value = text.parse().ok();
                Err(fmt::Error)
            }
            _ => Err(fmt::Error),
        }
    }
}

fn raw(request: &impl Debug) -> Option<Raw> {
    let mut text = Text::<512>::default();
    write!(text, "{request:?}").ok()?;
    let text = text.as_str();
    let mut args = after(text, "args: [")?.split(", ").skip(1);
    Some(Raw {
        tag: number(after(text, "tag: ")?)?,
        address: args.next()?.parse().ok()?,
        length: args.next()?.parse().ok()?,
    })
}

fn after<'a>(text: &'a str, label: &str) -> Option<&'a str> {
    let start = text.find(label)?.checked_add(label.len())?;
    text.get(start..)
}

/// The number at the start of `text`, which must end before `text` does: a number at the very end
/// may be one that was cut off.
fn number<T: core::str::FromStr>(text: &str) -> Option<T> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    text.get(..end)?.parse().ok()
}

/// The first `N` bytes of what is written to it.
struct Text<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Default for Text<N> {
    fn default() -> Self {
        Self {
            bytes: [0; N],
            length: 0,
        }
    }
}

impl<const N: usize> Text<N> {
    fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..self.length).unwrap_or_default();
        core::str::from_utf8(bytes).unwrap_or_default()
    }
}

impl<const N: usize> Write for Text<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.bytes.get_mut(self.length..).unwrap_or_default();
        let length = room.len().min(text.len());
        if let (Some(to), Some(from)) = (room.get_mut(..length), text.as_bytes().get(..length)) {
            to.copy_from_slice(from);
        }
        self.length += length;
        if length == text.len() {
            Ok(())
        } else {
            Err(fmt::Error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use syscall::error::{EINVAL, EOPNOTSUPP};
    use syscall::schemev2::Sqe;

    /// Formats as `redox_scheme::Request` does: the same derive over the same fields.
    #[derive(Debug)]
    struct Request {
        #[expect(dead_code, reason = "read by Debug")]
        sqe: Sqe,
    }

    fn request(opcode: Opcode, address: u64, length: u64) -> Request {
        let args = [1, address, length, 4, u64::MAX, 6];
        Request {
            sqe: Sqe {
                opcode: opcode as u8,
                tag: 77,
                args,
                caller: 5,
                ..Sqe::default()
            },
        }
    }

    #[test]
    fn the_real_request_prints_as_this_module_reads_it() {
        let ours = Request {
            sqe: Sqe::default(),
        };
        let theirs = redox_scheme::Request::default();
        assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
        assert_eq!(opcode(&theirs), Some(0));
        assert_eq!(
            raw(&theirs),
            Some(Raw {
                tag: 0,
                address: 0,
                length: 0
            })
        );
    }

    #[test]
    fn the_largest_values_still_fit() {
        let sqe = Sqe {
            opcode: u8::MAX,
            tag: u32::MAX,
            args: [u64::MAX; 6],
            caller: u64::MAX,
            ..Sqe::default()
        };
        let request = Request { sqe };
        assert_eq!(opcode(&request), Some(u8::MAX));
        let raw = raw(&request).unwrap();
        assert_eq!(
            raw,
            Raw {
                tag: u32::MAX,
                address: u64::MAX,
                length: u64::MAX
            }
        );
    }

    #[test]
    fn a_stat_of_one_byte_is_refused_instead_of_ending_the_daemon() {
        let size = size_of::<syscall::Stat>() as u64;
        let refused = Verdict::Refuse {
            tag: 77,
            errno: EINVAL,
        };
        assert_eq!(judge(&request(Opcode::Fstat, 0x1000, 1)), refused);
        assert_eq!(judge(&request(Opcode::Fstat, 0x1000, size - 1)), refused);
        assert_eq!(
            judge(&request(Opcode::Fstat, 0x1001, size)),
            refused,
            "not aligned"
        );
        assert_eq!(
            judge(&request(Opcode::Fstat, 0x1000, size)),
            Verdict::Decode
        );
        assert_eq!(judge(&request(Opcode::Fstatvfs, 0x1000, 0)), refused);
        assert_eq!(judge(&request(Opcode::Futimens, 0x1000, 1 << 20)), refused);
        assert_eq!(
            judge(&request(Opcode::Futimens, 0x1004, 32)),
            refused,
            "not aligned"
        );
        assert_eq!(
            judge(&request(Opcode::Futimens, 0x1000, 32)),
            Verdict::Decode
        );
    }

    #[test]
    fn a_request_that_would_lose_its_tag_is_answered() {
        let refused = Verdict::Refuse {
            tag: 77,
            errno: EOPNOTSUPP,
        };
        assert_eq!(judge(&request(Opcode::Msync, 0, 0)), refused);
    }

    #[test]
    fn everything_else_is_decoded() {
        for opcode in (0..=u8::MAX).filter_map(Opcode::try_from_raw) {
            if !matches!(
                opcode,
                Opcode::Fstat | Opcode::Fstatvfs | Opcode::Futimens | Opcode::Msync
            ) {
                assert_eq!(judge(&request(opcode, 1, 1)), Verdict::Decode, "{opcode:?}");
            }
        }
    }
}
