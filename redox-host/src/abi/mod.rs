//! The C functions that `libredox` and `redox_event` declare. Each works on the process of the calling thread; a thread that belongs to none
//! gets ESRCH. Results are as in Redox's ABI: a number, or the negative of one of Redox's errors.
#![allow(unsafe_code)]

mod calls;
mod files;
mod processes;

use std::sync::Arc;

use syscall::error::{ESRCH, Error, Result};

use crate::context::{Context, current};

/// A call of the current process.
fn with(work: impl FnOnce(&Arc<Context>) -> Result<usize>) -> usize {
    let result = match current() {
        Some(cx) => cx.call(work),
        None => Err(Error::new(ESRCH)),
    };
    Error::mux(result)
}

/// What the caller lends for reading.
///
/// # Safety
/// `base` points to `len` initialised bytes, or `len` is 0.
unsafe fn bytes<'a>(base: *const u8, len: usize) -> &'a [u8] {
    if len == 0 || base.is_null() {
        return &[];
    }
    // SAFETY: promised by the caller.
    unsafe { std::slice::from_raw_parts(base, len) }
}

/// What the caller lends for writing.
///
/// # Safety
/// `base` points to `len` bytes that nobody else uses during the call, or `len` is 0.
unsafe fn bytes_mut<'a>(base: *mut u8, len: usize) -> &'a mut [u8] {
    if len == 0 || base.is_null() {
        return &mut [];
    }
    // SAFETY: promised by the caller. The bytes may be uninitialised: calls only write them, or copy them to where they are only bytes.
    unsafe { std::slice::from_raw_parts_mut(base, len) }
}
