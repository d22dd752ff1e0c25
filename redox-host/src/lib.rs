//! The Redox kernel interface on Linux.

mod abi;
mod bounce;
mod call;
pub mod calls;
mod context;
mod event;
mod files;
mod host;
mod irq;
mod machine;
mod memory;
mod namespace;
mod numbers;
mod ram;
mod scheme;
mod scheme_socket;
mod schemes;
mod sys;
mod user;
mod wait;

pub use host::{Attached, ContextHandle, Entered, ExitStatus, Host, HostConfig, Process, ProcessSpec, Usage, current, env};
pub use irq::IrqController;
pub use ram::SharedRam;
