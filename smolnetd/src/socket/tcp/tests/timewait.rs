//! Closing in every order (RFC 9293 3.6, figures 12 and 13), and what comes after.

use crate::flow::State;

use super::*;
use crate::socket::How;

/// A step of either side.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The program says that it has nothing more to say.
    Shuts,
    /// A segment of the peer: flags, sequence number, acknowledgement, data.
    Says(&'static str, u32, u32, &'static [u8]),
    /// What has left since.
    Sent(&'static [&'static str]),
    Is(State),
}

use Step::{Is, Says, Sent, Shuts};

fn plays(steps: &[Step]) -> (Host, TcpId, Peer) {
    let mut host = Host::new();
    let (id, mut peer) = connected(&mut host);
    for (number, &step) in steps.iter().enumerate() {
        let place = format!("step {number}: {step:?}");
        match step {
            Shuts => {
                host.tcp
                    .shutdown(host.now, id, How::Write)
                    .expect("shutdown");
                host.poll();
            }
            Says(flags, seq, ack, data) => {
                host.hears(&peer.says(flags, seq, ack, data));
            }
            Sent(lines) => assert_eq!(peer.hears(&mut host), lines, "{place}"),
            Is(state) => assert_eq!(host.tcp.state(id), Some(state), "{place}"),
        }
    }
    (host, id, peer)
}

const FIN: Step = Sent(&["F. 1 ack 1 win 65535"]);
const ACK: Step = Sent(&[". 2 ack 2 win 65534"]);

/// Figure 12 from the left, with the peer's FIN on its own.
#[test]
fn rfc9293_3_6_we_close_first() {
    plays(&[
        Shuts,
        FIN,
        Is(State::FinWait1),
        Says(".", 1, 2, b""),
        Is(State::FinWait2),
        Says("F.", 1, 2, b""),
        Is(State::TimeWait),
        ACK,
    ]);
}

#[test]
fn rfc9293_3_6_we_close_first_and_the_peer_answers_with_both_at_once() {
    plays(&[Shuts, FIN, Says("F.", 1, 2, b""), Is(State::TimeWait), ACK]);
}

#[test]
fn rfc9293_3_6_we_close_first_and_the_peer_goes_on_for_a_while() {
    let (mut host, id, _) = plays(&[
        Shuts,
        FIN,
        Says(".", 1, 2, b"still "),
        Is(State::FinWait2),
        Says(".", 7, 2, b"here"),
        Says("F.", 11, 2, b" bye"),
        Is(State::TimeWait),
    ]);
    assert_eq!(host.read(id, 99), Ok(b"still here bye".to_vec()));
    assert_eq!(host.read(id, 99), Ok(vec![]));
}

/// Figure 13.
#[test]
fn rfc9293_3_6_both_close_at_once() {
    plays(&[
        Shuts,
        FIN,
        Says("F.", 1, 1, b""),
        Is(State::Closing),
        ACK,
        Says(".", 2, 2, b""),
        Is(State::TimeWait),
        Sent(&[]),
    ]);
}

/// Figure 13, and our FIN is lost: the timer sends it again.
#[test]
fn rfc9293_3_6_both_close_at_once_and_a_fin_is_lost() {
    let (mut host, id, mut peer) = plays(&[Shuts, FIN, Says("F.", 1, 1, b""), ACK]);
    host.waits(millis(300));
    assert_eq!(peer.hears(&mut host), ["F. 1 ack 2 win 65534"]);
    host.hears(&peer.says("F.", 1, 1, b""));
    assert_eq!(peer.hears(&mut host), [". 2 ack 2 win 65534"], "again");
    assert_eq!(host.tcp.state(id), Some(State::Closing));
    host.hears(&peer.says(".", 2, 2, b""));
    assert_eq!(host.tcp.state(id), Some(State::TimeWait));
}

