//! A library to preload (ld.so(8), LD_PRELOAD): the internet sockets of an unmodified Linux program are smolnetd's.
//!
//! # How
//! The program's descriptor is a real one: one end of a Unix socket pair, whose other end the lab pumps into and out of the
//! scheme's file (`lab::door`). So poll, select and epoll work, edges included, as do fork, exec, dup, sendfile, splice,
//! stdio, passing it to another program, SO_RCVTIMEO and half-closing, without a line here; a full pair is backpressure
//! both ways. What this library answers itself is what a Unix socket would answer otherwise: addresses, connecting,
//! listening, options, errors, datagrams' addresses, and names. For these it asks the lab (`socket_door`), which makes the
//! calls that Redox's C library makes.
//!
//! It keeps no table: the descriptor says which socket it is (`getpeername` gives the name of the lab's end). Threads,
//! forked children and programs that are started by the program need nothing of their own.
//!
//! A connect that may not wait must leave the descriptor unwritable until it is decided: it is filled up with bytes that
//! the lab takes out again when the connection stands, which is the edge that the program waits for.
//!
//! # What is different from Linux
//! - The program's sockets of other families, and everything that is no socket, are Linux's.
//! - ICMP is echo alone (SOCK_DGRAM, as `ping` opens it), with one host at a time, and without the TTL of what came. There are
//!   no raw sockets: EPROTONOSUPPORT.
//! - A program that gains privileges when it is started by an ordinary user is not given the library by the loader: Debian's
//!   `ping` runs so as root only.
//! - A send of a datagram that the stack refuses is an error of the next call, not of this one.
//! - A read of a TCP socket that never was connected waits instead of ENOTCONN. No urgent data, no control messages, no
//!   error queue; FIONREAD on UDP counts the head of the datagram too.
//! - A failed connect that did not wait leaves a socket that can only be closed.
//! - Options that the stack does not know are accepted and forgotten, as Redox's C library does with them.
//! - Addresses have no names. Services are Linux's.
//! - A program that calls the kernel without the C library is not seen (except sendmmsg and recvmmsg by `syscall`).
#![allow(unsafe_code)]

mod address;
mod control;
mod data;
mod door;
mod hosts;
mod messages;
mod names;
mod options;
mod stage;
mod sys;
