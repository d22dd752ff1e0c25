//! The lab's own servers, so that nothing needs a network of the machine: web (with and without TLS), names, echo.
//!
//! Each takes a socket that is bound already, so that it serves the network in which the socket was made (see
//! [`Namespace::enter`](crate::network::Namespace::enter)), and ends with all its threads when it is dropped.

mod certificates;
mod dns;
mod echo;
mod http;
mod pattern;
mod tcp;

pub use certificates::{AUTHORITY, Certificate};
pub use dns::{DnsAnswer, DnsServer};
pub use echo::EchoServer;
pub use http::{HttpServer, PAGE};
pub use pattern::{pattern, sha256_of_pattern};

#[cfg(test)]
mod tests;
