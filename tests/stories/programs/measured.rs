//! iperf3 of Debian, client and server, both ways and by datagrams.

use lab::Process;
use serde_json::Value;

use super::{Lab, PATIENCE, text, wait_for_listener};
use crate::traffic::{LINUX, OURS};

/// What is measured, each for a second.
const TCP: [&str; 3] = ["-t 1 -P 8", "-t 1 -R", "-t 1 --bidir"];
const UDP: [&str; 2] = ["-u -t 1 -b 20M", "-u -t 1 -b 20M -R"];

/// The number that stands there in a report.
fn number(report: &Value, place: &str) -> f64 {
    let value = report.pointer(place).and_then(Value::as_f64);
    value.unwrap_or_else(|| panic!("no {place} in {report:#}"))
}

/// Bytes came through every stream, and of datagrams most.
fn is_sane(how: &str, report: &[u8]) {
    let report: Value = serde_json::from_slice(report).unwrap();
    let streams = report.pointer("/end/streams").and_then(Value::as_array);
    let streams = streams.unwrap_or_else(|| panic!("{how}: {report:#}"));
    for stream in streams {
        match how.starts_with("-u") {
            false => assert!(number(stream, "/receiver/bytes") > 0.0, "{how}: {stream:#}"),
            true => {
                let sent = number(stream, "/udp/packets");
                let lost = number(stream, "/udp/lost_packets");
                // 20 Mbit/s in datagrams of 1448 bytes or so, for a second.
                assert!(sent > 800.0 && lost < sent / 4.0, "{how}: {lost} of {sent}");
            }
        }
    }
    let expected = match how {
        "-t 1 -P 8" => 8,
        "-t 1 --bidir" => 2,
        _ => 1,
    };
    assert_eq!(streams.len(), expected, "{how}");
}

fn ends_well(mut server: Process) {
    let status = server.wait(PATIENCE).unwrap();
    assert!(status.success(), "{}", text(&server.errors()));
}

#[test]
fn iperf3_measures_to_a_server_of_linux() {
    let Some(lab) = Lab::start() else { return };
    for how in TCP.into_iter().chain(UDP) {
        let peers = lab.peers();
        let server = peers.program(&format!("iperf3 -s -1 -B {LINUX} --forceflush"), "iperf3");
        let server = server.unwrap().start().unwrap();
        server
            .wait_for_output("Server listening", PATIENCE)
            .unwrap();
        let line = format!("iperf3 -J -c {LINUX} {how}");
        is_sane(how, &lab.run(&line, "iperf3"));
        ends_well(server);
    }
    lab.all_is_given_back();
}

#[test]
fn iperf3_of_linux_measures_to_a_server_of_ours() {
    let Some(lab) = Lab::start() else { return };
    for how in TCP.into_iter().chain(UDP) {
        let server = lab.program("iperf3 -s -1", "iperf3").start().unwrap();
        wait_for_listener(&lab, 5201);
        let line = format!("iperf3 -J -c {OURS} {how}");
        is_sane(how, &lab.run_on_linux(&line, "iperf3"));
        ends_well(server);
    }
    lab.all_is_given_back();
}
