//! Reads the packet files that QEMU writes (libpcap's classic format), for tests that ask what was on the wire.

use std::path::Path;
use std::time::Duration;

use crate::error::{Context, Error, Result};

/// A frame as it was on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// When: since 1970, or whatever the clock of the writer was.
    pub time: Duration,
    /// The frame, from its destination address on.
    pub frame: Vec<u8>,
}

const MAGIC: u32 = 0xa1b2_c3d4;
const HEADER: usize = 24;
const RECORD_HEADER: usize = 16;
const ETHERNET: u32 = 1;

/// The frames of a file, in order. A last record that is not whole, as in the file of a machine that was killed, is
/// left out.
pub fn read(path: &Path) -> Result<Vec<Captured>> {
    let bytes = std::fs::read(path).context(path.display())?;
    parse(&bytes).context(path.display())
}

/// The frames of a file's contents.
pub fn parse(file: &[u8]) -> Result<Vec<Captured>> {
    let header = file
        .first_chunk::<HEADER>()
        .context("shorter than a packet file's header")?;
    if word(header, 0) != Some(MAGIC) || word(header, 20) != Some(ETHERNET) {
        return Err(Error::new(
            "not a little-endian packet file with Ethernet frames",
        ));
    }
    let mut frames = Vec::new();
    let mut rest = file.get(HEADER..).unwrap_or_default();
    while let Some((captured, behind)) = record(rest) {
        frames.push(captured);
        rest = behind;
    }
    Ok(frames)
}

/// Seconds, microseconds, bytes here, bytes on the wire, then the bytes.
fn record(bytes: &[u8]) -> Option<(Captured, &[u8])> {
    let (header, rest) = bytes.split_at_checked(RECORD_HEADER)?;
    let micros = u64::from(word(header, 0)?) * 1_000_000 + u64::from(word(header, 4)?);
    let (frame, rest) = rest.split_at_checked(word(header, 8)? as usize)?;
    Some((
        Captured {
            time: Duration::from_micros(micros),
            frame: frame.to_vec(),
        },
        rest,
    ))
}

fn word(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes
        .get(offset..)?
        .first_chunk()
        .map(|word| u32::from_le_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(records: &[&[u8]]) -> Vec<u8> {
        let mut file = Vec::new();
        for word in [MAGIC, 0x0004_0002, 0, 0, 65536, ETHERNET] {
            file.extend(word.to_le_bytes());
        }
        for frame in records {
            for word in [7, 250_000, frame.len() as u32, frame.len() as u32] {
                file.extend(word.to_le_bytes());
            }
            file.extend(*frame);
        }
        file
    }

    #[test]
    fn frames_are_read_in_order() {
        let frames = parse(&file(&[b"first", b"second"])).unwrap();
        assert_eq!(
            frames
                .iter()
                .map(|captured| &captured.frame[..])
                .collect::<Vec<_>>(),
            [&b"first"[..], b"second"]
        );
        assert_eq!(frames[0].time, Duration::from_millis(7250));
    }

    #[test]
    fn a_file_cut_anywhere_gives_the_frames_before_the_cut() {
        let whole = file(&[b"first", b"second"]);
        for length in HEADER..whole.len() {
            let expected = usize::from(length >= HEADER + RECORD_HEADER + 5);
            assert_eq!(
                parse(&whole[..length]).unwrap().len(),
                expected,
                "cut at {length}"
            );
        }
        assert!(parse(&whole[..HEADER - 1]).is_err());
    }
}
