//! Stories of TCP.
