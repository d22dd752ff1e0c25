//! Names: glibc's own resolver makes its sockets where nobody can stand in for them, so its functions are replaced.

use core::ffi::{CStr, c_char, c_int};
use core::mem::size_of;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::ptr::null_mut;

use libc::{addrinfo, sockaddr_in6, socklen_t};

use crate::address;
use crate::door::ask;

/// One address in one piece of memory, as glibc's freeaddrinfo frees it.
#[repr(C)]
struct Entry {
    info: addrinfo,
    address: [u8; size_of::<sockaddr_in6>()],
}

/// What is asked for: family, and kinds of sockets with their protocols.
pub(crate) struct Hints {
    flags: c_int,
    family: c_int,
    kinds: Vec<(c_int, c_int)>,
}

impl Hints {
    /// Addresses of that family, for whatever kind of socket.
    pub(crate) fn of(family: c_int) -> Hints {
        Hints {
            family,
            ..Hints::new(None)
        }
    }

    fn new(given: Option<&addrinfo>) -> Hints {
        let both = [
            (libc::SOCK_STREAM, libc::IPPROTO_TCP),
            (libc::SOCK_DGRAM, libc::IPPROTO_UDP),
        ];
        let Some(given) = given else {
            return Hints {
                flags: 0,
                family: libc::AF_UNSPEC,
                kinds: both.to_vec(),
            };
        };
        let fits = |&(kind, protocol): &(c_int, c_int)| {
            (given.ai_socktype == 0 || given.ai_socktype == kind)
                && (given.ai_protocol == 0 || given.ai_protocol == protocol)
        };
        Hints {
            flags: given.ai_flags,
            family: given.ai_family,
            kinds: both.into_iter().filter(fits).collect(),
        }
    }

    fn wants(&self, address: IpAddr) -> bool {
        match self.family {
            libc::AF_INET => address.is_ipv4(),
            libc::AF_INET6 => address.is_ipv6(),
            _ => true,
        }
    }
}

/// getaddrinfo(3)
#[unsafe(no_mangle)]
unsafe extern "C" fn getaddrinfo(
    node: *const c_char,
    service: *const c_char,
    hints: *const addrinfo,
    result: *mut *mut addrinfo,
) -> c_int {
    // SAFETY: the caller's strings and hints, or null.
    let (node, service, hints) = unsafe { (text(node), text(service), Hints::new(hints.as_ref())) };
    if node.is_none() && service.is_none() {
        return libc::EAI_NONAME;
    }
    let port = match service.as_deref().map(|service| port(service, &hints)) {
        None => 0,
        Some(Some(port)) => port,
        Some(None) => return libc::EAI_SERVICE,
    };
    let addresses = match addresses(node.as_deref(), &hints) {
        Ok(addresses) => addresses,
        Err(error) => return error,
    };
    let canonical = node.filter(|_| hints.flags & libc::AI_CANONNAME != 0);
    let mut first = null_mut();
    for &ip in addresses.iter().rev() {
        for &(kind, protocol) in hints.kinds.iter().rev() {
            first = entry(SocketAddr::new(ip, port), (kind, protocol), first);
        }
    }
    if first.is_null() {
        return libc::EAI_NONAME;
    }
    // SAFETY: the first entry is ours; the caller has room for a pointer.
    unsafe {
        if let Some(canonical) = canonical.and_then(|name| std::ffi::CString::new(name).ok()) {
            (*first).ai_canonname = libc::strdup(canonical.as_ptr());
        }
        *result = first;
    }
    0
}

/// # Safety
/// A C string or null.
unsafe fn text(string: *const c_char) -> Option<String> {
    if string.is_null() {
        return None;
    }
    // SAFETY: as the caller says.
    let string = unsafe { CStr::from_ptr(string) };
    Some(string.to_string_lossy().into_owned())
}

