//! What the measurements of a whole host share.

use smolnetd::ports::Ports;
use smolnetd::stack::Stack;
use smoltcp::time::{Duration, Instant};

/// Does what there is to do now. Nobody hears what changed.
pub(crate) fn poll(stack: &mut Stack, now: Instant, ports: &mut impl Ports) {
    while stack.poll(now, ports) {}
    stack.take_changes(&mut Vec::new());
}

/// `time` passes, and what becomes due is done.
pub(crate) fn wait(stack: &mut Stack, now: &mut Instant, time: Duration, ports: &mut impl Ports) {
    let end = *now + time;
    while let Some(due) = stack.next_deadline().filter(|&due| due <= end) {
        *now = due.max(*now);
        poll(stack, *now, ports);
    }
    *now = end;
    poll(stack, *now, ports);
}

/// Resident memory of this process in bytes (proc(5)).
pub(crate) fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    let kilobytes: usize = number
        .and_then(|number| number.parse().ok())
        .expect("VmRSS");
    kilobytes << 10
}
