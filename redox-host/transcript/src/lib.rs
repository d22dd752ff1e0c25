//! Exercises the scheme protocol.
