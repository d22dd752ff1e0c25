//! Numbers at the boundary. Our own code and everything behind the boundary uses the numbers of `redox_syscall`; redox-scheme, built for Linux, takes those
//! of `libredox::flag`, which are Linux's there. Redox's flags of files lie in the upper 16 bits, Linux's mostly in the lower.

use syscall::flag::{
    MapFlags, O_ACCMODE, O_APPEND, O_ASYNC, O_CREAT, O_DIRECTORY, O_EXCL, O_FSYNC, O_NONBLOCK,
    O_RDONLY, O_RDWR, O_SHLOCK, O_TRUNC, O_WRONLY,
};

/// `libredox::protocol::O_CLOEXEC`.
pub(crate) const O_CLOEXEC: usize = 0x0100_0000;

/// Bits of modes (permissions) in the flags of an open.
const MODE: usize = 0xFFFF;

const LINUX_CLOEXEC: usize = libc::O_CLOEXEC as usize;
/// The part of Linux's O_SYNC that lies in the upper half.
const LINUX_SYNC: usize = 0x0010_0000;

/// Flags in the lower half, which only Linux has.
const LOW: [(usize, usize); 7] = [
    (libc::O_CREAT as usize, O_CREAT),
    (libc::O_EXCL as usize, O_EXCL),
    (libc::O_TRUNC as usize, O_TRUNC),
    (libc::O_APPEND as usize, O_APPEND),
    (libc::O_NONBLOCK as usize, O_NONBLOCK),
    (libc::O_DSYNC as usize, O_FSYNC),
    (libc::O_ASYNC as usize, O_ASYNC),
];

fn low(flags: usize) -> usize {
    LOW.iter()
        .filter(|(linux, _)| flags & linux != 0)
        .fold(0, |all, (_, redox)| all | redox)
}

/// Flags of `open`, where the mode is an argument of its own: whatever is in the lower half is Linux's.
pub(crate) fn open_flags(flags: usize) -> usize {
    // Redox's access modes say that all of it is Redox's; so does anything in the upper half that Linux does not have.
    let upper = flags & !MODE;
    if flags & MODE == 0 && upper & O_ACCMODE != 0 {
        return upper;
    }
    if flags & MODE == 0 && upper & !(LINUX_CLOEXEC | LINUX_SYNC) != 0 {
        return upper;
    }
    let access = match flags & 3 {
        1 => O_WRONLY,
        2 => O_RDWR,
        _ if upper == 0 || upper & !(LINUX_CLOEXEC | LINUX_SYNC | 0x0003_0000) == 0 => O_RDONLY,
        _ => 0,
    };
    let mut redox = access | low(flags);
    // Linux's O_DIRECTORY is Redox's O_RDONLY.
    if upper & O_RDONLY != 0 {
        redox |= O_DIRECTORY;
    }
    if upper & LINUX_CLOEXEC != 0 {
        redox |= O_CLOEXEC;
    }
    redox | (upper & !(LINUX_CLOEXEC | LINUX_SYNC | O_ACCMODE))
}

/// Flags of `openat`, where Redox has the mode in the lower half. Redox's unless only Linux could mean them.
pub(crate) fn openat_flags(flags: usize) -> usize {
    if flags & (O_ACCMODE | O_CREAT) != 0 || flags & !MODE & !LINUX_CLOEXEC != 0 {
        flags
    } else {
        open_flags(flags)
    }
}

/// Flags of F_SETFL: there is no mode, so the lower half is Linux's.
pub(crate) fn status_flags(flags: usize) -> usize {
    let mut upper = flags & !MODE;
    if flags & libc::O_DSYNC as usize != 0 {
        upper &= !O_SHLOCK;
    }
    upper | low(flags)
}

/// The argument of F_SETFD.
pub(crate) fn close_on_exec(arg: usize) -> bool {
    arg & (O_CLOEXEC | LINUX_CLOEXEC | libc::FD_CLOEXEC as usize) != 0
}

/// Protection and kind of a mapping. Redox's PROT_READ is Linux's PROT_EXEC and the other way round; nobody maps code here, so either bit reads.
pub(crate) fn map_flags(prot: u32, flags: u32) -> MapFlags {
    let mut map = MapFlags::from_bits_truncate((flags & 0xFFFF) as usize);
    map.set(MapFlags::PROT_READ, prot & 5 != 0);
    map.set(MapFlags::PROT_WRITE, prot & 2 != 0);
    map
}

#[cfg(test)]
mod tests {
    use super::*;
    use syscall::flag::O_STAT;

    #[test]
    fn what_redox_scheme_passes_on_linux_means_what_it_meant() {
        let set = (libc::O_SYNC | 0x0020_0000 | libc::O_NONBLOCK) as usize;
        assert_eq!(
            status_flags(set) & (O_NONBLOCK | O_FSYNC),
            O_NONBLOCK | O_FSYNC
        );
        assert_eq!(status_flags(set) & O_APPEND, 0);
        assert_eq!(open_flags(libc::O_CLOEXEC as usize), O_RDONLY | O_CLOEXEC);
        assert!(close_on_exec(libc::O_CLOEXEC as usize));
    }

    #[test]
    fn redox_flags_pass_unchanged() {
        for flags in [
            O_RDONLY,
            O_RDWR | O_NONBLOCK | O_CLOEXEC,
            O_WRONLY | O_CREAT | O_TRUNC,
            O_RDONLY | O_DIRECTORY,
            O_STAT,
            O_CREAT,
            O_DIRECTORY | O_CLOEXEC,
        ] {
            assert_eq!(open_flags(flags), flags, "{flags:#x}");
            assert_eq!(openat_flags(flags), flags, "{flags:#x}");
            assert_eq!(status_flags(flags), flags, "{flags:#x}");
        }
        assert_eq!(
            openat_flags(O_RDWR | O_CREAT | 0o644),
            O_RDWR | O_CREAT | 0o644
        );
    }

    #[test]
    fn linux_flags_become_redox_flags() {
        let linux = (libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC | libc::O_NONBLOCK) as usize;
        assert_eq!(open_flags(linux), O_RDWR | O_CREAT | O_TRUNC | O_NONBLOCK);
        assert_eq!(
            open_flags((libc::O_RDONLY | libc::O_NONBLOCK) as usize),
            O_RDONLY | O_NONBLOCK
        );
        assert_eq!(
            open_flags((libc::O_WRONLY | libc::O_CLOEXEC) as usize),
            O_WRONLY | O_CLOEXEC
        );
    }

    #[test]
    fn both_worlds_protections_can_read_and_write() {
        let both = MapFlags::PROT_READ | MapFlags::PROT_WRITE | MapFlags::MAP_SHARED;
        assert_eq!(map_flags(6, 1), both);
        assert_eq!(map_flags(3, 1), both);
    }
}
