//! The parts of a small file tree: directory entries, `fstat`, `fpath` and reads of short texts.

use syscall::Stat;
use syscall::dirent::{DirEntry, DirentBuf, DirentKind};
use syscall::error::{EINVAL, Error, Result};
use syscall::flag::{MODE_DIR, MODE_FILE};

/// Writes the entries after the first `opaque` ones into `buffer`, as many as fit.
///
/// `opaque` is 0 at first and then what the last entry said; it counts entries, so a tree that
/// changes between two calls may show a name twice or not at all, and nothing worse.
///
/// # Errors
/// `EINVAL` when not even one entry fits.
pub fn list<'buf, 'name>(
    mut buffer: DirentBuf<&'buf mut [u8]>,
    opaque: u64,
    entries: impl IntoIterator<Item = (&'name str, DirentKind)>,
) -> Result<DirentBuf<&'buf mut [u8]>> {
    let skip = usize::try_from(opaque).unwrap_or(usize::MAX);
    let mut written = 0_u64;
    for (name, kind) in entries.into_iter().skip(skip) {
        let next_opaque_id = opaque.saturating_add(written).saturating_add(1);
        let entry = DirEntry {
            inode: 0,
            next_opaque_id,
            name,
            kind,
        };
        match buffer.entry(entry) {
            Ok(()) => written += 1,
            // The buffer is full; the reader goes on from the last entry it got.
            Err(Error { errno: EINVAL }) if written > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(buffer)
}

/// Fills `stat` for a file of `size` bytes with the permissions `mode` (such as `0o444`).
pub fn stat_file(stat: &mut Stat, mode: u16, size: u64) {
    *stat = Stat {
        st_mode: MODE_FILE | mode,
        st_size: size,
        st_nlink: 1,
        ..Stat::default()
    };
}

/// Fills `stat` for a directory with the permissions `mode` (such as `0o555`).
pub fn stat_directory(stat: &mut Stat, mode: u16) {
    *stat = Stat {
        st_mode: MODE_DIR | mode,
        st_nlink: 1,
        ..Stat::default()
    };
}

/// Answers `fpath`: writes `/scheme/<scheme>/<path>` into `buffer`, cut off where it ends.
/// Returns the bytes written.
pub fn path(buffer: &mut [u8], scheme: &str, path: &str) -> usize {
    let parts = ["/scheme/", scheme, "/", path];
    let bytes = parts.iter().flat_map(|part| part.bytes());
    buffer
        .iter_mut()
        .zip(bytes)
        .map(|(to, from)| *to = from)
        .count()
}

/// Answers a read of a file that holds `contents`: copies what lies from `offset` on into `buffer`.
/// Returns the bytes copied; 0 at and after the end.
pub fn read_at(contents: &[u8], offset: u64, buffer: &mut [u8]) -> usize {
    let rest = usize::try_from(offset)
        .ok()
        .and_then(|offset| contents.get(offset..))
        .unwrap_or_default();
    let length = rest.len().min(buffer.len());
    if let (Some(to), Some(from)) = (buffer.get_mut(..length), rest.get(..length)) {
        to.copy_from_slice(from);
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;
    use syscall::dirent::{DirentHeader, DirentIter};

    const HEADER: u16 = size_of::<DirentHeader>() as u16;
    const NAMES: [&str; 5] = ["", "mac", "mtu", "link", "stats"];

    fn read(length: usize, opaque: u64) -> Result<Vec<(String, u64)>> {
        let mut bytes = vec![0; length];
        let buffer = DirentBuf::new(&mut bytes[..], HEADER).unwrap();
        let entries = NAMES.iter().map(|name| (*name, DirentKind::Regular));
        let written = list(buffer, opaque, entries)?.finalize();
        let entries = DirentIter::new(&bytes[..written]);
        Ok(entries
            .map(Result::unwrap)
            .map(|(header, name)| {
                (
                    String::from_utf8_lossy(name)
                        .trim_end_matches('\0')
                        .to_owned(),
                    header.next_opaque_id,
                )
            })
            .collect())
    }

    #[test]
    fn a_reader_with_a_small_buffer_sees_every_name_once() {
        for length in [32, 33, 64, 100, 4096] {
            let (mut names, mut opaque) = (Vec::new(), 0);
            loop {
                let entries = read(length, opaque).unwrap();
                let Some((_, next)) = entries.last() else {
                    break;
                };
                opaque = *next;
                names.extend(entries.into_iter().map(|(name, _)| name));
            }
            assert_eq!(names, NAMES, "buffer of {length} bytes");
        }
    }

    #[test]
    fn a_buffer_too_small_for_one_name_is_an_error_and_not_the_end() {
        assert_eq!(read(8, 0).unwrap_err().errno, EINVAL);
    }

    #[test]
    fn the_end_and_beyond_are_empty() {
        assert_eq!(read(4096, 5).unwrap(), []);
        assert_eq!(read(4096, u64::MAX).unwrap(), []);
    }

    #[test]
    fn a_path_longer_than_the_buffer_is_cut_off() {
        let mut buffer = [0; 64];
        let length = path(&mut buffer, "network.eth", "mac");
        assert_eq!(&buffer[..length], b"/scheme/network.eth/mac");
        assert_eq!(path(&mut buffer[..10], "network.eth", "mac"), 10);
        assert_eq!(path(&mut [], "network.eth", "mac"), 0);
    }

    #[test]
    fn a_read_from_any_offset_stays_inside() {
        let mut buffer = [0; 4];
        assert_eq!(read_at(b"abcdef", 0, &mut buffer), 4);
        assert_eq!(read_at(b"abcdef", 4, &mut buffer), 2);
        assert_eq!(&buffer[..2], b"ef");
        assert_eq!(read_at(b"abcdef", 6, &mut buffer), 0);
        assert_eq!(read_at(b"abcdef", u64::MAX, &mut buffer), 0);
        assert_eq!(read_at(b"abcdef", 0, &mut []), 0);
    }

    #[test]
    fn modes_say_what_is_a_directory() {
        let mut stat = Stat::default();
        stat_directory(&mut stat, 0o555);
        assert_eq!(stat.st_mode, MODE_DIR | 0o555);
        stat_file(&mut stat, 0o400, 6);
        assert_eq!((stat.st_mode, stat.st_size), (MODE_FILE | 0o400, 6));
    }
}
