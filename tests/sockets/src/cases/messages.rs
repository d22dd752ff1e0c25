//! sendmsg(2) and recvmsg(2) of datagrams.

use libc::{MSG_PEEK, MSG_TRUNC};

use crate::case::{Outcome, World, cases, equal};

cases! {
    Both: a_message_is_gathered_and_scattered_and_comes_with_its_sender
        a_message_that_is_peeked_at_stays
        a_connected_socket_sends_messages_without_an_address
        a_message_that_is_too_long_for_its_parts_says_so;
}

fn a_message_is_gathered_and_scattered_and_comes_with_its_sender(world: &World) -> Outcome {
    let ((one, one_end), (two, two_end)) = (world.datagram()?, world.datagram()?);
    let sent = one.send_message(&[b"one", b" ", b"two"], Some(two_end))?;
    equal("sendmsg", sent, 7)?;
    let (mut a, mut b) = ([0; 2], [0; 100]);
    let message = two.receive_message(&mut [&mut a, &mut b], 0)?;
    let came = (message.length, message.from, message.flags);
    equal("recvmsg", came, (7, Some(one_end), 0))?;
    equal("the parts", (&a, &b[..5]), (b"on", &b"e two"[..]))
}

fn a_message_that_is_peeked_at_stays(world: &World) -> Outcome {
    let (one, two) = world.datagram_pair()?;
    one.send(b"peek", 0)?;
    let mut room = [0; 2];
    let message = two.receive_message(&mut [&mut room], MSG_PEEK)?;
    equal("recvmsg", (message.length, message.flags), (2, MSG_TRUNC))?;
    two.hears_one(b"peek")
}

fn a_connected_socket_sends_messages_without_an_address(world: &World) -> Outcome {
    let (one, two) = world.datagram_pair()?;
    one.send_message(&[b"to the", b" peer"], None)?;
    two.hears_one(b"to the peer")
}

fn a_message_that_is_too_long_for_its_parts_says_so(world: &World) -> Outcome {
    let (one, two) = world.datagram_pair()?;
    one.send(b"0123456789", 0)?;
    let (mut a, mut b) = ([0; 2], [0; 3]);
    let message = two.receive_message(&mut [&mut a, &mut b], MSG_TRUNC)?;
    equal("recvmsg", (message.length, message.flags), (10, MSG_TRUNC))?;
    equal("the parts", (a, b), (*b"01", *b"234"))
}
