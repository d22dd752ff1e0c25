//! What is set is what is got, and nothing that is set breaks anything.

use proptest::prelude::*;
use smoltcp::time::Instant;

use syscall::error::ENODEV;

use super::*;
use crate::socket::{Owner, SocketKind};
use crate::stack::Limits;

/// Every option that can be set, with a value.
const SETTABLE: [((u64, u64), &[u8]); 14] = [
    ((SOL_SOCKET, so::REUSEPORT), &[1, 0, 0, 0]),
    ((IPPROTO_IP, ip::TTL), &[9, 0, 0, 0]),
    ((IPPROTO_IP, ip::TOS), &[0x10, 0, 0, 0]),
    ((IPPROTO_IPV6, ipv6::TCLASS), &[0x20, 0, 0, 0]),
    ((SOL_SOCKET, so::REUSEADDR), &[1, 0, 0, 0]),
    ((SOL_SOCKET, so::BROADCAST), &[1, 0, 0, 0]),
    ((SOL_SOCKET, so::RCVBUF), &[0, 0, 2, 0]),
    ((IPPROTO_IPV6, ipv6::UNICAST_HOPS), &[9, 0, 0, 0]),
    ((IPPROTO_IPV6, ipv6::V6ONLY), &[1, 0, 0, 0]),
    ((IPPROTO_IP, ip::MULTICAST_TTL), &[9, 0, 0, 0]),
    ((IPPROTO_IPV6, ipv6::MULTICAST_HOPS), &[9, 0, 0, 0]),
    ((IPPROTO_IP, ip::MULTICAST_LOOP), &[0, 0, 0, 0]),
    ((IPPROTO_IPV6, ipv6::MULTICAST_LOOP), &[0, 0, 0, 0]),
    ((IPPROTO_IPV6, ipv6::MULTICAST_IF), &[3, 0, 0, 0]),
];

fn stack() -> Stack {
    Stack::new([7; 32], Limits::default(), Instant::ZERO)
}

#[test]
fn what_is_set_is_what_is_got() {
    let mut stack = stack();
    let id = stack.socket(SocketKind::Udp, Owner::ROOT).unwrap();
    for (name, value) in SETTABLE {
        let Ok(Wish::Set(option)) = read(&stack, name, &Value(value)) else {
            panic!("{name:?}")
        };
        stack.set_option(id, option).unwrap();
        let got = stack.option(id, named(name).unwrap()).unwrap();
        assert_eq!(written(got), value, "{name:?}");
    }
}

#[test]
fn a_group_comes_with_an_address_a_number_or_neither() {
    let stack = stack();
    let wish = |name, value: &[u8]| match read(&stack, name, &Value(value)) {
        Ok(Wish::Join(group, link)) => Ok((group, link.map(|link| link.0))),
        Ok(_) => panic!("{name:?}"),
        Err(error) => Err(error.errno),
    };
    let join = (IPPROTO_IP, ip::ADD_MEMBERSHIP);
    let group: IpAddr = [239, 1, 2, 3].into();
    let request = |rest: &[u8]| [&[239, 1, 2, 3], rest].concat();
    assert_eq!(wish(join, &request(&[0; 4])), Ok((group, None)));
    assert_eq!(wish(join, &request(&[127, 0, 0, 1])), Ok((group, Some(0))));
    assert_eq!(wish(join, &request(&[10, 9, 9, 9])), Err(ENODEV));
    let numbered = [&request(&[0; 4])[..], &7_u32.to_ne_bytes()].concat();
    assert_eq!(wish(join, &numbered), Ok((group, Some(7))));
    assert_eq!(wish(join, &request(&[0; 3])), Err(EINVAL));
    let join = (IPPROTO_IPV6, ipv6::JOIN_GROUP);
    assert_eq!(wish(join, &[0; 19]), Err(EINVAL));
}

proptest! {
    #[test]
    fn any_option_with_any_bytes_has_an_answer(
        level in prop_oneof![Just(0), Just(1), Just(6), Just(41), any::<u64>()],
        name in prop_oneof![0_u64..50, any::<u64>()],
        value in proptest::collection::vec(any::<u8>(), 0..24),
    ) {
        let stack = stack();
        let _ = read(&stack, (level, name), &Value(&value));
        let _ = named((level, name));
    }
}

#[test]
fn the_level_of_ipv4_is_told_from_none() {
    assert_eq!(named_by(None, so::REUSEADDR), (SOL_SOCKET, so::REUSEADDR));
    assert_eq!(named_by(Some(0), ip::TTL), (SOL_SOCKET, so::REUSEADDR));
    assert_eq!(named_by(Some(MEANT), ip::TTL), (IPPROTO_IP, ip::TTL));
    let level = named_by(Some(0), ip::ADD_MEMBERSHIP).0;
    assert_eq!(level, IPPROTO_IP, "no option of SOL_SOCKET here");
    let level = MEANT | IPPROTO_TCP;
    assert_eq!(named_by(Some(level), 1), (IPPROTO_TCP, 1));
}

#[test]
fn options_of_sockets_are_ints_and_those_of_ipv4_s_multicast_may_be_bytes() {
    let stack = stack();
    let is_refused = |name| read(&stack, name, &Value(&[1])).is_err_and(|e| e.errno == EINVAL);
    assert!(is_refused((SOL_SOCKET, so::REUSEADDR)));
    assert!(is_refused((IPPROTO_TCP, tcp::NODELAY)));
    assert!(!is_refused((IPPROTO_IP, ip::MULTICAST_TTL)));
    assert!(!is_refused((IPPROTO_IP, ip::MULTICAST_LOOP)));
}
