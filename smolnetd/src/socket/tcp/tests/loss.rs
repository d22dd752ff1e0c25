//! Two hosts and a network between them that loses, delays, doubles and reorders, by a seed.

use super::*;
use crate::socket::{How, SocketOption};

/// What happens to packets, in per cent, by a small generator of its own.
struct Weather {
    state: u64,
    loss: u64,
    double: u64,
    late: u64,
}

impl Weather {
    fn roll(&mut self, percent: u64) -> bool {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 20) % 100 < percent
    }
}

/// A sends to B; packets take 5 ms and a late one 3 ms more.
struct World {
    hosts: [Host; 2],
    flying: Vec<(Instant, usize, Vec<u8>)>,
    weather: Weather,
}

impl World {
    fn new(weather: Weather, v6: bool) -> World {
        let (mut a, mut b) = (Host::of(v6), Host::of(v6));
        (b.address, b.peer) = (a.peer, a.address);
        for host in [&mut a, &mut b] {
            host.net.own = vec![host.address];
        }
        World {
            hosts: [a, b],
            flying: Vec::new(),
            weather,
        }
    }

    /// Goes on to whatever happens next.
    fn step(&mut self) {
        for (from, host) in self.hosts.iter_mut().enumerate() {
            while let Some((_, packet)) = host.net.sent.pop_front() {
                let copies = if self.weather.roll(self.weather.double) {
                    2
                } else {
                    1
                };
                for _ in 0..copies {
                    if !self.weather.roll(self.weather.loss) {
                        let late = if self.weather.roll(self.weather.late) {
                            3
                        } else {
                            0
                        };
                        self.flying
                            .push((host.now + millis(5 + late), 1 - from, packet.clone()));
                    }
                }
            }
        }
        let arrival = self.flying.iter().map(|&(at, ..)| at).min();
        let due = self
            .hosts
            .iter()
            .filter_map(|host| host.tcp.next_deadline())
            .min();
        let Some(now) = [arrival, due].into_iter().flatten().min() else {
            panic!(
                "the world stands still: {:#?}",
                self.hosts.each_ref().map(|host| &host.tcp)
            );
        };
        for host in &mut self.hosts {
            host.now = host.now.max(now);
            host.poll();
        }
        let now = self.hosts[0].now;
        let (landing, flying) = core::mem::take(&mut self.flying)
            .into_iter()
            .partition(|&(at, ..)| at <= now);
        self.flying = flying;
        let landing: Vec<(Instant, usize, Vec<u8>)> = landing;
        for (_, to, packet) in landing {
            self.hosts[to].hears(&packet);
        }
    }

    fn connection(&mut self) -> (TcpId, TcpId) {
        let listener = self.hosts[1].listener(80, 1);
        let client = self.hosts[0].connect(SocketAddr::new(self.hosts[0].peer, 80));
        loop {
            self.step();
            if let Ok(server) = self.hosts[1].tcp.accept(listener) {
                return (client, server);
            }
        }
    }
}

/// Sends `length` bytes each way, then FINs, and returns how long it took.
fn exchange(weather: Weather, length: usize) -> Duration {
    exchange_over(false, weather, length)
}

fn exchange_over(v6: bool, weather: Weather, length: usize) -> Duration {
    let mut world = World::new(weather, v6);
    let (client, server) = world.connection();
    world.hosts[1]
        .tcp
        .set_option(server, SocketOption::NoDelay(true))
        .expect("option");
    let start = world.hosts[0].now;
    let data: Vec<u8> = (0..length).map(|n| (n * 31 + n / 256) as u8).collect();
    let ids = [client, server];
    let (mut sent, mut received) = ([0; 2], [Vec::new(), Vec::new()]);
    let mut finished = [false; 2];
    for _ in 0..200_000 {
        for (side, host) in world.hosts.iter_mut().enumerate() {
            if sent[side] < length {
                match host.send(ids[side], &data[sent[side]..]) {
                    Ok(more) => sent[side] += more,
                    Err(error) => assert_eq!(error, SocketError::WouldBlock),
                }
                if sent[side] == length {
                    host.tcp
                        .shutdown(host.now, ids[side], How::Write)
                        .expect("shutdown");
                    host.poll();
                }
            }
            while !finished[side] {
                match host.read(ids[side], 5000) {
                    Ok(more) if more.is_empty() => finished[side] = true,
                    Ok(more) => received[side].extend(more),
                    Err(SocketError::WouldBlock) => break,
                    Err(error) => panic!("{error}: {:?}", host.tcp.counters()),
                }
            }
        }
        if finished == [true; 2] {
            assert!(
                received[0] == data && received[1] == data,
                "what arrived is what was sent"
            );
            return world.hosts[0].now - start;
        }
        world.step();
    }
    let [a, b] = &world.hosts;
    panic!(
        "no end after {}: sent {sent:?}, received {:?}, a {:?}, b {:?}",
        a.now - start,
        received.map(|data| data.len()),
        a.tcp,
        b.tcp
    );
}

#[test]
fn a_good_network_delivers_both_ways() {
    let time = exchange(
        Weather {
            state: 1,
            loss: 0,
            double: 0,
            late: 0,
        },
        2_000_000,
    );
    assert!(time < seconds(1), "64 KiB every 10 ms: {time}");
}

#[test]
fn a_network_that_reorders_and_doubles_delivers_both_ways() {
    for seed in 1..=4 {
        exchange_over(
            seed > 2,
            Weather {
                state: seed,
                loss: 0,
                double: 10,
                late: 20,
            },
            300_000,
        );
    }
}

#[test]
fn a_network_that_loses_delivers_both_ways() {
    for seed in 1..=4 {
        exchange_over(
            seed > 2,
            Weather {
                state: seed,
                loss: 5,
                double: 2,
                late: 5,
            },
            200_000,
        );
    }
}

#[test]
fn a_network_that_loses_a_third_delivers_in_the_end() {
    exchange(
        Weather {
            state: 7,
            loss: 33,
            double: 5,
            late: 10,
        },
        8_000,
    );
}

/// Sends `length` bytes one way over a good network with 10 ms there and back: how long it took, and the most memory that
/// the connections held meanwhile.
pub(super) fn one_way(length: usize) -> (Duration, usize) {
    let weather = Weather {
        state: 1,
        loss: 0,
        double: 0,
        late: 0,
    };
    let mut world = World::new(weather, false);
    let (client, server) = world.connection();
    let start = world.hosts[0].now;
    let data = vec![7; 1 << 16];
    let (mut sent, mut received, mut held) = (0, 0, 0);
    while received < length {
        let host = &mut world.hosts[0];
        while sent < length {
            match host.send(client, &data[..data.len().min(length - sent)]) {
                Ok(more) => sent += more,
                Err(_) => break,
            }
        }
        while let Ok(more) = world.hosts[1].read(server, 1 << 16) {
            received += more.len();
        }
        let ends = [(&world.hosts[0], client), (&world.hosts[1], server)];
        let holds = ends.map(|(host, id)| host.tcp.connection(id).map_or(0, |it| it.held()));
        held = held.max(holds[0] + holds[1]);
        if received < length {
            world.step();
        }
    }
    (world.hosts[0].now - start, held)
}
