//! Servers of Debian over smolnetd, with clients of Linux.

use lab::programs::{HTTP_PORT, HTTPS_PORT, Site};

use super::nginx::over_smolnetd;
use super::{Lab, text, wait_for_listener};
use crate::traffic::OURS;

/// `wrk` at that URL for a second, with so many connections: requests a second, and nothing else to tell.
fn wrk(lab: &Lab, connections: usize, arguments: &str) -> f64 {
    let line = format!("wrk -t1 -c{connections} -d1 {arguments}");
    let report = text(&lab.run_on_linux(&line, "wrk"));
    let rate = report
        .lines()
        .find_map(|line| line.strip_prefix("Requests/sec:")?.trim().parse().ok());
    assert!(!report.contains("Socket errors"), "{report}");
    assert!(!report.contains("Non-2xx"), "{report}");
    rate.unwrap_or_else(|| panic!("{report}"))
}

#[test]
fn a_server_in_python_is_asked_by_curl_and_wrk_of_linux() {
    let Some(lab) = Lab::start() else { return };
    let folder = lab.stack.machine().run().file("root");
    std::fs::write(folder.join("page"), "a page\n").unwrap();
    let folder = folder.display();
    let line = format!("/usr/bin/python3 -m http.server --directory {folder} 8000");
    let mut server = lab.program(&line, "python3").start().unwrap();
    wait_for_listener(&lab, 8000);
    for _ in 0..5 {
        let page = lab.run_on_linux(&format!("curl -sS -f http://{OURS}:8000/page"), "curl");
        assert_eq!(text(&page), "a page\n");
    }
    let rate = wrk(&lab, 4, &format!("http://{OURS}:8000/page"));
    assert!(rate > 20.0, "{rate} requests a second");
    assert!(server.is_running(), "{}", text(&server.errors()));
    drop(server);
    lab.all_is_given_back();
}

#[test]
fn redis_serves_fifty_clients_of_linux_at_once() {
    let Some(lab) = Lab::start() else { return };
    let line = "redis-server --port 6379 --protected-mode no --save  --appendonly no";
    let server = lab.program(line, "redis-server").start().unwrap();
    wait_for_listener(&lab, 6379);
    for how in ["-n 2000", "-n 20000 -P 16"] {
        let line = format!("redis-benchmark -h {OURS} -q -t set,get -c 50 {how}");
        let report = text(&lab.run_on_linux(&line, "redis-tools"));
        assert!(
            report.contains("SET: ") && report.contains("GET: "),
            "{report}"
        );
    }
    drop(server);
    lab.all_is_given_back();
}

#[test]
fn nginx_serves_pages_files_and_https_with_several_processes() {
    let Some(lab) = Lab::start() else { return };
    let site = Site::new(&lab.folder()).unwrap();
    site.write("page", "a page\n").unwrap();
    let file = vec![0x5a; 5 << 20];
    site.write("file", &file).unwrap();
    let server = over_smolnetd(&lab, &site, 2);
    let at = format!("http://{OURS}:{HTTP_PORT}");
    let page = lab.run_on_linux(&format!("curl -sS -f {at}/page"), "curl");
    assert_eq!(text(&page), "a page\n");
    // sendfile(2), to several at once.
    let line = format!("curl -sS -f -Z {at}/file {at}/file {at}/file");
    assert_eq!(lab.run_on_linux(&line, "curl").len(), 3 * file.len());
    let line = format!("curl -sS -f -k --http2 https://{OURS}:{HTTPS_PORT}/page");
    assert_eq!(text(&lab.run_on_linux(&line, "curl")), "a page\n");
    let rate = wrk(&lab, 20, &format!("{at}/small"));
    assert!(rate > 100.0, "{rate} requests a second");
    let rate = wrk(&lab, 20, &format!("-H Connection:close {at}/small"));
    assert!(rate > 50.0, "{rate} connections a second");
    drop(server);
    lab.all_is_given_back();
}
