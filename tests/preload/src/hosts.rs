//! gethostbyname(3) and its kin: the older questions, with the answers of getaddrinfo.

use core::cell::RefCell;
use core::ffi::{CStr, c_char, c_int, c_void};
use core::net::IpAddr;
use core::ptr::null_mut;

use libc::{hostent, size_t, socklen_t};

use crate::names::{self, Hints};

/// netdb.h's values of h_errno.
const HOST_NOT_FOUND: c_int = 1;
const TRY_AGAIN: c_int = 2;

/// Words of the memory in which gethostbyname answers: room for a name and more addresses than anybody has.
const ROOM: usize = 256;

thread_local! {
    static ANSWER: RefCell<(hostent, [usize; ROOM])> = const {
        RefCell::new((
            hostent {
                h_name: null_mut(),
                h_aliases: null_mut(),
                h_addrtype: 0,
                h_length: 0,
                h_addr_list: null_mut(),
            },
            [0; ROOM],
        ))
    };
}

unsafe extern "C" {
    fn __h_errno_location() -> *mut c_int;
}

/// Where an answer is put together: pointers first, bytes behind them, all within the caller's memory.
struct Arena<'m> {
    memory: &'m mut [u8],
    used: usize,
}

impl Arena<'_> {
    /// Room for so many bytes at such an address; `None` when there is none.
    fn take(&mut self, length: usize, alignment: usize) -> Option<*mut u8> {
        let start = self.memory.as_mut_ptr().wrapping_add(self.used);
        let padding = start.align_offset(alignment);
        let from = self.used.checked_add(padding)?;
        let to = from.checked_add(length)?;
        let taken = self.memory.get_mut(from..to)?;
        self.used = to;
        Some(taken.as_mut_ptr())
    }

    fn put(&mut self, bytes: &[u8]) -> Option<*mut c_char> {
        let at = self.take(bytes.len(), 1)?;
        // SAFETY: `take` gave that many bytes of the memory.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), at, bytes.len()) };
        Some(at.cast())
    }

    /// A list of pointers with a null at its end.
    fn list(&mut self, pointers: &[*mut c_char]) -> Option<*mut *mut c_char> {
        let length = size_of_val(pointers).checked_add(size_of::<*mut c_char>())?;
        let at = self.take(length, align_of::<*mut c_char>())?;
        let at = at.cast::<*mut c_char>();
        for (index, pointer) in pointers.iter().chain([&null_mut()]).enumerate() {
            // SAFETY: `take` gave room for these and one more, aligned for them.
            unsafe { at.add(index).write(*pointer) };
        }
        Some(at)
    }
}

/// The answer in that memory; `None` if it does not fit.
fn put(name: &CStr, family: c_int, addresses: &[IpAddr], memory: &mut [u8]) -> Option<hostent> {
    let mut arena = Arena { memory, used: 0 };
    let mut pointers = Vec::new();
    for address in addresses {
        pointers.push(match address {
            IpAddr::V4(address) => arena.put(&address.octets())?,
            IpAddr::V6(address) => arena.put(&address.octets())?,
        });
    }
    Some(hostent {
        h_name: arena.put(name.to_bytes_with_nul())?,
        h_aliases: arena.list(&[])?,
        h_addrtype: family,
        h_length: if family == libc::AF_INET6 { 16 } else { 4 },
        h_addr_list: arena.list(&pointers)?,
    })
}

/// The addresses of that family, or h_errno.
fn look_up(name: &CStr, family: c_int) -> Result<Vec<IpAddr>, c_int> {
    let found = names::addresses(Some(&name.to_string_lossy()), &Hints::of(family));
    found.map_err(|error| match error {
        libc::EAI_AGAIN => TRY_AGAIN,
        _ => HOST_NOT_FOUND,
    })
}

/// gethostbyname2_r(3)
#[unsafe(no_mangle)]
unsafe extern "C" fn gethostbyname2_r(
    name: *const c_char,
    family: c_int,
    entry: *mut hostent,
    buffer: *mut c_char,
    room: size_t,
    result: *mut *mut hostent,
    error: *mut c_int,
) -> c_int {
    // SAFETY: the caller's string, variables and memory of that size.
    unsafe {
        *result = null_mut();
        let name = CStr::from_ptr(name);
        let memory = core::slice::from_raw_parts_mut(buffer.cast::<u8>(), room);
        match look_up(name, family) {
            Err(number) => *error = number,
            Ok(addresses) => match put(name, family, &addresses, memory) {
                None => return libc::ERANGE,
                Some(answer) => {
                    *entry = answer;
                    *result = entry;
                }
            },
        }
    }
    0
}

/// gethostbyname_r(3)
#[unsafe(no_mangle)]
unsafe extern "C" fn gethostbyname_r(
    name: *const c_char,
    entry: *mut hostent,
    buffer: *mut c_char,
    room: size_t,
    result: *mut *mut hostent,
    error: *mut c_int,
) -> c_int {
    // SAFETY: the caller's arguments, as they are.
    unsafe { gethostbyname2_r(name, libc::AF_INET, entry, buffer, room, result, error) }
}

/// gethostbyname2(3)
#[unsafe(no_mangle)]
unsafe extern "C" fn gethostbyname2(name: *const c_char, family: c_int) -> *mut hostent {
    let answer = ANSWER.with(RefCell::as_ptr);
    let mut result = null_mut();
    // SAFETY: the memory is this thread's own until it asks again; the caller's string.
    unsafe {
        let (entry, memory) = (&raw mut (*answer).0, &raw mut (*answer).1);
        let (memory, room) = (memory.cast(), size_of::<[usize; ROOM]>());
        let error = __h_errno_location();
        gethostbyname2_r(name, family, entry, memory, room, &raw mut result, error);
    }
    result
}

/// gethostbyname(3)
#[unsafe(no_mangle)]
unsafe extern "C" fn gethostbyname(name: *const c_char) -> *mut hostent {
    // SAFETY: the caller's string.
    unsafe { gethostbyname2(name, libc::AF_INET) }
}

/// gethostbyaddr_r(3): there are none.
#[unsafe(no_mangle)]
unsafe extern "C" fn gethostbyaddr_r(
    _address: *const c_void,
    _length: socklen_t,
    _family: c_int,
    _entry: *mut hostent,
    _buffer: *mut c_char,
    _room: size_t,
    result: *mut *mut hostent,
    error: *mut c_int,
) -> c_int {
    // SAFETY: the caller's variables.
    unsafe {
        *result = null_mut();
        *error = HOST_NOT_FOUND;
    }
    0
}

/// gethostbyaddr(3): there are none.
#[unsafe(no_mangle)]
extern "C" fn gethostbyaddr(
    _address: *const c_void,
    _length: socklen_t,
    _family: c_int,
) -> *mut hostent {
    null_mut()
}
