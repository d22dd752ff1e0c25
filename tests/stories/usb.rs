//! usb-rndisd over a scripted adapter: everything that QEMU's cannot do.

mod bench;
mod channel;
mod idle;
mod plugging;
mod qemu;
mod receive;
mod transmit;
