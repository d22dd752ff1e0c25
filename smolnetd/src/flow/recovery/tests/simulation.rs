//! Whole transfers through a network that is simulated.

use super::network::{Network, Weather};
use super::*;

const MEGABYTE: usize = 1_000_000;

/// Sums over some seeds.
#[derive(Debug, Default)]
struct Sum {
    millis: u64,
    resent: usize,
    in_vain: usize,
    timeouts: usize,
    probes: usize,
}

/// Transfers `length` in the same weather, some times.
fn transfers(weather: impl Fn(u64) -> Weather, length: usize, sack: bool) -> Sum {
    let mut sum = Sum::default();
    for seed in 1..=6 {
        let mut network = Network::new(weather(seed)).with(length, sack);
        sum.millis += network.runs();
        let flow = &network.flows[0];
        sum.resent += flow.resent;
        sum.in_vain += flow.receiver.in_vain;
        sum.timeouts += flow.timeouts;
        sum.probes += flow.probes;
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
fn a_fair_network_is_used_in_full() {
    for sack in [true, false] {
        let sum = transfers(Weather::fair, 4 * MEGABYTE, sack);
        println!("fair {sack} {sum:?}");
        let late = |seed| Weather {
            late: 1000,
            lateness: Duration::from_millis(3),
            ..Weather::fair(seed)
        };
        println!("late3 {sack} {:?}", transfers(late, 4 * MEGABYTE, sack));
        let late = |seed| Weather {
            late: 1000,
            lateness: Duration::from_millis(3),
            ..fast(seed)
        };
        println!("late3fast {sack} {:?}", transfers(late, 4 * MEGABYTE, sack));
        let late = |seed| Weather {
            late: 1000,
            lateness: Duration::from_millis(15),
            ..fast(seed)
        };
        println!(
            "late15fast {sack} {:?}",
            transfers(late, 4 * MEGABYTE, sack)
        );
        let w = |seed| Weather {
            ack_loss: 2000,
            ..fast(seed)
        };
        println!("ackloss {sack} {:?}", transfers(w, 4 * MEGABYTE, sack));
        let w = |seed| Weather {
            ack_loss: 2000,
            loss: 100,
            ..fast(seed)
        };
        println!("ackloss,loss {sack} {:?}", transfers(w, 4 * MEGABYTE, sack));
        let w = |seed| Weather {
            compression: Some(Duration::from_millis(7)),
            ..fast(seed)
        };
        println!("compr {sack} {:?}", transfers(w, 4 * MEGABYTE, sack));
        let w = |seed| Weather {
            compression: Some(Duration::from_millis(7)),
            loss: 100,
            ..fast(seed)
        };
        println!("compr,loss {sack} {:?}", transfers(w, 4 * MEGABYTE, sack));
        let w = |seed| Weather {
            compression: Some(Duration::from_millis(7)),
            loss: 100,
            ack_loss: 2000,
            late: 1000,
            lateness: Duration::from_millis(3),
            ..fast(seed)
        };
        println!("all {sack} {:?}", transfers(w, 4 * MEGABYTE, sack));
        let w = |seed| Weather {
            delay: Duration::from_millis(50),
            queue: 1_250_000,
            loss: 10,
            ..fast(seed)
        };
        println!("long {sack} {:?}", transfers(w, 4 * MEGABYTE, sack));
        let w = |seed| Weather {
            delay: Duration::from_millis(50),
            queue: 1_250_000,
            loss: 100,
            ..fast(seed)
        };
        println!("long1% {sack} {:?}", transfers(w, 4 * MEGABYTE, sack));
        let w = |seed| Weather {
            queue: 10_000,
            ..Weather::fair(seed)
        };
        println!("short queue {sack} {:?}", transfers(w, 4 * MEGABYTE, sack));
        for unlucky in [
            vec![9],
            vec![8, 9],
            vec![7, 8, 9],
            vec![0, 9],
            vec![0],
            vec![5],
        ] {
            let mut network = Network::new(fast(1)).with(10_000, sack);
            network.flows[0].unlucky = unlucky.clone();
            let t = network.runs();
            let f = &network.flows[0];
            println!(
                "tail {unlucky:?} {sack} {t} {} {} {}",
                f.resent, f.timeouts, f.probes
            );
        }
        let mut network = Network::new(Weather::fair(1))
            .with(100 * MEGABYTE, sack)
            .with(100 * MEGABYTE, sack);
        network.runs_for(Duration::from_secs(10));
        println!(
            "shares {} {}",
            network.flows[0].arrived(),
            network.flows[1].arrived()
        );
        network.runs_for(Duration::from_secs(10));
        println!(
            "shares {} {}",
            network.flows[0].arrived(),
            network.flows[1].arrived()
        );
        let mut network = Network::new(fast(1)).with(100 * MEGABYTE, sack);
        network.runs_for(Duration::from_secs(2));
        let mut network = network.with(100 * MEGABYTE, sack);
        let b = network.flows[0].arrived();
        network.runs_for(Duration::from_secs(4));
        println!(
            "late comer {} {}",
            network.flows[0].arrived() - b,
            network.flows[1].arrived()
        );
    }
}
