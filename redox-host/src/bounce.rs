//! The memory of a call's payload, as the provider of a scheme sees it.
//!
//! The kernel maps the caller's pages into the provider, or copies of them for pages that the payload fills only in part. Here every payload is a copy
//! that belongs to the kernel, at the same offset in a page as the caller's buffer, so that alignment is what it would be. It lives until the
//! provider has answered, or, when it never will, until the provider's threads have ended (`Context::quarantine`): a provider cannot touch freed memory.
//! Lending whole pages without a copy would be a second kind of `Bounce`: a mapping of the caller's pages, made and unmade here.
#![allow(unsafe_code)]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::cell::RefCell;
use std::ptr::NonNull;
use std::sync::Arc;

use crate::ram::PAGE;

/// Where an empty payload lies (kernel context/memory.rs): no address at all, but neither null nor badly aligned.
const DANGLING: usize = 1 << (usize::BITS - 2);

/// The least that is allocated: a page of payload at any offset.
const SMALL: usize = 2 * PAGE;

/// A thread keeps its last buffer for the next call, unless it is larger than this.
const LARGEST_KEPT: usize = 1 << 20;

/// One payload.
#[derive(Debug)]
pub(crate) struct Bounce {
    /// Page aligned memory of `capacity` bytes.
    memory: NonNull<u8>,
    capacity: usize,
}

// SAFETY: `memory` is owned by this value and only reached through raw pointers; the protocol of a call says who may use it when.
unsafe impl Send for Bounce {}
// SAFETY: as above: the caller copies in before the provider hears of it and out after the provider has answered.
unsafe impl Sync for Bounce {}

thread_local! {
    static SPARE: RefCell<Option<Arc<Bounce>>> = const { RefCell::new(None) };
}

impl Bounce {
    fn new(capacity: usize) -> Self {
        let layout = Self::layout(capacity);
        // SAFETY: `layout` has a size that is not zero.
        let memory = unsafe { alloc_zeroed(layout) };
        let Some(memory) = NonNull::new(memory) else {
            handle_alloc_error(layout)
        };
        Self { memory, capacity }
    }

    fn layout(capacity: usize) -> Layout {
        // A capacity beyond isize::MAX cannot come from a slice; the smallest layout then fails the bounds checks instead of lying.
        Layout::from_size_align(capacity, PAGE).unwrap_or(Layout::new::<[u8; SMALL]>())
    }
}

impl Drop for Bounce {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with the same layout.
        unsafe { dealloc(self.memory.as_ptr(), Self::layout(self.capacity)) }
    }
}

/// What the kernel does with the caller's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// The provider reads them.
    In,
    /// The provider writes them; it sees zeroes before.
    Out,
    /// Both.
    InOut,
}

/// A payload on its way: keeps the memory, knows where in it the bytes are.
#[derive(Debug)]
pub(crate) struct Payload {
    bounce: Option<Arc<Bounce>>,
    offset: usize,
    len: usize,
}

impl Payload {
    /// No payload.
    pub(crate) fn none() -> Self {
        Self {
            bounce: None,
            offset: 0,
            len: 0,
        }
    }

    /// Captures the caller's buffer.
    pub(crate) fn capture(bytes: &[u8], direction: Direction) -> Self {
        Self::with_offset(bytes, bytes.as_ptr().addr() % PAGE, direction)
    }

    /// Captures text, which the kernel puts at the start of a page.
    pub(crate) fn text(text: &str) -> Self {
        Self::with_offset(text.as_bytes(), 0, Direction::In)
    }

    fn with_offset(bytes: &[u8], offset: usize, direction: Direction) -> Self {
        if bytes.is_empty() {
            return Self::none();
        }
        let len = bytes.len();
        let needed = offset.saturating_add(len).next_multiple_of(PAGE).max(SMALL);
        let (bounce, fresh) = take_spare(needed);
        // SAFETY: `offset + len <= needed <= capacity`; nobody else has this memory: it is fresh, or `take_spare` found it unshared.
        unsafe {
            let start = bounce.memory.as_ptr().add(offset);
            if direction != Direction::Out {
                start.copy_from_nonoverlapping(bytes.as_ptr(), len);
            } else if !fresh {
                start.write_bytes(0, len);
            }
        }
        Self {
            bounce: Some(bounce),
            offset,
            len,
        }
    }

    /// Address in the provider.
    pub(crate) fn address(&self) -> u64 {
        match &self.bounce {
            Some(bounce) => (bounce.memory.as_ptr().expose_provenance() + self.offset) as u64,
            None => DANGLING as u64,
        }
    }

    /// Bytes.
    pub(crate) fn len(&self) -> u64 {
        self.len as u64
    }

    /// A share of the memory for whoever must keep it alive.
    pub(crate) fn share(&self) -> Option<Arc<Bounce>> {
        self.bounce.clone()
    }

    /// Copies everything back, as the kernel does: for the whole requested length, whatever the provider said it wrote.
    pub(crate) fn copy_out(&self, bytes: &mut [u8]) {
        if let Some(bounce) = &self.bounce {
            let len = self.len.min(bytes.len());
            // SAFETY: within the memory; the provider has answered, so it uses the memory no more.
            unsafe {
                bytes
                    .as_mut_ptr()
                    .copy_from_nonoverlapping(bounce.memory.as_ptr().add(self.offset), len)
            }
        }
    }

    /// The memory may be used for the next call of this thread.
    pub(crate) fn recycle(self) {
        if let Some(bounce) = self.bounce
            && bounce.capacity <= LARGEST_KEPT
        {
            SPARE.with_borrow_mut(|spare| *spare = Some(bounce));
        }
    }
}

/// Memory of at least `needed` bytes, and whether it is all zeroes.
fn take_spare(needed: usize) -> (Arc<Bounce>, bool) {
    if let Some(mut spare) = SPARE.take()
        && spare.capacity >= needed
        && Arc::get_mut(&mut spare).is_some()
    {
        return (spare, false);
    }
    (Arc::new(Bounce::new(needed)), true)
}
