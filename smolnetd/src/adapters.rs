//! The adapters under `/scheme/network.*`, as links of the stack.

use std::collections::BTreeMap;

use netscheme::frame::{FrameSink, FrameSource, LinkState, Mac, Slot};
use netscheme::network::client::{Adapter, Control, Receiver, Transmitter};
use netscheme::reactor::Watcher;
use smoltcp::time::Instant;

use crate::link::{LinkConfig, LinkKind};
use crate::ports::{LinkId, Ports};
use crate::stack::Stack;

/// Frames taken from one adapter before others have their turn.
const FRAMES_PER_TURN: usize = 256;
/// Adapters that are remembered; more are left alone.
pub(crate) const MOST_ADAPTERS: usize = 64;

/// The transmit sides.
#[derive(Default)]
pub(crate) struct Transmitters(BTreeMap<LinkId, Transmitter>);

impl Ports for Transmitters {
    fn has_room(&self, link: LinkId) -> bool {
        self.0.get(&link).is_some_and(Transmitter::has_room)
    }

    fn send<R>(
        &mut self,
        link: LinkId,
        length: usize,
        write: impl FnOnce(&mut [u8]) -> R,
    ) -> Option<R> {
        let mut slot = self.0.get_mut(&link)?.slot(length)?;
        let result = write(&mut slot);
        slot.commit();
        Some(result)
    }
}

impl Transmitters {
    /// Hands what was written to the drivers. A link that was full and has room again is told to the stack; the
    /// answer says whether there was one.
    pub(crate) fn flush(&mut self, stack: &mut Stack) -> bool {
        let mut room = false;
        for (link, transmitter) in &mut self.0 {
            let was_full = !transmitter.has_room();
            transmitter.flush();
            if was_full && transmitter.has_room() {
                stack.room_again(*link);
                room = true;
            }
        }
        room
    }

    /// By what a link is told that its driver has room again.
    pub(crate) fn wake(&mut self, link: LinkId, watcher: Watcher, token: usize) {
        if let Some(transmitter) = self.0.get_mut(&link) {
            transmitter.wake(watcher, token);
        }
    }

    fn failed(&self, link: LinkId) -> bool {
        self.0
            .get(&link)
            .is_some_and(|transmitter| transmitter.failure().is_some())
    }
}

/// By what an adapter is known again: it is the same if all of this is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Identity {
    /// The driver's name for it: the scheme's without `network.`. It says where the adapter is plugged in.
    driver: String,
    mac: Mac,
    mtu: u16,
}

/// One adapter, present or remembered.
struct Entry {
    identity: Identity,
    /// None while its driver is gone.
    live: Option<Live>,
    /// Since when it is.
    gone: Option<Instant>,
}

struct Live {
    control: Control,
    receiver: Receiver,
    readable: bool,
}

/// All adapters, by their links.
#[derive(Default)]
pub(crate) struct Adapters {
    entries: BTreeMap<LinkId, Entry>,
}

impl Adapters {
    /// Takes a driver's adapter in. One that was here before keeps its link, and with it name, addresses and
    /// connections, unless it is another device now. The answer is the link, and whether it is new to the stack.
    pub(crate) fn attach(
        &mut self,
        adapter: Adapter,
        stack: &mut Stack,
        transmitters: &mut Transmitters,
        now: Instant,
    ) -> Option<(LinkId, bool)> {
        let (control, receiver, transmitter) = adapter.split();
        let up = control.link().up;
        let identity = Identity {
            driver: control.name().to_owned(),
            mac: control.mac(),
            mtu: control.mtu(),
        };
        let (link, fresh) = self.take_in(identity, stack, now)?;
        // One that was replaced may have died unnoticed.
        transmitters
            .0
            .retain(|link, _| self.entries.contains_key(link));
        let entry = self.entries.get_mut(&link)?;
        entry.gone = None;
        entry.live = Some(Live {
            control,
            receiver,
            readable: true,
        });
        transmitters.0.insert(link, transmitter);
        stack.set_link_up(now, link, up);
        // What waited for room in the former driver's queue finds it here.
        stack.room_again(link);
        Some((link, fresh))
    }

