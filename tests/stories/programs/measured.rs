//! iperf3 of Debian, client and server.

use super::{Lab, PATIENCE, text, wait_for_listener};
use crate::traffic::{LINUX, OURS};

#[test]
fn iperf3_measures_both_ways_and_by_datagrams() {
    let Some(lab) = Lab::start() else { return };
    for how in ["-n 5M", "-n 5M -R", "-u -b 10M -n 1M"] {
        let peers = lab.peers();
        let server = peers.program(&format!("iperf3 -s -1 -B {LINUX} --forceflush"), "iperf3");
        let mut server = server.unwrap().start().unwrap();
        server
            .wait_for_output("Server listening", PATIENCE)
            .unwrap();
        let report = text(&lab.run(&format!("iperf3 -c {LINUX} {how}"), "iperf3"));
        assert!(report.contains("iperf Done."), "{how}: {report}");
        assert!(server.wait(PATIENCE).unwrap().success());
    }
    let mut server = lab.program("iperf3 -s -1", "iperf3").start().unwrap();
    wait_for_listener(&lab, 5201);
    let client = format!("iperf3 -c {OURS} -n 5M -P 4");
    let report = text(&lab.run_on_linux(&client, "iperf3"));
    assert!(report.contains("iperf Done."), "{report}");
    assert!(server.wait(PATIENCE).unwrap().success());
    lab.all_is_given_back();
}
