//! The files of a port and what is open of them.

use std::fmt;

use netscheme::readiness::Readiness;
use syscall::error::{ENOENT, Error, Result};

use crate::xhcid::bus::{Port, Setup};

/// A path of the scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Top,
    Port(Port),
    Descriptors(Port),
    State(Port),
    Request(Port),
    Configure(Port),
    Attach(Port),
    Detach(Port),
    Endpoints(Port),
    Endpoint(Port, u8),
    Control(Port, u8),
    Data(Port, u8),
}

impl Node {
    /// What a path without its leading slashes names.
    pub(super) fn parse(path: &str) -> Result<Self> {
        let none = Error::new(ENOENT);
        let Some(rest) = path.strip_prefix("port") else {
            return if path.is_empty() {
                Ok(Self::Top)
            } else {
                Err(none)
            };
        };
        let (port, rest) = rest.split_once('/').unwrap_or((rest, ""));
        // A port behind a hub, "1.2", is none of the lab's.
        let port = Port(port.parse().map_err(|_| none)?);
        let number = |text: &str| text.parse::<u8>().map_err(|_| none);
        let words: Vec<&str> = rest.split('/').collect();
        Ok(match *words.as_slice() {
            [""] => Self::Port(port),
            ["descriptors"] => Self::Descriptors(port),
            ["state"] => Self::State(port),
            ["request"] => Self::Request(port),
            ["configure"] => Self::Configure(port),
            ["attach"] => Self::Attach(port),
            ["detach"] => Self::Detach(port),
            ["endpoints"] => Self::Endpoints(port),
            ["endpoints", n] => Self::Endpoint(port, number(n)?),
            ["endpoints", n, "ctl"] => Self::Control(port, number(n)?),
            ["endpoints", n, "data"] => Self::Data(port, number(n)?),
            _ => return Err(none),
        })
    }

    /// The port that it is about.
    pub(super) fn port(self) -> Option<Port> {
        match self {
            Self::Top => None,
            Self::Port(port)
            | Self::Descriptors(port)
            | Self::State(port)
            | Self::Request(port)
            | Self::Configure(port)
            | Self::Attach(port)
            | Self::Detach(port)
            | Self::Endpoints(port)
            | Self::Endpoint(port, _)
            | Self::Control(port, _)
            | Self::Data(port, _) => Some(port),
        }
    }

    pub(super) fn is_directory(self) -> bool {
        matches!(
            self,
            Self::Top | Self::Port(_) | Self::Endpoints(_) | Self::Endpoint(..)
        )
    }

    /// Whether it is only ever written.
    pub(super) fn is_trigger(self) -> bool {
        matches!(self, Self::Configure(_) | Self::Attach(_) | Self::Detach(_))
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Top => Ok(()),
            Self::Port(port) => write!(f, "port{port}"),
            Self::Descriptors(port) => write!(f, "port{port}/descriptors"),
            Self::State(port) => write!(f, "port{port}/state"),
            Self::Request(port) => write!(f, "port{port}/request"),
            Self::Configure(port) => write!(f, "port{port}/configure"),
            Self::Attach(port) => write!(f, "port{port}/attach"),
            Self::Detach(port) => write!(f, "port{port}/detach"),
            Self::Endpoints(port) => write!(f, "port{port}/endpoints"),
            Self::Endpoint(port, n) => write!(f, "port{port}/endpoints/{n}"),
            Self::Control(port, n) => write!(f, "port{port}/endpoints/{n}/ctl"),
            Self::Data(port, n) => write!(f, "port{port}/endpoints/{n}/data"),
        }
    }
}

/// Where a file of `request` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestStage {
    /// A request is to be written.
    Idle,
    /// Its data is to be written.
    ToDevice(Setup),
    /// Its data is to be read.
    ToHost(Setup),
    /// A transfer failed. Redox's xhcid ends at the next use.
    Spent,
}

/// Something open.
#[derive(Debug)]
pub(super) struct Handle {
    /// The scheme's root, from which paths are opened and nothing is read.
    pub(super) is_root: bool,
    pub(super) node: Node,
    /// What a directory or `descriptors` had in it when it was opened.
    pub(super) content: Vec<u8>,
    pub(super) request: RequestStage,
    pub(super) readiness: Readiness,
    /// `state`, as it was last read here.
    pub(super) state_read: Option<&'static str>,
}

impl Handle {
    pub(super) fn new(node: Node, content: Vec<u8>) -> Self {
        Self {
            is_root: false,
            node,
            content,
            request: RequestStage::Idle,
            readiness: Readiness::default(),
            state_read: None,
        }
    }

    pub(super) fn root() -> Self {
        Self {
            is_root: true,
            ..Self::new(Node::Top, Vec::new())
        }
    }
}
