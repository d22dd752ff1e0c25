//! curl of Debian, and all that befalls it.

use std::io::Read;
use std::net::TcpStream;
use std::time::Instant;

use lab::peers::{AUTHORITY, HttpServer, pattern, sha256_of_pattern};
use sha2::{Digest, Sha256};

use lab::programs::{HTTP_PORT, HTTPS_PORT, Site};

use super::nginx::on_linux;
use super::{Lab, PATIENCE, text};
use crate::traffic::{LINUX, OURS, counter, hexadecimal};

#[test]
fn curl_fetches_a_page_by_its_name_and_says_why_when_it_cannot() {
    let Some(lab) = Lab::start() else { return };
    let server = HttpServer::start(lab.listener(80)).unwrap();
    let _names = lab.name_server();
    let page = lab.run("curl -sS -f http://www.lab.test/bytes/300000", "curl");
    assert_eq!(
        hexadecimal(&Sha256::digest(&page)),
        sha256_of_pattern(300_000)
    );
    assert_eq!(server.requests(), 1);
    // Its own numbers: 6 could not resolve, 7 could not connect.
    for (url, code) in [
        ("http://nobody.lab.test/", 6),
        (&*format!("http://{LINUX}:81/"), 7),
    ] {
        let mut curl = lab
            .program(&format!("curl -sS {url}"), "curl")
            .start()
            .unwrap();
        let status = curl.wait(PATIENCE).unwrap();
        assert_eq!(status.code(), Some(code), "{url}: {}", text(&curl.errors()));
    }
    lab.all_is_given_back();
}

#[test]
fn a_connection_that_nobody_waits_for_any_more_is_given_up() {
    let Some(lab) = Lab::start() else { return };
    // Nobody is there: the connection would be tried for a minute and more.
    let line = "curl -sS --connect-timeout 1 http://10.9.0.77/";
    let mut curl = lab.program(line, "curl").start().unwrap();
    let code = curl.wait(PATIENCE).unwrap().code();
    assert_eq!(code, Some(28), "{}", text(&curl.errors()));
    lab.all_is_given_back();
    let sockets = lab.stack.read("/scheme/netcfg/sockets").unwrap();
    assert!(!sockets.contains("10.9.0.77"), "{sockets}");
}

#[test]
fn curl_speaks_https_and_http_2() {
    let Some(lab) = Lab::start() else { return };
    let site = Site::new(&lab.folder()).unwrap();
    site.write("page", "a page\n").unwrap();
    let _server = on_linux(&lab, &site);
    let _names = lab.name_server();
    let authority = lab.folder().join("authority");
    std::fs::write(&authority, AUTHORITY).unwrap();
    let authority = authority.display();
    let url = format!("https://www.lab.test:{HTTPS_PORT}/page");
    for (how, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let line = format!("curl -sS -f {how} -w %{{http_version}} --cacert {authority} {url}");
        assert_eq!(text(&lab.run(&line, "curl")), format!("a page\n{version}"));
    }
    // All on one connection.
    let urls = format!("{url} ").repeat(50);
    let line = format!("curl -sS -f -Z --http2 --cacert {authority} {urls}");
    let pages = text(&lab.run(line.trim_end(), "curl"));
    assert_eq!(pages, "a page\n".repeat(50));
    // 60: nobody vouches for the server.
    let (code, said) = lab.code(&format!("curl -sS {url}"), "curl");
    assert_eq!(code, Some(60), "{said}");
    lab.all_is_given_back();
}

#[test]
fn curl_fetches_a_hundred_pages_at_once() {
    let Some(lab) = Lab::start() else { return };
    let site = Site::new(&lab.folder()).unwrap();
    let mut page = vec![0; 100_000];
    pattern(0, &mut page);
    site.write("page", &page).unwrap();
    let _server = on_linux(&lab, &site);
    let at = lab.folder();
    let at = at.display();
    let line = format!(
        "curl -sS -f -Z --parallel-immediate --parallel-max 100 http://{LINUX}:{HTTP_PORT}/page?[1-100] -o {at}/page-#1"
    );
    lab.run(&line, "curl");
    for number in 1..=100 {
        let came = std::fs::read(lab.folder().join(format!("page-{number}"))).unwrap();
        assert!(came == page, "page {number}: {} bytes", came.len());
    }
    lab.all_is_given_back();
}

