use proptest::prelude::*;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{IpAddress, TcpControl, TcpRepr};

use super::*;
use crate::flow::FlowKey;
use crate::flow::segment::Control;
use crate::socket::tcp::TcpCounters;

const ISS: Seq = Seq(u32::MAX - 100);
const IRS: Seq = Seq(7000);

fn key() -> FlowKey {
    let end = |last, port| core::net::SocketAddr::from(([10, 0, 2, last], port));
    FlowKey {
        local: end(15, 4000),
        remote: end(2, 80),
    }
}

/// The peer's segment, numbers relative.
fn segment(control: TcpControl, seq: u32, ack: u32, data: usize) -> Segment {
    Segment {
        key: key(),
        seq: IRS.plus(seq as usize),
        ack: Some(ISS.plus(ack as usize)),
        control,
        window: 1000,
        data,
        mss: None,
        window_scale: None,
        sack_permitted: false,
    }
}

fn departs(guard: &mut Guard, control: Control) -> u16 {
    let mut packet = vec![0; control.length()];
    control.write(&mut packet);
    guard.departing(&mut packet);
    let parsed = Segment::parse(&packet).expect("still a sound segment, checksum included");
    parsed.window
}

/// A guard whose flow is established: nothing sent but the SYN, windows of 5000 and 1000 bytes.
fn established() -> Guard {
    let mut guard = Guard::new(ISS, 1460, 5000);
    let syn = Control {
        ack: None,
        control: TcpControl::Syn,
        ..Control::ack(key(), ISS, Seq(0), 5000)
    };
    departs(&mut guard, syn);
    let syn_ack = segment(TcpControl::Syn, 0, 1, 0);
    assert!(matches!(
        guard.judge(&syn_ack, standing(State::SynSent, 0)),
        Verdict::Pass
    ));
    guard.peer_syn(&syn_ack);
    guard.acknowledged_to(ISS.plus(1));
    departs(
        &mut guard,
        Control::ack(key(), ISS.plus(1), IRS.plus(1), 5000),
    );
    guard
}

fn standing(state: State, una: u32) -> Standing {
    Standing {
        state,
        una: ISS.plus(una as usize),
        rcv_nxt: IRS.plus(1),
        unacknowledged: 0,
    }
}

/// What became of a segment, in a word: the counter's name where there is one.
fn verdict(guard: &mut Guard, segment: &Segment, state: State) -> String {
    let named = |reason: Reason| {
        let mut counters = TcpCounters::default();
        *reason(&mut counters) += 1;
        counters
            .iter()
            .find(|&(_, count)| count == 1)
            .map_or("", |(name, _)| name)
    };
    match guard.judge(segment, standing(state, 1)) {
        Verdict::Pass => "pass".into(),
        Verdict::Repair(repair) => format!("{repair:?}"),
        Verdict::Challenge(reason) => format!("challenge {}", named(reason)),
        Verdict::Drop(reason) => format!("drop {}", named(reason)),
    }
}

#[test]
fn what_passes_and_what_does_not() {
    use TcpControl::{Fin, None, Rst, Syn};
    let table = [
        (segment(None, 1, 1, 0), "pass"),
        (segment(None, 1, 1, 100), "pass"),
        (segment(Fin, 1, 1, 4999), "pass"),
        (segment(Rst, 1, 0, 0), "pass"),
        (segment(Rst, 2, 0, 0), "challenge rst_in_window"),
        (segment(Rst, 5000, 0, 0), "challenge rst_in_window"),
        (segment(Rst, 5001, 0, 0), "drop rst_out_of_window"),
        (segment(Rst, 0, 0, 0), "drop rst_out_of_window"),
        (segment(Syn, 0, 1, 0), "challenge syn_in_connection"),
        (segment(Syn, 90_000, 1, 0), "challenge syn_in_connection"),
        (segment(None, 1, 2, 0), "challenge ack_of_unsent"),
        (segment(None, 1, 0, 0), "drop ack_old"),
        (
            segment(None, 1, 0_u32.wrapping_sub(2000), 9),
            "challenge ack_too_old",
        ),
        (
            Segment {
                ack: Option::None,
                ..segment(None, 1, 1, 9)
            },
            "drop no_ack",
        ),
        // Unacceptable: smoltcp answers it with an acknowledgement.
        (segment(None, 6000, 1, 9), "pass"),
    ];
    for (segment, expected) in table {
        assert_eq!(
            verdict(&mut established(), &segment, State::Established),
            expected,
            "{segment:?}"
        );
    }
}

