//! The Redox kernel interface on Linux.
//!
//! API first; the contract of the kernel and the list of exceptions follow with the implementation.

mod host;
mod irq;
mod ram;

pub use host::{Attached, ContextHandle, Entered, ExitStatus, Host, HostConfig, Process, ProcessSpec, current, env};
pub use irq::IrqController;
pub use ram::SharedRam;