fn port(service: &str, hints: &Hints) -> Option<u16> {
    if let Ok(port) = service.parse() {
        return Some(port);
    }
    let name = std::ffi::CString::new(service).ok()?;
    let protocol = match hints.kinds.as_slice() {
        [(libc::SOCK_DGRAM, _)] => c"udp",
        _ => c"tcp",
    };
    // SAFETY: two C strings; the answer is read before anybody else asks on this thread.
    let entry = unsafe { libc::getservbyname(name.as_ptr(), protocol.as_ptr()).as_ref() }?;
    Some(u16::from_be(u16::try_from(entry.s_port).ok()?))
}

/// The addresses of a name, or EAI_*.
pub(crate) fn addresses(node: Option<&str>, hints: &Hints) -> Result<Vec<IpAddr>, c_int> {
    let mut found: Vec<IpAddr> = match node {
        None if hints.flags & libc::AI_PASSIVE != 0 => {
            vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()]
        }
        None => vec![Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()],
        Some(node) => match node.parse() {
            Ok(address) => vec![address],
            Err(_) if hints.flags & libc::AI_NUMERICHOST != 0 => return Err(libc::EAI_NONAME),
            Err(_) => look_up(node, hints.family)?,
        },
    };
    found.retain(|&address| hints.wants(address));
    match found.is_empty() {
        true => Err(libc::EAI_NONAME),
        false => Ok(found),
    }
}

fn look_up(node: &str, family: c_int) -> Result<Vec<IpAddr>, c_int> {
    if node.contains([' ', '\n']) {
        return Err(libc::EAI_NONAME);
    }
    let family = match family {
        libc::AF_INET => "4",
        libc::AF_INET6 => "6",
        _ => "0",
    };
    match ask(&format!("resolve {family} {node}")) {
        Ok(answer) => Ok(answer
            .text
            .split(' ')
            .filter_map(|ip| ip.parse().ok())
            .collect()),
        Err(libc::ENOENT) => Err(libc::EAI_NONAME),
        Err(_) => Err(libc::EAI_AGAIN),
    }
}

fn entry(end: SocketAddr, (kind, protocol): (c_int, c_int), next: *mut addrinfo) -> *mut addrinfo {
    let (address, length) = address::bytes(end);
    // SAFETY: memory of an entry's size, which calloc has filled with zeros; null is looked at.
    unsafe {
        let entry = libc::calloc(1, size_of::<Entry>()).cast::<Entry>();
        if entry.is_null() {
            return next;
        }
        (*entry).address = address;
        let info = &raw mut (*entry).info;
        (*info).ai_family = if end.is_ipv4() {
            libc::AF_INET
        } else {
            libc::AF_INET6
        };
        (*info).ai_socktype = kind;
        (*info).ai_protocol = protocol;
        (*info).ai_addrlen = length as socklen_t;
        (*info).ai_addr = (&raw mut (*entry).address).cast();
        (*info).ai_next = next;
        info
    }
}

/// getnameinfo(3): numbers, for addresses have no names here.
#[unsafe(no_mangle)]
unsafe extern "C" fn getnameinfo(
    address: *const libc::sockaddr,
    length: socklen_t,
    host: *mut c_char,
    host_room: socklen_t,
    service: *mut c_char,
    service_room: socklen_t,
    flags: c_int,
) -> c_int {
    // SAFETY: the caller's address.
    let Ok(Some(end)) = (unsafe { address::read(address, length) }) else {
        return libc::EAI_FAMILY;
    };
    if flags & libc::NI_NAMEREQD != 0 {
        return libc::EAI_NONAME;
    }
    // SAFETY: the caller's room.
    let fits = unsafe {
        give(&end.ip().to_string(), host, host_room)
            && give(&end.port().to_string(), service, service_room)
    };
    if fits { 0 } else { libc::EAI_OVERFLOW }
}

/// # Safety
/// Null, or room for so many bytes.
unsafe fn give(text: &str, to: *mut c_char, room: socklen_t) -> bool {
    if to.is_null() || room == 0 {
        return true;
    }
    if text.len() >= room as usize {
        return false;
    }
    // SAFETY: there is room for the text and a zero.
    unsafe {
        core::ptr::copy_nonoverlapping(text.as_ptr(), to.cast(), text.len());
        to.add(text.len()).write(0);
    }
    true
}
