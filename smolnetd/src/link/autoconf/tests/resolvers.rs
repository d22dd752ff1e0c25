//! Name servers and search domains: RFC 8106.

use super::*;

fn server(number: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfd12, 0, 0, 0, 0, 0, 0x53, number)
}

/// RFC 8106 sections 5.1, 5.2 and 5.3.1.
#[test]
fn rfc8106_5_1_name_servers_and_domains_are_taken_in_order_and_end_with_their_lifetimes() {
    let mut bench = Bench::new();
    let ra = Ra::from(1)
        .rdnss(600, &[server(1), server(2)])
        .dnssl(300, b"\x03lab\x04test\0\x07example\x03org\0");
    let actions = bench.hear(&ra);
    assert!(actions.contains(&Action::Resolvers), "{actions:?}");
    assert_eq!(bench.host.resolvers(), [server(1), server(2)]);
    assert_eq!(bench.host.search(), ["lab.test", "example.org"]);
    let actions = bench.hear(&ra);
    assert!(!actions.contains(&Action::Resolvers), "nothing new");

    let told = |done: Vec<(Instant, Action)>| {
        let mut told = done.into_iter();
        told.any(|(_, action)| action == Action::Resolvers)
    };
    assert!(!told(bench.run(seconds(299))));
    assert!(told(bench.run(seconds(2))));
    assert_eq!(bench.host.search().len(), 0);
    assert!(told(bench.run(seconds(300))));
    assert_eq!(bench.host.resolvers().len(), 0);
}

/// RFC 8106 section 5.1: lifetime 0 ends it, all ones are for ever.
#[test]
fn rfc8106_5_1_a_lifetime_of_nothing_ends_a_name_server_at_once() {
    let mut bench = Bench::new();
    let ra = Ra::from(1)
        .rdnss(u32::MAX, &[server(1), server(2)])
        .dnssl(u32::MAX, b"\x03lab\0");
    bench.hear(&ra);
    bench.run(HOUR * 24 * 365);
    assert_eq!(bench.host.resolvers().len(), 2);
    let actions = bench.hear(&Ra::from(1).rdnss(0, &[server(1)]).dnssl(0, b"\x03lab\0"));
    assert!(actions.contains(&Action::Resolvers), "{actions:?}");
    assert_eq!(bench.host.resolvers(), [server(2)]);
    assert_eq!(bench.host.search().len(), 0);
}

/// RFC 8106 section 6.1: what several routers say is one list; who says the same keeps it alive.
#[test]
fn rfc8106_6_1_several_routers_make_one_list() {
    let mut bench = Bench::new();
    bench.hear(&Ra::from(1).rdnss(600, &[server(1)]));
    bench.hear(&Ra::from(2).rdnss(1200, &[server(2), server(1)]));
    assert_eq!(bench.host.resolvers(), [server(1), server(2)]);
    bench.run(seconds(601));
    assert_eq!(bench.host.resolvers().len(), 2);
    bench.run(seconds(600));
    assert_eq!(bench.host.resolvers().len(), 0);
}

/// RFC 8106 section 5.3.1: three of one router are enough.
#[test]
fn rfc8106_5_3_1_no_router_names_more_than_three() {
    let mut bench = Bench::new();
    let many: Vec<Ipv6Addr> = (1..=100).map(server).collect();
    let names: Vec<u8> = (b'a'..=b'z').flat_map(|name| [1, name, 0]).collect();
    bench.hear(&Ra::from(1).rdnss(600, &many).dnssl(600, &names));
    assert_eq!(bench.host.resolvers(), many[..3]);
    assert_eq!(bench.host.search(), ["a", "b", "c"]);
    assert_eq!(bench.counter("resolver_table_full"), 97 + 23);
}

/// RFC 8106 section 6.1: a full list drops what would end first, but never a proven router's.
#[test]
fn rfc8106_6_1_a_flood_of_name_servers_does_not_displace_those_of_a_proven_router() {
    let mut bench = Bench::new();
    bench.hear(
        &Ra::from(1)
            .rdnss(600, &[server(1)])
            .dnssl(600, b"\x03lab\0"),
    );
    bench.host.router_reachable(router(1));
    for number in 2..1000 {
        let forged = Ra::from(number)
            .rdnss(9000, &[server(number)])
            .dnssl(9000, &[3, b'x', b'0' + (number % 10) as u8, b'y', 0]);
        bench.hear(&forged);
    }
    let resolvers = bench.host.resolvers();
    assert_eq!((resolvers.len(), resolvers[0]), (8, server(1)));
    let search = bench.host.search();
    assert_eq!((search.len(), search[0].as_str()), (8, "lab"));
}

#[test]
fn rfc8106_5_1_options_of_a_wrong_length_are_passed_over() {
    let mut bench = Bench::new();
    let ra = Ra::from(1)
        // No address; half an address; nothing at all.
        .rdnss(600, &[])
        .option(25, &[0, 0, 0, 0, 2, 88, 0xfd, 0x12, 0, 0, 0, 0, 0, 0])
        .option(31, &[0, 0, 0, 0, 2, 88])
        .rdnss(600, &[server(1)]);
    bench.hear(&ra);
    assert_eq!(bench.host.resolvers(), [server(1)]);
    assert_eq!(bench.counter("option_bad_length"), 2);
    assert_eq!(bench.counter("option_unusable"), 1, "no domain");
}

#[test]
fn name_servers_that_cannot_be_such_are_passed_over() {
    let mut bench = Bench::new();
    let ra = Ra::from(1).rdnss(
        600,
        &[Ipv6Addr::UNSPECIFIED, "ff02::1".parse().unwrap(), router(1)],
    );
    bench.hear(&ra.dnssl(600, b"\x04a\nb \0"));
    assert_eq!(bench.host.resolvers(), [router(1)], "link-local may be");
    assert_eq!(bench.host.search().len(), 0);
    assert_eq!(bench.counter("option_unusable"), 2);
}
