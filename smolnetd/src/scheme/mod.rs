//! The rim: the schemes that clients see, over the stack that knows nothing of them.

mod connect;
mod errno;
mod handle;
mod message;
pub(crate) mod netcfg;
mod option;
mod path;
mod sockets;
mod transfer;
mod view;

pub(crate) use sockets::{Kind, SocketScheme, View};
