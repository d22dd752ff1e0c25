//! The whole path, end to end: what happened once, and must not happen again.

mod life;
mod netcfg;
mod slirp;
mod traffic;