#[test]
fn who_limits_its_rate_takes_its_time_and_wakes_nobody_for_nothing() {
    let Some(lab) = Lab::start() else { return };
    let _server = HttpServer::start(lab.listener(80)).unwrap();
    let stats = "/scheme/netcfg/stats";
    let woken = counter(&lab.stack, stats, "daemon.wakeups");
    let url = format!("http://{LINUX}/bytes/2000000");
    // It lets itself run ahead, on Linux too.
    let line = format!("curl -sS -f --limit-rate 1000000 -o /dev/null {url}");
    lab.run(&line, "curl");
    let started = Instant::now();
    lab.run(
        &format!("wget -q --limit-rate=1000000 -O /dev/null {url}"),
        "wget",
    );
    let took = started.elapsed().as_secs_f64();
    assert!((1.5..15.0).contains(&took), "{took} s");
    let woken = counter(&lab.stack, stats, "daemon.wakeups") - woken;
    // Some 2,800 frames, their acknowledgements and the calls may each wake it; nothing does that again and again.
    assert!(woken < 12_000, "{woken} times");
    println!("{woken} times in {took} s");
    lab.all_is_given_back();
}

/// Takes connections and does something with each.
fn serve(lab: &Lab, port: u16, act: impl Fn(TcpStream) + Send + 'static) {
    let listener = lab.listener(port);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            act(stream);
        }
    });
}

#[test]
fn curl_says_what_the_server_did() {
    let Some(lab) = Lab::start() else { return };
    // Closing with something unread is a RST.
    serve(&lab, 7001, |mut stream| drop(stream.read(&mut [0; 10])));
    let silent = lab.listener(7002);
    let _cuts = HttpServer::start(lab.listener(7003)).unwrap();
    let started = Instant::now();
    for (arguments, code) in [
        // 56: failure in receiving; 35: in the TLS handshake; 28: too late; 18: less than was promised.
        (format!("http://{LINUX}:7001/"), 56),
        (format!("https://{LINUX}:7001/"), 35),
        (format!("-m 1 http://{LINUX}:7002/"), 28),
        (format!("http://{LINUX}:7003/cut/100000"), 18),
    ] {
        let line = format!("curl -sS -o /dev/null {arguments}");
        let (said_code, said) = lab.code(&line, "curl");
        assert_eq!(said_code, Some(code), "{arguments}: {said}");
        println!("{arguments}: {said}");
    }
    assert!(started.elapsed() < PATIENCE);
    drop(silent);
    lab.all_is_given_back();
}

/// RFC 9110 10.1.1: the body is sent when the server says that it wants it.
#[test]
fn curl_uploads_after_it_was_told_to_continue() {
    let Some(lab) = Lab::start() else { return };
    let _server = HttpServer::start(lab.listener(80)).unwrap();
    let mut bytes = vec![0; 20 << 20];
    pattern(0, &mut bytes);
    let file = lab.folder().join("upload");
    std::fs::write(&file, &bytes).unwrap();
    let line = format!("curl -sS -f -v -T {} http://{LINUX}/upload", file.display());
    let mut curl = lab.program(&line, "curl").start().unwrap();
    let status = curl.wait(PATIENCE).unwrap();
    let said = text(&curl.errors());
    assert!(status.success(), "{said}");
    assert!(said.contains("< HTTP/1.1 100 Continue"), "{said}");
    let hash = text(&curl.output());
    assert_eq!(hash.trim(), sha256_of_pattern(20 << 20));
    lab.all_is_given_back();
}

#[test]
fn curl_speaks_from_the_address_and_the_port_that_it_is_told() {
    let Some(lab) = Lab::start() else { return };
    let _server = HttpServer::start(lab.listener(80)).unwrap();
    let line = format!(
        "curl -sS -f -o /dev/null -w %{{local_ip}}:%{{local_port}} --interface {OURS} --local-port 40100-40110 http://{LINUX}/"
    );
    assert_eq!(text(&lab.run(&line, "curl")), format!("{OURS}:40100"));
    // 45: nobody has that address.
    let (code, said) = lab.code(
        &format!("curl -sS --interface 10.9.0.99 http://{LINUX}/"),
        "curl",
    );
    assert_eq!(code, Some(45), "{said}");
    lab.all_is_given_back();
}
