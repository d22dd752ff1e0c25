//! Routes as text: what is written is what is read back.

use proptest::prelude::*;
use smoltcp::time::Duration;

use super::*;

#[test]
fn what_is_shown_can_be_read_again() {
    for text in [
        "default via 10.0.2.2 dev eth0 src 10.0.2.15 metric 0",
        "default dev eth0 metric 7",
        "10.1.0.0/16 via 10.0.2.9 dev eth0 metric 0",
        "10.1.2.3/32 dev eth0 src 10.0.2.15 metric 4294967295",
        "default via fe80::1 dev eth0 metric 0",
        "::/0 dev eth0 metric 0",
        "fd42::/64 dev eth0 src fd42::15 metric 1",
    ] {
        let shown = route(text, ETH0, Origin::Static)
            .text("eth0", START)
            .to_string();
        assert_eq!(shown, format!("{text} proto static"));
        let device = text.parse::<RouteSpec>().unwrap().device;
        assert_eq!(device.as_deref(), Some("eth0"));
    }
}

#[test]
fn text_that_is_no_route_says_what_is_wrong() {
    use RouteParseError::*;
    for (text, error) in [
        ("", Destination),
        ("   \n", Destination),
        ("garbage via 10.0.2.2", Destination),
        ("10.0.0.0/33 via 10.0.2.2", Destination),
        ("10.0.0.0/ via 10.0.2.2", Destination),
        ("10.0.0.0/+8 via 10.0.2.2", Destination),
        ("10.0.0/8 via 10.0.2.2", Destination),
        ("fd42::/129 dev eth0", Destination),
        ("default", NoWay),
        ("default src 10.0.2.15", NoWay),
        ("default via", Value),
        ("default via eth0", Value),
        ("default via 10.0.2.2 dev", Value),
        ("default via 10.0.2.2 metric -1", Value),
        ("default via 10.0.2.2 metric 4294967296", Value),
        ("default via 10.0.2.2 table main", UnknownWord),
        ("default via 10.0.2.2 onlink", UnknownWord),
        ("default via 10.0.2.2 expires", Value),
        ("default via 10.0.2.2 expires -1", Value),
        ("default via 10.0.2.2 expires 4294967296", Value),
        ("default via 10.0.2.2 expires 0", Value),
        ("default via 10.0.2.2 proto kernel", Value),
        ("default via 10.0.2.2 proto dhcp", NotStatic),
        ("default via fe80::2 dev eth0 proto ra", NotStatic),
        ("default via fe80::2", NoWay),
        ("default via fe80::2%eth0 dev eth0", Value),
        ("default via 10.0.2.2 via 10.0.2.3", Repeated),
        ("10.0.0.0/8 via fe80::1", Family),
        ("fd42::/64 dev eth0 src 10.0.2.15", Family),
    ] {
        assert_eq!(text.parse::<RouteSpec>(), Err(error), "{text:?}");
    }
    assert!(
        "default via 10.0.2.2\n".parse::<RouteSpec>().is_ok(),
        "a line feed is no fault"
    );
}

#[test]
fn a_learned_route_says_how_long_it_lasts_and_who_said_so() {
    let learned = Route {
        expires: Some(START + Duration::from_millis(1_799_001)),
        ..route(
            "default via fe80::2 dev eth0 src fd12::15 metric 20",
            ETH0,
            Origin::RouterAdvertisement,
        )
    };
    let text = "default via fe80::2 dev eth0 src fd12::15 metric 20 expires 1800 proto ra";
    assert_eq!(learned.text("eth0", START).to_string(), text);
    // Who writes such a line takes that route away, and no other.
    let selector = RouteSpec::parse_removal(text).unwrap().selector(Some(ETH0));
    assert!(selector.matches(&learned));
    assert!(!selector.matches(&Route {
        origin: Origin::Static,
        ..learned.clone()
    }));
    let late = START + Duration::from_secs(9000);
    assert!(
        learned
            .text("eth0", late)
            .to_string()
            .contains(" expires 0 "),
        "no earlier than never"
    );
}

#[test]
fn a_static_route_with_a_lifetime_ends_then() {
    let mut table = empty();
    table
        .add(route(
            "10.2.0.0/16 via 10.0.0.1 expires 60 proto static",
            ETH0,
            Origin::Static,
        ))
        .unwrap();
    assert_eq!(table.next_deadline(), Some(START + Duration::from_secs(60)));
    assert_eq!(
        list(&table),
        ["10.2.0.0/16 via 10.0.0.1 dev eth0 metric 0 expires 60 proto static"]
    );
}

fn any_address(v4: bool) -> BoxedStrategy<IpAddr> {
    let hosts = |address: &IpAddr| is_host(*address);
    if v4 {
        any::<[u8; 4]>()
            .prop_map(IpAddr::from)
            .prop_filter("a host", hosts)
            .boxed()
    } else {
        // Addresses with zeros in them are where the text form has its rules (RFC 5952).
        proptest::array::uniform8(prop_oneof![Just(0), Just(1), Just(0xfe80), any::<u16>()])
            .prop_map(IpAddr::from)
            .prop_filter("a host", hosts)
            .boxed()
    }
}

fn any_route() -> impl Strategy<Value = Route> {
    let of_family = |v4: bool| {
        let bits = if v4 { 32_u8 } else { 128 };
        let way = (
            any_address(v4),
            0..=bits,
            proptest::option::of(any_address(v4)),
            proptest::option::of(any_address(v4)),
        );
        let rest = (
            any::<u32>(),
            proptest::option::of(1..u32::MAX),
            proptest::sample::select(&Origin::ALL),
        );
        (way, rest).prop_map(
            |((address, length, gateway, source), (metric, lifetime, origin))| Route {
                destination: network(IpCidr::new(address.into(), length)),
                gateway,
                link: ETH1,
                source,
                metric,
                origin,
                expires: lifetime.map(|seconds| START + Duration::from_secs(seconds.into())),
            },
        )
    };
    any::<bool>().prop_flat_map(of_family)
}

proptest! {
    #[test]
    fn every_route_is_read_back_as_it_was_written(written in any_route()) {
        let text = written.text("eth1", START).to_string();
        let spec = RouteSpec::parse_removal(&text).map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
        prop_assert_eq!(spec.device.as_deref(), Some("eth1"));
        let origin = spec.origin.expect("a list says the origin");
        prop_assert_eq!(&spec.into_route(ETH1, origin, START), &written, "{}", text);
        let added = text.parse::<RouteSpec>();
        prop_assert_eq!(added.is_ok(), origin == Origin::Static, "{}: {:?}", text, added);
    }

    #[test]
    fn no_text_whatever_panics(text in "(default|[0-9a-f:./]{1,12})( (via|dev|src|metric|expires|proto|x) [0-9a-z:.%/+-]{0,9}){0,4}") {
        if let Ok(spec) = text.parse::<RouteSpec>() {
            let device = spec.device.clone().unwrap_or("eth0".into());
            let route = spec.into_route(ETH0, Origin::Static, START);
            let shown = route.text(&device, START).to_string();
            prop_assert!(shown.parse::<RouteSpec>().is_ok(), "{text}: {shown}");
        }
    }
}
