//! `curl` over TLS, redirects and resumed downloads, through smolnetd and QEMU's user network.

use std::io::Read;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use lab::machine::{MachineSpec, NicSpec};
use lab::network::{Namespace, Netdev, Slirp};
use lab::peers::{AUTHORITY, Certificate, DnsAnswer, DnsServer, HttpServer, PAGE, pattern};
use lab::{Stack, StackSpec, requires_namespace};

use crate::common::{SOON, configured, run};
use crate::traffic::both_ways_by;

/// The ports of the host.
const HTTP: u16 = 80;
const HTTPS: u16 = 443;
const OTHER_NAME: u16 = 4431;
const EXPIRED: u16 = 4432;
const UNKNOWN: u16 = 4433;
/// Resets whoever connects, once it has read a little.
const RESETS: u16 = 4434;
/// Takes connections and never says a word.
const SILENT: u16 = 4435;

/// A host with pages over HTTP and HTTPS, and a machine that knows its authority.
struct Site {
    stack: Stack,
    secure: HttpServer,
    _servers: Vec<HttpServer>,
    _names: DnsServer,
    _silent: TcpListener,
    _namespace: Namespace,
}

impl Site {
    fn new() -> Site {
        let namespace = Namespace::with_own_resolver().unwrap();
        let bind = |port| {
            namespace
                .enter(|| TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).unwrap())
                .unwrap()
        };
        let bad = [
            (OTHER_NAME, Certificate::OtherName),
            (EXPIRED, Certificate::Expired),
            (UNKNOWN, Certificate::UnknownAuthority),
        ];
        let mut servers = vec![HttpServer::start(bind(HTTP)).unwrap()];
        for (port, certificate) in bad {
            servers.push(HttpServer::start_tls(bind(port), certificate).unwrap());
        }
        let resets = bind(RESETS);
        std::thread::spawn(move || {
            for stream in resets.incoming().map_while(Result::ok) {
                reset(stream);
            }
        });
        let (secure, silent) = (bind(HTTPS), bind(SILENT));
        let names = namespace
            .enter(|| UdpSocket::bind("[::]:53").unwrap())
            .unwrap();
        let both: [IpAddr; 2] = [Slirp::GATEWAY.into(), Slirp::GATEWAY6.into()];
        let names = DnsServer::start(
            names,
            [
                ("host.lab", DnsAnswer::at(both)),
                ("unheard.lab", DnsAnswer::Silence),
            ],
        )
        .unwrap();
        let slirp = Slirp::new().inside(&namespace);
        let nic = NicSpec::virtio(Netdev::Slirp(slirp));
        let stack = configured(StackSpec::new(MachineSpec::new().nic(nic)));
        stack.wait_for_ipv6("eth0", SOON).unwrap();
        stack.trust(AUTHORITY.as_bytes()).unwrap();
        Site {
            stack,
            secure: HttpServer::start_tls(secure, Certificate::Good).unwrap(),
            _servers: servers,
            _names: names,
            _silent: silent,
            _namespace: namespace,
        }
    }

    /// Writes a file of the machine.
    fn write(&self, name: &str, content: &[u8]) {
        let file = self.stack.machine().run().file(&format!("root/{name}"));
        std::fs::write(file, content).unwrap();
    }

    /// What `curl` says when it must fail.
    fn refusal(&self, arguments: &str) -> String {
        let done = self.stack.command(&format!("curl -s {arguments}"));
        assert!(done.result.is_err(), "{arguments}");
        done.result
            .map_or_else(|error| error.to_string(), |()| String::new())
    }
}

/// Closes with something unread, for which Linux sends a RST.
fn reset(mut stream: TcpStream) {
    let _ = stream.read(&mut [0; 10]);
}

#[test]
fn a_page_comes_over_https_by_name_by_address_and_by_redirect_from_http() {
    if !requires_namespace() {
        return;
    }
    let site = Site::new();
    for arguments in [
        "https://host.lab/",
        "-6 https://host.lab/",
        "https://10.0.2.2/",
        "https://[fd12::2]/",
        "-L http://host.lab/to/https://host.lab/",
        "-L https://host.lab/to/to/",
    ] {
        assert_eq!(run(&site.stack, &format!("curl -s -f {arguments}")), PAGE);
    }
    assert_eq!(site.secure.requests(), 8);
    let told = site
        .stack
        .command("curl -v https://host.lab/chunked/100000");
    told.result.unwrap();
    let mut expected = vec![0; 100_000];
    pattern(0, &mut expected);
    assert!(told.out == expected);
    let log = String::from_utf8(told.err).unwrap();
    for words in [
        "* connected to host.lab",
        "* TLS 1.3, ",
        "> GET /chunked",
        "< HTTP/1.1 200",
    ] {
        assert!(log.contains(words), "{words}: {log}");
    }
    // Its end is known by the TLS farewell alone.
    let page = site
        .stack
        .command("curl -s https://host.lab/until-close/100000");
    page.result.unwrap();
    assert!(page.out == expected);
}