#[test]
fn nothing_comes_to_a_connection_that_has_ended() {
    for state in [State::Closed, State::Listen, State::TimeWait] {
        let segment = segment(TcpControl::None, 1, 1, 0);
        assert_eq!(
            verdict(&mut established(), &segment, state),
            "drop after_end"
        );
    }
}

#[test]
fn nothing_comes_before_the_syn_has_left() {
    let mut guard = Guard::new(ISS, 1460, 5000);
    let syn_ack = segment(TcpControl::Syn, 0, 1, 0);
    assert!(matches!(
        guard.judge(&syn_ack, standing(State::SynSent, 0)),
        Verdict::Drop(_)
    ));
}

#[test]
fn a_probe_into_a_closed_window_does_not_move_our_acknowledgements() {
    let mut guard = established();
    let closed = Segment {
        window: 0,
        ..segment(TcpControl::None, 1, 1, 0)
    };
    assert_eq!(verdict(&mut guard, &closed, State::Established), "pass");
    // Octets beyond the window have left: an acknowledgement from there would not be acceptable to the peer.
    guard.snd_nxt = ISS.plus(2);
    assert_eq!(guard.ack_seq(ISS.plus(1)), ISS.plus(1));
    guard.snd_wnd = 10;
    assert_eq!(guard.ack_seq(ISS.plus(1)), ISS.plus(2));
}

#[test]
fn the_window_goes_out_in_steps_and_its_edge_never_back() {
    let mut guard = established();
    let at = |count: usize, window| Control::ack(key(), ISS.plus(1), IRS.plus(1 + count), window);
    assert_eq!(departs(&mut guard, at(4000, 1000)), 1000);
    assert_eq!(
        departs(&mut guard, at(4000, 2459)),
        1000,
        "less than a step"
    );
    assert_eq!(
        guard.window(IRS.plus(4001)),
        1000,
        "what a challenge ACK says"
    );
    assert_eq!(departs(&mut guard, at(4000, 2460)), 2460, "a step");
    assert_eq!(departs(&mut guard, at(4100, 3000)), 2360, "the edge stays");
    assert_eq!(departs(&mut guard, at(4100, 3820)), 3820);
}

#[test]
fn a_reset_of_ours_says_nothing_of_where_we_are() {
    let mut guard = established();
    let reset = Control {
        ack: None,
        control: TcpControl::Rst,
        ..Control::ack(key(), ISS.plus(999), Seq(0), 0)
    };
    departs(&mut guard, reset);
    assert_eq!(
        guard.snd_nxt(),
        ISS.plus(1),
        "its number is the peer's invention"
    );
}

#[test]
fn challenges_are_half_a_second_apart() {
    let mut guard = established();
    let start = Instant::from_secs(5);
    assert!(guard.may_challenge(start));
    assert!(!guard.may_challenge(start + Duration::from_millis(499)));
    assert!(guard.may_challenge(start + Duration::from_millis(500)));
}

proptest! {
    #[test]
    fn an_adjusted_checksum_is_the_right_one(window in any::<u16>(), other in any::<u16>(), seq in any::<i32>()) {
        let (from, to) = (IpAddress::v4(10, 0, 2, 15), IpAddress::v4(10, 0, 2, 2));
        let repr = |window_len| TcpRepr {
            src_port: 1, dst_port: 2, control: TcpControl::None, seq_number: smoltcp::wire::TcpSeqNumber(seq),
            ack_number: None, window_len, window_scale: None, max_seg_size: None, sack_permitted: false,
            sack_ranges: [None; 3], timestamp: None, payload: b"data",
        };
        let mut buffer = vec![0; repr(window).buffer_len()];
        let mut packet = TcpPacket::new_unchecked(&mut buffer[..]);
        repr(window).emit(&mut packet, &from, &to, &ChecksumCapabilities::default());
        let adjusted = adjust_checksum(packet.checksum(), window, other);
        packet.set_window_len(other);
        packet.set_checksum(adjusted);
        prop_assert!(TcpPacket::new_unchecked(&buffer[..]).verify_checksum(&from, &to));
    }
}
