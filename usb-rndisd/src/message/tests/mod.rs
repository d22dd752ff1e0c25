//! Stories of the codec.

mod bench;
mod control;
mod damage;
mod packer;
mod stream;
