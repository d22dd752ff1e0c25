//! The schemes that are built in.

pub(crate) mod file;
pub(crate) mod irq;
pub(crate) mod log;
pub(crate) mod memory;
pub(crate) mod pipe;
pub(crate) mod streams;
pub(crate) mod time;
