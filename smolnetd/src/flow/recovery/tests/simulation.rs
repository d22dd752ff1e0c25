//! Whole transfers through a network that is simulated. That everything arrives, each of them checks.

use super::network::{Network, Weather};
use super::*;

const MEGABYTE: usize = 1_000_000;

/// Sums over some seeds.
#[derive(Debug, Default)]
struct Sum {
    millis: u64,
    in_vain: usize,
    timeouts: usize,
}

/// Transfers `length` in the same weather, some times.
fn transfers(weather: impl Fn(u64) -> Weather, length: usize, sack: bool) -> Sum {
    let mut sum = Sum::default();
    for seed in 1..=4 {
        let mut network = Network::new(weather(seed)).with(length, sack);
        sum.millis += network.runs();
        let flow = &network.flows[0];
        sum.in_vain += flow.receiver.in_vain;
        sum.timeouts += flow.timeouts;
    }
    sum
}

/// 100 Mbit/s and 20 ms.
fn fast(seed: u64) -> Weather {
    Weather {
        rate: 12_500,
        queue: 250_000,
        ..Weather::fair(seed)
    }
}

#[test]
fn a_fair_network_is_used_in_full_and_nothing_is_sent_in_vain() {
    for sack in [true, false] {
        let sum = transfers(Weather::fair, MEGABYTE, sack);
        assert!(
            sum.millis < 4 * if sack { 900 } else { 1200 },
            "{sack}, 800 ms are the least: {sum:?}"
        );
        assert_eq!((sum.in_vain, sum.timeouts), (0, 0));
    }
    let short_queue = |seed| Weather {
        queue: 10_000,
        ..Weather::fair(seed)
    };
    let sum = transfers(short_queue, MEGABYTE, true);
    assert!(sum.millis < 4 * 950, "{sum:?}");
    assert_eq!((sum.in_vain, sum.timeouts), (0, 0));
}

#[test]
fn what_is_lost_is_sent_again_and_nothing_else() {
    for loss in [10, 100, 300] {
        let lossy = |seed| Weather { loss, ..fast(seed) };
        let sum = transfers(lossy, MEGABYTE, true);
        assert_eq!(sum.in_vain, 0, "{loss} in 10000: {sum:?}");
    }
}

#[test]
fn acknowledgements_in_bunches_are_not_taken_for_losses() {
    let bunched = |seed| Weather {
        compression: Some(Duration::from_millis(7)),
        loss: 50,
        ..fast(seed)
    };
    assert_eq!(transfers(bunched, MEGABYTE, true).in_vain, 0);
}

#[test]
fn lost_acknowledgements_cost_next_to_nothing() {
    let deaf = |seed| Weather {
        ack_loss: 2000,
        ..fast(seed)
    };
    let sum = transfers(deaf, MEGABYTE, true);
    assert!(sum.in_vain < MEGABYTE / 100, "{sum:?}");
}

/// Single losses are repaired as well without SACK; when they come closer together, or in the hundreds because a queue
/// has overflowed, they are not.
#[test]
fn sack_is_worth_its_while() {
    let lossy = |loss| move |seed| Weather { loss, ..fast(seed) };
    for (loss, least) in [(100, 80), (1000, 120)] {
        let [with, without] = [true, false].map(|sack| transfers(lossy(loss), MEGABYTE, sack));
        let percent = without.millis * 100 / with.millis;
        assert!(percent >= least, "{loss}: {with:?}, {without:?}");
    }
    let [with, without] = [true, false].map(|sack| transfers(fast, 2 * MEGABYTE, sack));
    assert!(without.millis >= 3 * with.millis, "{with:?}, {without:?}");
}

/// RFC 8985 section 7: without a probe it would be the timer's 200 ms and more.
#[test]
fn rfc8985_7_a_lost_tail_costs_about_two_round_trips() {
    // A lone one may be acknowledged late and must wait for that: rfc8985_7_2. Many are sent again at the pace of RFC 6937.
    for (unlucky, rounds) in [(vec![8, 9], 4), (vec![0, 9], 4), (vec![5, 6, 7, 8, 9], 6)] {
        let mut network = Network::new(fast(1)).with(10_000, true);
        network.flows[0].receiver.is_eager();
        network.flows[0].unlucky = unlucky.clone();
        let millis = network.runs();
        assert!(millis <= 20 + rounds * 20 + 10, "{unlucky:?}: {millis}");
        assert_eq!(network.flows[0].timeouts, 0);
    }
}

/// RFC 8985 6.2, step 4: a quarter of a round trip is 5 ms here.
#[test]
fn rfc8985_6_2_a_little_reordering_sends_nothing_again_once_it_is_known() {
    let late = Weather {
        late: 1000,
        lateness: Duration::from_millis(3),
        ..fast(3)
    };
    let mut network = Network::new(late).with(6 * MEGABYTE, true);
    network.runs_for(Duration::from_millis(300));
    let before = network.flows[0].receiver.in_vain;
    network.runs();
    assert_eq!(network.flows[0].receiver.in_vain, before);
}

#[test]
fn two_share_a_bottleneck_and_one_that_comes_later_gets_its_share() {
    let plenty = 1000 * MEGABYTE;
    let mut network = Network::new(Weather::fair(1)).with(plenty, true);
    network.runs_for(Duration::from_secs(2));
    let mut network = network.with(plenty, true);
    network.runs_for(Duration::from_secs(4));
    let before = [0, 1].map(|index| network.flows[index].arrived());
    network.runs_for(Duration::from_secs(8));
    let [a, b] = [0, 1].map(|index| network.flows[index].arrived() - before[index]);
    assert!(a < 3 * b && b < 3 * a, "{a} {b}");
    assert!(a + b > 9 * MEGABYTE, "of 10: {a} {b}");
}