/// Figure 12 from the right.
#[test]
fn rfc9293_3_6_the_peer_closes_first() {
    let (mut host, id, _) = plays(&[
        Says("F.", 1, 1, b""),
        Is(State::CloseWait),
        Sent(&[". 1 ack 2 win 65534"]),
        Shuts,
        Sent(&["F. 1 ack 2 win 65534"]),
        Is(State::LastAck),
        Says(".", 2, 1, b""),
        Is(State::LastAck),
        Says(".", 2, 2, b""),
        Is(State::Closed),
        Sent(&[]),
    ]);
    assert_eq!(host.tcp.flow_count(), 0, "no TIME-WAIT on this side");
    assert_eq!(host.read(id, 9), Ok(vec![]), "an end, not an error");
}

#[test]
fn rfc9293_3_6_the_peer_closes_first_and_hears_more() {
    let (mut host, id, mut peer) = plays(&[Says("F.", 1, 1, b"over"), Is(State::CloseWait)]);
    peer.hears(&mut host);
    host.send(id, b"not for me").expect("send");
    assert_eq!(peer.hears(&mut host), ["P. 1(10) ack 6 win 65530"]);
    assert_eq!(host.read(id, 9), Ok(b"over".to_vec()));
}

/// What was acknowledged may be acknowledged again, or less of it: that changes nothing, and the FIN that comes along counts.
#[test]
fn rfc9293_3_10_7_4_old_acknowledgements_change_nothing() {
    plays(&[
        Shuts,
        FIN,
        Says(".", 1, 2, b""),
        Says(".", 1, 2, b""),
        Says(".", 1, 1, b""),
        Is(State::FinWait2),
        Says("F.", 1, 1, b""),
        Is(State::TimeWait),
        ACK,
    ]);
}

/// RFC 9293 3.10.7.4: in TIME-WAIT there is nothing to take, and whoever still sends is told once in a while.
#[test]
fn rfc9293_3_6_1_time_wait_takes_nothing() {
    let (mut host, id, mut peer) = plays(&[Shuts, FIN, Says("F.", 1, 2, b""), ACK]);
    host.waits(seconds(2));
    for _ in 0..100 {
        host.hears(&peer.says(".", 2, 2, b"too late"));
    }
    let answers = peer.hears(&mut host);
    assert!(answers.len() <= 2, "{answers:?}");
    assert!(answers.iter().all(|line| line.starts_with(". 2 ack 2")));
    assert_eq!(host.read(id, 99), Ok(vec![]));
    host.waits(seconds(60));
    assert_eq!(host.tcp.flow_count(), 0);
}

/// RFC 1122 4.2.2.13 lets a SYN end TIME-WAIT because a connection comes in its place. If none does, it stays.
#[test]
fn rfc9293_3_6_1_a_syn_that_finds_no_room_ends_nothing() {
    let mut host = Host::new();
    let (listener, id, mut peer) = accepted(&mut host, 80);
    host.close(id);
    host.hears(&peer.says("F.", 1, 2, b""));
    peer.hears(&mut host);
    host.waits(seconds(1));
    host.tcp.listen(listener, 1).expect("a smaller backlog");
    let mut other = Peer::new(at(PEER, 7), at(HOST, 80));
    host.hears(&other.says("S", 0, 0, b""));
    other.hears(&mut host);
    host.hears(&other.says(".", 1, 1, b""));

    host.hears(&peer.says("S", 5000, 0, b""));
    assert_eq!(peer.hears(&mut host), [""; 0]);
    assert_eq!(host.tcp.counters().accept_queue_full, 1);
    host.hears(&peer.says("F.", 1, 2, b""));
    assert_eq!(peer.hears(&mut host), [". 2 ack 2 win 65534"]);
    assert!(host.tcp.accept(listener).is_ok());
    host.hears(&peer.says("S", 5000, 0, b""));
    let answer = peer.hears(&mut host);
    assert!(
        answer.len() == 1 && answer[0].starts_with("S. "),
        "{answer:?}"
    );
}
