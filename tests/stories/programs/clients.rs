//! Clients of Debian over smolnetd, with servers of Linux.

use std::io::Write;

use lab::Process;
use lab::peers::{HttpServer, sha256_of_pattern};
use sha2::{Digest, Sha256};

use lab::programs::{HTTP_PORT, Site};

use super::nginx::on_linux;
use super::{Lab, PATIENCE, text, wait_for_listener};
use crate::traffic::{LINUX, OURS, hexadecimal};

#[test]
fn wget_fetches_a_page() {
    let Some(lab) = Lab::start() else { return };
    let _server = HttpServer::start(lab.listener(80)).unwrap();
    let page = lab.run(&format!("wget -q -O - http://{LINUX}/bytes/300000"), "wget");
    assert_eq!(
        hexadecimal(&Sha256::digest(&page)),
        sha256_of_pattern(300_000)
    );
    lab.all_is_given_back();
}

#[test]
fn wget_fetches_a_whole_site() {
    let Some(lab) = Lab::start() else { return };
    let site = Site::new(&lab.folder()).unwrap();
    let pages = [("a", "b"), ("b", "folder/c"), ("folder/c", "/folder/d")];
    site.write("index.html", "<a href=a.html>a</a>").unwrap();
    for (page, next) in pages {
        let link = format!("<a href={next}.html>{next}</a>");
        site.write(&format!("{page}.html"), &link).unwrap();
    }
    site.write("folder/d.html", "the last").unwrap();
    let server = on_linux(&lab, &site);
    let at = lab.folder().join("copy");
    let line = format!(
        "wget -q -r -nH -P {} http://{LINUX}:{HTTP_PORT}/",
        at.display()
    );
    lab.run(&line, "wget");
    let last = std::fs::read_to_string(at.join("folder/d.html")).unwrap();
    assert_eq!(last, "the last");
    drop(server);
    lab.all_is_given_back();
}

#[test]
fn ping_of_debian_hears_its_echoes_small_and_large() {
    let Some(lab) = Lab::start() else { return };
    for size in [56, 8000] {
        let line = format!("ping -n -c 3 -i 0.1 -s {size} {LINUX}");
        let report = text(&lab.run(&line, "iputils-ping"));
        assert!(report.contains("3 received, 0% packet loss"), "{report}");
        let reply = format!("{} bytes from {LINUX}: icmp_seq=3", size + 8);
        assert!(report.contains(&reply), "{report}");
        assert!(!report.contains("BAD CHECKSUM"), "{report}");
    }
    // 1: nobody answers.
    let (code, said) = lab.code("ping -n -c 1 -W 0.5 10.9.0.77", "iputils-ping");
    assert_eq!(code, Some(1), "{said}");
    lab.all_is_given_back();
}

/// Its method asks for several files on one connection before the first has come.
#[test]
fn apt_updates_from_a_repository() {
    let Some(lab) = Lab::start() else { return };
    let site = Site::new(&lab.folder()).unwrap();
    for part in ["one", "two", "three"] {
        let package = format!(
            "Package: lab-{part}\nVersion: 1\nArchitecture: all\nMaintainer: lab\nFilename: {part}.deb\nSize: 1\n             SHA256: {}\nDescription: of the lab\n",
            "0".repeat(64)
        );
        site.write(&format!("{part}/Packages"), package).unwrap();
    }
    let server = on_linux(&lab, &site);
    let home = lab.folder().join("apt");
    for folder in ["state/lists/partial", "cache/archives/partial"] {
        std::fs::create_dir_all(home.join(folder)).unwrap();
    }
    let at = home.display();
    let lines = ["one", "two", "three"]
        .map(|part| format!("deb [trusted=yes] http://{LINUX}:{HTTP_PORT}/{part} ./\n"));
    std::fs::write(home.join("sources.list"), lines.concat()).unwrap();
    let options = format!(
        "-o Dir::State={at}/state -o Dir::Cache={at}/cache -o Dir::State::status=/dev/null -o APT::Sandbox::User=root \
         -o Dir::Etc::sourcelist={at}/sources.list -o Dir::Etc::sourceparts=/dev/null"
    );
    let said = text(&lab.run(&format!("apt-get {options} update"), "apt"));
    assert!(said.contains("Packages"), "{said}");
    let known = text(&lab.run(&format!("apt-cache {options} policy lab-two"), "apt"));
    assert!(known.contains("Candidate: 1"), "{said}\n{known}");
    drop(server);
    lab.all_is_given_back();
}

#[test]
fn connections_on_which_nothing_moves_hold_nobody_up() {
    let Some(lab) = Lab::start() else { return };
    let _server = HttpServer::start(lab.listener(80)).unwrap();
    let silent = lab.listener(81);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/stories/programs/stuck.py");
    let line = format!("/usr/bin/python3 {script} {LINUX} 80 81");
    let mut stuck = lab.program(&line, "python3").with_input().start().unwrap();
    stuck.wait_for_output("stuck", PATIENCE).unwrap();
    for _ in 0..3 {
        let line = format!("curl -sS -f http://{LINUX}/bytes/3000000");
        assert_eq!(lab.run(&line, "curl").len(), 3_000_000);
    }
    drop(stuck.take_input());
    assert!(stuck.wait(PATIENCE).unwrap().success());
    // What was written to those who never read would be sent for a long time.
    drop(silent);
    lab.all_is_given_back();
}

/// Says something into the input of `from` and ends it; both must end well, and `to` have heard it.
fn says(mut from: Process, mut to: Process) {
    let mut input = from.take_input().unwrap();
    input.write_all(b"good morning\n").unwrap();
    drop(input);
    assert!(
        from.wait(PATIENCE).unwrap().success(),
        "{}",
        text(&from.errors())
    );
    assert!(
        to.wait(PATIENCE).unwrap().success(),
        "{}",
        text(&to.errors())
    );
    assert_eq!(text(&to.output()), "good morning\n");
}

#[test]
fn nc_calls_and_is_called() {
    let Some(lab) = Lab::start() else { return };
    let listening = lab.peers().nc(&format!("-n -v -l {LINUX} 7007")).unwrap();
    listening.wait_for_errors("Listening", PATIENCE).unwrap();
    let line = format!("nc -N {LINUX} 7007");
    let calling = lab.program(&line, "netcat-openbsd").with_input();
    says(calling.start().unwrap(), listening);

    let ours = lab.program("nc -l 7008", "netcat-openbsd");
    let listening = ours.with_input().start().unwrap();
    wait_for_listener(&lab, 7008);
    let calling = lab.peers().nc(&format!("-n -N {OURS} 7008")).unwrap();
    says(calling, listening);
    lab.all_is_given_back();
}

#[test]
fn dig_asks_over_udp_and_over_tcp_and_again_when_an_answer_was_cut() {
    let Some(lab) = Lab::start() else { return };
    let _names = lab.name_server();
    for how in ["+notcp", "+tcp"] {
        let line = format!("dig +short +tries=1 {how} @{LINUX} www.lab.test A");
        let answer = lab.run(&line, "bind9-dnsutils");
        assert_eq!(text(&answer), format!("{LINUX}\n"), "{how}");
    }
    // RFC 1035 4.2.1: what does not fit a datagram is asked for again over TCP.
    let line = format!("dig +noedns +tries=1 @{LINUX} long.lab.test A");
    let answer = text(&lab.run(&line, "bind9-dnsutils"));
    assert!(
        answer.contains("Truncated, retrying in TCP mode"),
        "{answer}"
    );
    assert!(answer.contains(&LINUX.to_string()), "{answer}");
    lab.all_is_given_back();
}
