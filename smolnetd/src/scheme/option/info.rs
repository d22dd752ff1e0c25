//! `struct tcp_info`, as far as there is something to tell: the rest of it is zero.

use crate::flow::state::State;
use crate::socket::tcp::Info;

/// Its length in bytes, to the end of what Linux 2.6 had of it.
const LENGTH: usize = 104;

/// Where its numbers stand, each 4 bytes in native order: `tcpi_rto`, `tcpi_snd_mss`, `tcpi_rcv_mss`, `tcpi_rtt`,
/// `tcpi_snd_cwnd`, `tcpi_advmss`. Times are in microseconds, the window in segments.
mod at {
    pub(super) const RTO: usize = 8;
    pub(super) const SND_MSS: usize = 16;
    pub(super) const RCV_MSS: usize = 20;
    pub(super) const RTT: usize = 68;
    pub(super) const SND_CWND: usize = 80;
    pub(super) const ADVMSS: usize = 84;
}

/// The bytes that `getsockopt` gives.
pub(super) fn written(info: &Info) -> Vec<u8> {
    let mut bytes = vec![0; LENGTH];
    if let Some(state) = bytes.first_mut() {
        *state = number(info.state);
    }
    let mut put = |at: usize, value: u64| {
        let value = u32::try_from(value).unwrap_or(u32::MAX).to_ne_bytes();
        let fields = bytes.iter_mut().skip(at);
        fields.zip(value).for_each(|(to, from)| *to = from);
    };
    let segment = info.segment as u64;
    for field in [at::SND_MSS, at::RCV_MSS, at::ADVMSS] {
        put(field, segment);
    }
    put(at::RTO, info.timeout.total_micros());
    put(
        at::RTT,
        info.round_trip.map_or(0, |time| time.total_micros()),
    );
    put(
        at::SND_CWND,
        (info.window as u64).checked_div(segment).unwrap_or(0),
    );
    bytes
}

/// The numbers that Linux has for the states of RFC 9293 3.3.2.
fn number(state: State) -> u8 {
    match state {
        State::Established => 1,
        State::SynSent => 2,
        State::SynReceived => 3,
        State::FinWait1 => 4,
        State::FinWait2 => 5,
        State::TimeWait => 6,
        State::Closed => 7,
        State::CloseWait => 8,
        State::LastAck => 9,
        State::Listen => 10,
        State::Closing => 11,
    }
}

#[cfg(test)]
mod tests {
    use smoltcp::time::Duration;

    use super::*;

    #[test]
    fn what_is_known_stands_where_programs_look_for_it() {
        let bytes = written(&Info {
            state: State::CloseWait,
            segment: 1460,
            window: 14_600,
            round_trip: Some(Duration::from_millis(3)),
            timeout: Duration::from_secs(1),
        });
        let word = |at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap());
        assert_eq!((bytes.len(), bytes[0]), (104, 8));
        assert_eq!((word(8), word(68)), (1_000_000, 3000));
        assert_eq!((word(16), word(80)), (1460, 10));
    }
}
