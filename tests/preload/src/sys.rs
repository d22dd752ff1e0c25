//! System calls themselves: libc's functions of these names are the ones that this library replaces.

use core::ffi::{c_int, c_long};
use core::mem::{size_of, zeroed};

use libc::{iovec, msghdr, sockaddr_un};
use socket_door::Name;

/// An error number.
pub(crate) type Result<T> = core::result::Result<T, c_int>;

/// A system call; the kernel's own answer.
///
/// # Safety
/// The arguments are as the call wants them.
#[cfg(target_arch = "x86_64")]
pub(crate) unsafe fn call(number: c_long, arguments: [usize; 6]) -> isize {
    let [a, b, c, d, e, f] = arguments;
    let result;
    // SAFETY: the kernel's convention; the caller vouches for the arguments.
    unsafe {
        core::arch::asm!("syscall", inlateout("rax") number as isize => result, in("rdi") a, in("rsi") b, in("rdx") c,
            in("r10") d, in("r8") e, in("r9") f, lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    result
}

/// A system call; the kernel's own answer.
///
/// # Safety
/// The arguments are as the call wants them.
#[cfg(target_arch = "aarch64")]
pub(crate) unsafe fn call(number: c_long, arguments: [usize; 6]) -> isize {
    let [a, b, c, d, e, f] = arguments;
    let result;
    // SAFETY: the kernel's convention; the caller vouches for the arguments.
    unsafe {
        core::arch::asm!("svc 0", in("x8") number, inlateout("x0") a => result, in("x1") b, in("x2") c, in("x3") d,
            in("x4") e, in("x5") f, options(nostack));
    }
    result
}

/// The answer of a system call, or its error.
pub(crate) fn checked(result: isize) -> Result<usize> {
    usize::try_from(result).map_err(|_| c_int::try_from(-result).unwrap_or(libc::EINVAL))
}

/// As the C library returns it: -1 and errno.
pub(crate) fn returned(result: Result<usize>) -> isize {
    match result {
        Ok(n) => n.cast_signed(),
        Err(errno) => {
            // SAFETY: the thread's own errno.
            unsafe { *libc::__errno_location() = errno };
            -1
        }
    }
}

/// The same for functions that return an int.
pub(crate) fn status(result: Result<usize>) -> c_int {
    c_int::try_from(returned(result)).unwrap_or(-1)
}

/// Which of our sockets a descriptor is, if it is one.
pub(crate) fn ours(fd: c_int) -> Option<Name> {
    // SAFETY: all zeros is a sockaddr_un.
    let mut address: sockaddr_un = unsafe { zeroed() };
    let mut length = size_of::<sockaddr_un>();
    let arguments = [
        fd as usize,
        (&raw mut address).addr(),
        (&raw mut length).addr(),
        0,
        0,
        0,
    ];
    // SAFETY: both point to variables of ours of that size; the length's lower half is the kernel's.
    let answered = checked(unsafe { call(libc::SYS_getpeername, arguments) });
    if answered.is_err() || c_int::from(address.sun_family) != libc::AF_UNIX {
        return None;
    }
    let path = address.sun_path.map(i8_to_byte);
    let end = length.checked_sub(size_of::<libc::sa_family_t>())?;
    match path.get(..end)? {
        [0, text @ ..] => Name::parse(text),
        _ => None,
    }
}

#[allow(clippy::unnecessary_cast, reason = "c_char is unsigned on aarch64")]
fn i8_to_byte(c: core::ffi::c_char) -> u8 {
    c as u8
}

/// What an option may be: any bytes are one.
pub(crate) trait Value: Copy {}
impl Value for c_int {}
impl Value for libc::timeval {}

/// An option of SOL_SOCKET of the descriptor itself, into a variable of the option's type; untouched if it has none.
pub(crate) fn get<T: Value>(fd: c_int, option: c_int, value: &mut T) {
    let mut length = size_of::<T>();
    let at = core::ptr::from_mut(value).addr();
    let (level, option) = (libc::SOL_SOCKET as usize, option as usize);
    let arguments = [fd as usize, level, option, at, (&raw mut length).addr(), 0];
    // SAFETY: both point to variables of that size; the length's lower half is the kernel's.
    let _ = unsafe { call(libc::SYS_getsockopt, arguments) };
}

/// Sets an option of SOL_SOCKET of the descriptor itself.
pub(crate) fn set<T: Value>(fd: c_int, option: c_int, value: &T) {
    let at = core::ptr::from_ref(value).addr();
    let (level, option) = (libc::SOL_SOCKET as usize, option as usize);
    let arguments = [fd as usize, level, option, at, size_of::<T>(), 0];
    // SAFETY: the value has that length.
    let _ = unsafe { call(libc::SYS_setsockopt, arguments) };
}

/// A message header for these vectors and nothing else.
pub(crate) fn header(vectors: &mut [iovec]) -> msghdr {
    // SAFETY: all zeros is a msghdr.
    let mut header: msghdr = unsafe { zeroed() };
    header.msg_iov = vectors.as_mut_ptr();
    header.msg_iovlen = vectors.len() as _;
    header
}

/// sendmsg(2).
///
/// # Safety
/// What the header points to is there.
pub(crate) unsafe fn sendmsg(fd: c_int, header: &msghdr, flags: c_int) -> Result<usize> {
    let at = core::ptr::from_ref(header).addr();
    // SAFETY: the caller vouches for it.
    checked(unsafe {
        call(
            libc::SYS_sendmsg,
            [fd as usize, at, flags as usize, 0, 0, 0],
        )
    })
}

/// recvmsg(2).
///
/// # Safety
/// What the header points to is there, and may be written.
pub(crate) unsafe fn recvmsg(fd: c_int, header: &mut msghdr, flags: c_int) -> Result<usize> {
    let at = core::ptr::from_mut(header).addr();
    // SAFETY: the caller vouches for it.
    checked(unsafe {
        call(
            libc::SYS_recvmsg,
            [fd as usize, at, flags as usize, 0, 0, 0],
        )
    })
}

/// close(2), of a descriptor of ours.
pub(crate) fn close(fd: c_int) {
    // SAFETY: no memory is involved.
    let _ = unsafe { call(libc::SYS_close, [fd as usize, 0, 0, 0, 0, 0]) };
}

/// A vector over bytes that are read or written while it lives.
pub(crate) fn vector(bytes: &[u8]) -> iovec {
    iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    }
}