    /// The link of an adapter, and whether it is new to the stack. None when there are too many that are in use.
    fn take_in(
        &mut self,
        identity: Identity,
        stack: &mut Stack,
        now: Instant,
    ) -> Option<(LinkId, bool)> {
        let known = self
            .entries
            .iter()
            .find(|(_, entry)| entry.identity.driver == identity.driver)
            .map(|(&link, entry)| (link, entry.identity == identity));
        let name = match known {
            Some((link, true)) => return Some((link, false)),
            Some((link, false)) => {
                let name = stack.link(link).map(|link| link.name().to_owned());
                self.forget(link, stack, now);
                name
            }
            None => None,
        };
        if self.entries.len() >= MOST_ADAPTERS {
            let longest_gone = self
                .entries
                .iter()
                .filter_map(|(&link, entry)| Some((entry.gone?, link)))
                .min();
            let (_, link) = longest_gone?;
            self.forget(link, stack, now);
        }
        let link = add(stack, name, &identity, now);
        let entry = Entry {
            identity,
            live: None,
            gone: None,
        };
        self.entries.insert(link, entry);
        Some((link, true))
    }

    fn forget(&mut self, link: LinkId, stack: &mut Stack, now: Instant) {
        self.entries.remove(&link);
        stack.remove_link(now, link);
    }

    /// The adapters whose drivers have gone: their links are down from here on. The answer names the drivers, so that
    /// they are looked for again.
    pub(crate) fn detach_failed(
        &mut self,
        stack: &mut Stack,
        transmitters: &mut Transmitters,
        now: Instant,
    ) -> Vec<String> {
        let mut gone = Vec::new();
        for (&link, entry) in &mut self.entries {
            let Some(live) = &entry.live else { continue };
            if live.receiver.failure().is_some() || transmitters.failed(link) {
                entry.live = None;
                entry.gone = Some(now);
                transmitters.0.remove(&link);
                stack.set_link_up(now, link, false);
                gone.push(entry.identity.driver.clone());
            }
        }
        gone
    }

    /// The descriptors of an adapter to watch: for frames, and for the link's state.
    pub(crate) fn control(&self, link: LinkId) -> Option<&Control> {
        self.entries
            .get(&link)?
            .live
            .as_ref()
            .map(|live| &live.control)
    }

    /// The data file became readable or writable.
    pub(crate) fn on_data_event(
        &mut self,
        link: LinkId,
        flags: syscall::EventFlags,
        stack: &mut Stack,
        transmitters: &mut Transmitters,
    ) {
        if flags.contains(syscall::EventFlags::EVENT_READ)
            && let Some(live) = self.live(link)
        {
            live.readable = true;
        }
        if flags.contains(syscall::EventFlags::EVENT_WRITE)
            && let Some(transmitter) = transmitters.0.get_mut(&link)
        {
            let was_full = !transmitter.has_room();
            transmitter.on_writable();
            if was_full && transmitter.has_room() {
                stack.room_again(link);
            }
        }
    }

    /// The link's state changed.
    pub(crate) fn on_link_event(&mut self, link: LinkId, stack: &mut Stack, now: Instant) {
        if let Some(live) = self.live(link) {
            let LinkState { up, .. } = live.control.on_link_event();
            stack.set_link_up(now, link, up);
        }
    }

    /// Looks at every adapter, whether it said something or not: one whose driver died says nothing.
    pub(crate) fn look_at_all(&mut self) {
        let live = self.entries.values_mut().filter_map(|e| e.live.as_mut());
        live.for_each(|live| live.readable = true);
    }

    /// Hands received frames to the stack, from each adapter a turn's worth. True when more may be waiting.
    pub(crate) fn receive(
        &mut self,
        stack: &mut Stack,
        transmitters: &mut Transmitters,
        now: Instant,
    ) -> bool {
        let mut more = false;
        for (&link, entry) in &mut self.entries {
            let Some(live) = entry.live.as_mut().filter(|live| live.readable) else {
                continue;
            };
            for _ in 0..FRAMES_PER_TURN {
                match live.receiver.next_frame() {
                    Some(frame) => stack.handle_frame(now, link, &frame, transmitters),
                    None => {
                        live.readable = false;
                        break;
                    }
                }
            }
            more |= live.readable;
        }
        more
    }

    /// The speed that the driver reports, in Mbit/s.
    pub(crate) fn speed_mbps(&self, link: LinkId) -> Option<u32> {
        self.control(link)?.link().speed_mbps
    }

    /// The driver's counters.
    pub(crate) fn stats(&self, link: LinkId) -> Vec<(String, u64)> {
        self.control(link).map_or_else(Vec::new, Control::stats)
    }

    fn live(&mut self, link: LinkId) -> Option<&mut Live> {
        self.entries.get_mut(&link)?.live.as_mut()
    }
}

