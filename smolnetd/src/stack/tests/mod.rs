//! The whole stack, tested as stories: two hosts on a cable (`wire`), or one host and whatever the wire may bring.

mod dhcp;
mod dual;
mod flood;
mod fragments;
mod frames;
mod fuzz;
mod groups;
mod hostile;
mod icmp;
mod ipv6;
mod network;
mod path_mtu;
mod ports;
mod raw;
mod routers;
mod service;
mod single_table;
mod streams;
mod tcp;
mod udp;
mod wire;
