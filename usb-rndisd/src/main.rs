//! The driver as a process of Redox, started by xhcid.

fn main() {}