/// What one adapter more costs: a route over the first is taken before any over the second, whatever routers prefer.
const METRIC_STEP: u32 = 100;

/// Adds a link under its old name, or the first free `ethN`. Their numbers are their order: what DHCP and routers say of
/// `eth0` goes before what they say of `eth1`.
fn add(stack: &mut Stack, name: Option<String>, identity: &Identity, now: Instant) -> LinkId {
    let names = (0..)
        .take(MOST_ADAPTERS + 1)
        .map(|n| (n, format!("eth{n}")));
    let (number, name) = names
        .filter(|(_, free)| stack.link_by_name(free).is_none())
        .find(|(_, free)| name.as_ref().is_none_or(|wanted| wanted == free))
        .unwrap_or_default();
    let config = LinkConfig {
        name,
        mac: identity.mac.0,
        mtu: identity.mtu,
        up: false,
        kind: LinkKind::Ethernet,
    };
    let link = stack.add_link(now, config);
    stack.set_link_metric(now, link, METRIC_STEP.saturating_mul(number));
    link
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::Limits;

    struct Bench {
        adapters: Adapters,
        stack: Stack,
        now: Instant,
    }

    impl Bench {
        fn new() -> Bench {
            Bench {
                adapters: Adapters::default(),
                stack: Stack::new([7; 32], Limits::default(), Instant::ZERO),
                now: Instant::ZERO,
            }
        }

        /// An adapter appears; its name and whether it is new.
        fn plug(&mut self, driver: &str, last: u8) -> Option<(String, bool)> {
            self.now += smoltcp::time::Duration::from_secs(1);
            let identity = Identity {
                driver: driver.into(),
                mac: Mac([2, 0, 0, 0, 0, last]),
                mtu: 1500,
            };
            let (link, fresh) = self.adapters.take_in(identity, &mut self.stack, self.now)?;
            self.adapters.entries.get_mut(&link).unwrap().gone = None;
            Some((self.stack.link(link).unwrap().name().to_owned(), fresh))
        }

        fn unplug(&mut self, name: &str) {
            let link = self.stack.link_by_name(name).unwrap().id();
            self.adapters.entries.get_mut(&link).unwrap().gone = Some(self.now);
        }
    }

    fn named(name: &str, fresh: bool) -> Option<(String, bool)> {
        Some((name.to_owned(), fresh))
    }

    #[test]
    fn an_adapter_that_was_unplugged_comes_back_under_its_name() {
        let mut bench = Bench::new();
        assert_eq!(bench.plug("pci_virtio_net", 1), named("eth0", true));
        assert_eq!(bench.plug("usb_rndis+5", 2), named("eth1", true));
        bench.unplug("eth0");
        assert_eq!(bench.plug("usb_rndis+6", 3), named("eth2", true));
        assert_eq!(bench.plug("pci_virtio_net", 1), named("eth0", false));
    }

    #[test]
    fn another_device_in_the_same_place_takes_the_name_and_starts_anew() {
        let mut bench = Bench::new();
        bench.plug("usb_rndis+5", 1);
        let first = bench.stack.link_by_name("eth0").unwrap().id();
        bench.unplug("eth0");
        assert_eq!(bench.plug("usb_rndis+5", 2), named("eth0", true));
        assert_ne!(bench.stack.link_by_name("eth0").unwrap().id(), first);
        assert!(bench.stack.link(first).is_none(), "nothing of it is left");
    }

    #[test]
    fn adapters_that_come_and_go_for_ever_take_no_more_room_than_there_is() {
        let mut bench = Bench::new();
        for number in 0..=255 {
            let (name, _) = bench.plug(&format!("usb_rndis+{number}"), number).unwrap();
            bench.unplug(&name);
        }
        assert_eq!(bench.adapters.entries.len(), MOST_ADAPTERS);
        assert_eq!(bench.stack.links().count(), MOST_ADAPTERS + 1, "and lo");
        assert_eq!(bench.plug("usb_rndis+255", 255), named("eth63", false));
        let forgotten = bench.plug("usb_rndis+0", 0);
        assert!(forgotten.is_some_and(|(_, fresh)| fresh));
    }

    #[test]
    fn when_all_are_in_use_one_more_is_left_alone() {
        let mut bench = Bench::new();
        for number in 0..MOST_ADAPTERS as u8 {
            bench.plug(&format!("pci_{number}"), number).unwrap();
        }
        assert_eq!(bench.plug("pci_more", 200), None);
        bench.unplug("eth9");
        assert_eq!(bench.plug("pci_more", 200), named("eth9", true));
    }
}
