//! Which address to speak from, and in which order to try those of a name: RFC 6724. Plain data in, plain data out: it
//! knows no operating system, no table and no clock, so that the stack and the commands choose by the same rules.
//!
//! - [`source`] is section 5: of our addresses, the one to speak to a destination from.
//! - [`order`] is section 6: of a name's addresses, the one to try first.
//! - [`policy`] is section 2.1's table, and [`scope`] section 3's scopes.
//!
//! IPv4 addresses go by the same rules as if they were mapped into IPv6 (section 3.2).

mod destination;
pub mod policy;
pub mod scope;
mod source;

pub use destination::{Destination, Source, order, rank};
pub use source::{Candidate, State, source};
