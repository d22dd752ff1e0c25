//! The whole path, end to end: what happened once, and must not happen again.

mod devices;
mod life;
mod netcfg;
mod relibc;
mod slirp;
mod traffic;