#[test]
fn who_cannot_be_trusted_gets_no_request_and_the_user_hears_why() {
    if !requires_namespace() {
        return;
    }
    let site = Site::new();
    for (port, words) in [
        (OTHER_NAME, "other.lab"),
        (EXPIRED, "expired on 2001-01-01"),
        (UNKNOWN, "--cacert"),
    ] {
        let url = format!("https://host.lab:{port}/");
        let text = site.refusal(&url);
        assert!(text.starts_with("host.lab cannot be trusted"), "{text}");
        assert!(text.contains(words), "{text}");
        assert_eq!(run(&site.stack, &format!("curl -s -k {url}")), PAGE);
    }
    let warned = site
        .stack
        .command(&format!("curl -k https://host.lab:{UNKNOWN}/"));
    let warning = String::from_utf8(warned.err).unwrap();
    assert!(warning.contains("warning: -k"), "{warning}");
    // Not to where anybody can listen, unless told, and not for ever.
    let text = site.refusal("-L https://host.lab/to/http://host.lab/");
    assert!(text.contains("--allow-downgrade"), "{text}");
    let down = "curl -s -L --allow-downgrade https://host.lab/to/http://host.lab/";
    assert_eq!(run(&site.stack, down), PAGE);
    let text = site.refusal("-L --max-redirs 2 http://host.lab/to/to/to/");
    assert!(text.contains("more than 2 redirects"), "{text}");
    let text = site.refusal("https://host.lab:80/");
    assert!(text.contains("speak TLS on this port"), "{text}");
    site.write("none.pem", b"nothing");
    let text = site.refusal("--cacert /none.pem https://host.lab/");
    assert!(text.contains("/none.pem has no certificate"), "{text}");
}

#[test]
fn who_resets_refuses_or_never_answers_is_told_apart_and_holds_nobody_up() {
    if !requires_namespace() {
        return;
    }
    let site = Site::new();
    for scheme in ["http", "https"] {
        let text = site.refusal(&format!("{scheme}://host.lab:{RESETS}/"));
        assert!(text.contains("broke the connection off"), "{text}");
        let text = site.refusal(&format!("{scheme}://host.lab:9/"));
        assert!(text.contains("no server listens"), "{text}");
        let started = Instant::now();
        let text = site.refusal(&format!("--max-time 0.5 {scheme}://host.lab:{SILENT}/"));
        assert!(text.contains("0.5 s of --max-time"), "{text}");
        assert!(started.elapsed() < Duration::from_secs(3), "{text}");
    }
    let text = site.refusal(&format!("--connect-timeout 0.5 https://host.lab:{SILENT}/"));
    assert!(text.contains("0.5 s of --connect-timeout"), "{text}");
    let text = site.refusal("--connect-timeout 0.5 http://10.0.2.99/");
    assert!(text.contains("connecting to 10.0.2.99:80"), "{text}");
    let text = site.refusal("https://nobody.lab/");
    assert!(text.contains("no such name"), "{text}");
    let started = Instant::now();
    let text = site.refusal("--max-time 0.5 http://unheard.lab/");
    assert!(text.contains("looking for unheard.lab"), "{text}");
    assert!(text.contains("0.5 s of --max-time"), "{text}");
    // One name server's patience is 3 s.
    assert!(started.elapsed() < Duration::from_secs(2), "{text}");
}

/// RFC 9110 section 14.
#[test]
fn a_download_that_was_cut_goes_on_where_it_ended() {
    if !requires_namespace() {
        return;
    }
    const LENGTH: usize = 1_000_000;
    let site = Site::new();
    let file = site.stack.machine().run().file("root/file");
    let mut expected = vec![0; LENGTH];
    pattern(0, &mut expected);
    let url = format!("https://host.lab/cut/{LENGTH}");
    let text = site.refusal(&format!("-o /file {url}"));
    assert!(text.contains("-C - goes on from there"), "{text}");
    let there = std::fs::read(&file).unwrap();
    assert!(!there.is_empty() && there.len() < LENGTH && expected.starts_with(&there));
    run(&site.stack, &format!("curl -s -f -C - -o /file {url}"));
    assert!(std::fs::read(&file).unwrap() == expected);
    let again = format!("curl -C - -o /file {url}");
    let done = site.stack.command(&again);
    done.result.unwrap();
    let text = String::from_utf8(done.err).unwrap();
    assert!(text.contains("everything is there already"), "{text}");
    assert!(std::fs::read(&file).unwrap() == expected);
    // A server without ranges: from the start. One whose file is another: not at all.
    site.write("file", &expected[..1000]);
    run(
        &site.stack,
        &format!("curl -s -C - -o /file https://host.lab/chunked/{LENGTH}"),
    );
    assert!(std::fs::read(&file).unwrap() == expected);
    let text = site.refusal("-C - -o /file https://host.lab/bytes/5");
    assert!(text.contains("the server's has 5"), "{text}");
    let tail = format!("curl -s -C 999990 https://host.lab/bytes/{LENGTH}");
    assert_eq!(site.stack.command(&tail).out, expected[999_990..]);
}

#[test]
fn twenty_megabytes_over_https_arrive_whole_both_ways() {
    if !requires_namespace() {
        return;
    }
    let site = Site::new();
    let server = SocketAddr::from((Slirp::GATEWAY, HTTPS));
    both_ways_by("https", &site.stack, server, 20 << 20);
}
