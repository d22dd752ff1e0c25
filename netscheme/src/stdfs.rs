//! The file calls that come in one envelope (`StdFsCall`): `fstat`, `getdents`, `fsync` and so on.
//!
//! `redox_scheme` would turn the client's buffer into a `&mut Stat` where it lies, which is undefined
//! when it is not aligned, and would run advisory locks whose overflow is `unreachable!()`. Here the
//! structure is built on the stack and copied, and locks are refused.

use redox_scheme::CallerCtx;
use redox_scheme::scheme::{OpCall, SchemeSync};
use syscall::dirent::DirentBuf;
use syscall::error::{EINVAL, EOPNOTSUPP, Error, Result};
use syscall::flag::StdFsCallKind;
use syscall::{Stat, StatVfs, TimeSpec};

/// Runs one such call on the handle it names.
pub(crate) fn handle(
    op: &mut OpCall,
    scheme: &mut impl SchemeSync,
    caller: &CallerCtx,
) -> Result<usize> {
    let (&[id], payload, &[kind, arg1, arg2, ..]) = op.fds_and_payload_and_metadata() else {
        return Err(Error::new(EINVAL));
    };
    // The kernel looks at the low byte alone, too.
    let Some(kind) = StdFsCallKind::try_from_raw(kind as u8) else {
        return Err(Error::new(EOPNOTSUPP));
    };
    match kind {
        StdFsCallKind::Fstat => {
            let mut stat = Stat::default();
            scheme.fstat(id, &mut stat, caller)?;
            copy_exact(payload, &stat)
        }
        StdFsCallKind::Fstatvfs => {
            let mut stat = StatVfs::default();
            scheme.fstatvfs(id, &mut stat, caller)?;
            copy_exact(payload, &stat)
        }
        StdFsCallKind::Getdents => {
            let buffer = DirentBuf::new(payload, arg2 as u16).ok_or(Error::new(EINVAL))?;
            Ok(scheme.getdents(id, buffer, arg1)?.finalize())
        }
        StdFsCallKind::Fsync => scheme.fsync(id, caller).map(|()| 0),
        StdFsCallKind::Ftruncate => scheme.ftruncate(id, arg1, caller).map(|()| 0),
        StdFsCallKind::Fchmod => scheme.fchmod(id, arg1 as u16, caller).map(|()| 0),
        StdFsCallKind::Futimens => scheme.futimens(id, &times(payload)?, caller).map(|()| 0),
        _ => Err(Error::new(EOPNOTSUPP)),
    }
}

/// Fills `payload` with `bytes`, which it must fit exactly.
fn copy_exact(payload: &mut [u8], bytes: &[u8]) -> Result<usize> {
    if payload.len() != bytes.len() {
        return Err(Error::new(EINVAL));
    }
    payload.copy_from_slice(bytes);
    Ok(0)
}

/// Access and modification time as the client wrote them.
fn times(payload: &[u8]) -> Result<[TimeSpec; 2]> {
    const SIZE: usize = size_of::<TimeSpec>();
    if payload.len() != 2 * SIZE {
        return Err(Error::new(EINVAL));
    }
    let mut times = [TimeSpec::default(); 2];
    for (time, bytes) in times.iter_mut().zip(payload.chunks_exact(SIZE)) {
        time.copy_from_slice(bytes);
    }
    Ok(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_into_a_buffer_of_another_size_is_refused() {
        let stat = Stat {
            st_size: 6,
            ..Stat::default()
        };
        for length in [0, 1, size_of::<Stat>() - 1, size_of::<Stat>() + 1] {
            let error = copy_exact(&mut vec![0; length], &stat).unwrap_err();
            assert_eq!(error.errno, EINVAL, "{length}");
        }
        let mut fitting = [0; size_of::<Stat>()];
        assert_eq!(copy_exact(&mut fitting, &stat), Ok(0));
        assert_eq!(fitting[..], stat[..]);
    }

    #[test]
    fn times_are_read_from_any_alignment() {
        let wanted = [
            TimeSpec {
                tv_sec: 1,
                tv_nsec: 2,
            },
            TimeSpec {
                tv_sec: -3,
                tv_nsec: 4,
            },
        ];
        let mut bytes = vec![0xee];
        wanted.iter().for_each(|time| bytes.extend_from_slice(time));
        assert_eq!(times(&bytes[1..]), Ok(wanted));
        assert_eq!(times(&bytes).unwrap_err().errno, EINVAL);
    }
}
