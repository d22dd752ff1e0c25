//! The seed of a daemon's random numbers.

use libredox::Fd;
use libredox::protocol::O_CLOEXEC;
use syscall::error::{EINTR, EIO, Error};
use syscall::flag::O_RDONLY;

/// 32 random bytes of `/scheme/rand`, to be read once at the start: ports, sequence numbers and
/// transaction ids are drawn from a generator seeded with them (RFC 6056, RFC 6528).
///
/// # Errors
/// What opening and reading answered; `EIO` when the source ends early. A daemon must not go on with
/// a guessable seed.
pub fn seed() -> Result<[u8; 32], Error> {
    let source = Fd::open("/scheme/rand", (O_RDONLY | O_CLOEXEC) as i32, 0)?;
    let mut seed = [0; 32];
    let mut rest = &mut seed[..];
    while !rest.is_empty() {
        match source.read(rest).map_err(Error::from) {
            Ok(0) => return Err(Error::new(EIO)),
            Ok(length) => rest = rest.get_mut(length..).ok_or(Error::new(EIO))?,
            Err(Error { errno: EINTR }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(seed)
}
