//! Questions to the lab.

use core::ffi::c_int;
use core::mem::{size_of, zeroed};
use std::os::unix::ffi::OsStringExt;
use std::sync::OnceLock;

use libc::sockaddr_un;
use socket_door::{DOOR, LONGEST};

use crate::sys::{self, Result, call, checked};

static PATH: OnceLock<Vec<u8>> = OnceLock::new();

extern "C" fn remember() {
    path();
}

/// Before `main`, for a program may throw away its environment.
// SAFETY: the loader calls what stands in this section once, with arguments that a function may ignore.
#[used]
#[unsafe(link_section = ".init_array")]
static REMEMBER: extern "C" fn() = remember;

fn path() -> &'static [u8] {
    PATH.get_or_init(|| std::env::var_os(DOOR).unwrap_or_default().into_vec())
}

/// A question that was asked: it ends when this is dropped.
pub(crate) struct Question(c_int);

impl Drop for Question {
    fn drop(&mut self) {
        sys::close(self.0);
    }
}

/// What the lab answered.
pub(crate) struct Answer {
    pub(crate) text: String,
    /// The caller's to close.
    pub(crate) fd: Option<c_int>,
}

impl Question {
    fn connect() -> Result<Question> {
        let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
        // SAFETY: no memory is involved.
        let fd = checked(unsafe {
            call(
                libc::SYS_socket,
                [libc::AF_UNIX as usize, kind as usize, 0, 0, 0, 0],
            )
        })?;
        let question = Question(c_int::try_from(fd).map_err(|_| libc::EMFILE)?);
        // SAFETY: all zeros is a sockaddr_un.
        let mut address: sockaddr_un = unsafe { zeroed() };
        address.sun_family = libc::AF_UNIX as libc::sa_family_t;
        for (to, from) in address.sun_path.iter_mut().zip(path()) {
            *to = *from as _;
        }
        let at = (&raw const address).addr();
        // SAFETY: the address is of that size.
        checked(unsafe {
            call(
                libc::SYS_connect,
                [fd, at, size_of::<sockaddr_un>(), 0, 0, 0],
            )
        })
        .map_err(|_| libc::ENETDOWN)?;
        Ok(question)
    }

    /// Asks something.
    pub(crate) fn ask(text: &str) -> Result<Question> {
        let question = Question::connect()?;
        question.say(text)?;
        Ok(question)
    }

    /// Says something more.
    pub(crate) fn say(&self, text: &str) -> Result<()> {
        let mut vectors = [sys::vector(text.as_bytes())];
        // SAFETY: the text outlives the call.
        unsafe { sys::sendmsg(self.0, &sys::header(&mut vectors), libc::MSG_NOSIGNAL) }?;
        Ok(())
    }

    /// Bounds the wait for the answer by SO_SNDTIMEO of that descriptor; when it is over, that is EAGAIN.
    pub(crate) fn wait_as_long_as(&self, fd: c_int) {
        // SAFETY: all zeros is a timeval.
        let mut time: libc::timeval = unsafe { zeroed() };
        let mut length = size_of::<libc::timeval>();
        let option = |fd: c_int, option: c_int, value: usize, length: usize| {
            let (level, option) = (libc::SOL_SOCKET as usize, option as usize);
            [fd as usize, level, option, value, length, 0]
        };
        let (at, length_at) = ((&raw mut time).addr(), (&raw mut length).addr());
        let asked = option(fd, libc::SO_SNDTIMEO, at, length_at);
        let told = option(self.0, libc::SO_RCVTIMEO, at, length);
        // SAFETY: both calls get a timeval of ours and its length.
        let _ = unsafe {
            call(libc::SYS_getsockopt, asked);
            call(libc::SYS_setsockopt, told)
        };
    }

    /// Waits for the answer: an error of the lab's, or EINTR.
    pub(crate) fn answer(&self) -> Result<Answer> {
        let mut buffer = [0; LONGEST];
        let (length, fd) = receive_with_fd(self.0, &mut buffer, libc::MSG_CMSG_CLOEXEC)?;
        let text = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).into_owned();
        match text.split_once(' ') {
            Some(("ok", rest)) => Ok(Answer {
                text: rest.to_owned(),
                fd,
            }),
            Some(("error", number)) => Err(number.parse().unwrap_or(libc::EIO)),
            _ => Err(libc::ENETDOWN),
        }
    }
}

/// Asks something that is answered at once.
pub(crate) fn ask(text: &str) -> Result<Answer> {
    let question = Question::ask(text)?;
    loop {
        match question.answer() {
            Err(libc::EINTR) => {}
            result => return result,
        }
    }
}

/// Receives bytes, and the descriptor that came with them.
pub(crate) fn receive_with_fd(
    fd: c_int,
    buffer: &mut [u8],
    flags: c_int,
) -> Result<(usize, Option<c_int>)> {
    let mut control = [0u64; 4];
    let mut vectors = [sys::vector(buffer)];
    let mut header = sys::header(&mut vectors);
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = size_of_val(&control) as _;
    // SAFETY: all of it is ours and outlives the call.
    let length = unsafe { sys::recvmsg(fd, &mut header, flags) }?;
    // SAFETY: the kernel has filled the header, and the control buffer is aligned for a cmsghdr.
    let passed = unsafe {
        let first = libc::CMSG_FIRSTHDR(&raw const header);
        match first.as_ref() {
            Some(c) if (c.cmsg_level, c.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
                Some(libc::CMSG_DATA(first).cast::<c_int>().read_unaligned())
            }
            _ => None,
        }
    };
    Ok((length, passed))
}
