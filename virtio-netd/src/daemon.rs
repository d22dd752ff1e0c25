//! The driver's life: from pcid's channel to the end, asleep unless there is something to do.

use core::convert::Infallible;
use core::time::Duration;

use libredox::Fd;
use netscheme::budget::Budget;
use netscheme::network::announce::Announcer;
use netscheme::network::server::NetworkServer;
use netscheme::reactor::{Event, Reactor};
use netscheme::{Instant, clock, daemon, random};
use pcid_interface::Function;
use syscall::flag::EventFlags;
use virtio_core::DeviceError;

use crate::error::Error;
use crate::hardware::Hardware;
use crate::interrupts::{Interrupts, Look};
use crate::nic::Adapter;
use crate::platform::Platform;

/// What the driver is told at its start.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The value of `INIT_NOTIFY`: the descriptor that takes one byte once the scheme is there.
    pub init_notify: Option<String>,
}

/// The token of the scheme's socket; those of the interrupts are their places, from 0.
const SCHEME: usize = usize::MAX;

/// Drives the network card behind pcid's `channel` and serves it as `/scheme/network.<pci
/// name>_virtio_net`.
///
/// # Errors
/// What ended it; it never ends otherwise. The channel, the interrupts and the card are given up
/// with it.
pub fn run(
    options: &Options,
    platform: &mut impl Platform,
    channel: Fd,
) -> Result<Infallible, Error> {
    let mut function = Function::connect(channel)?;
    let adapter = format!("{}_virtio_net", function.arguments().function.name());
    let (hardware, interrupts) = Hardware::find(&mut function, platform)?;
    let nic = Adapter::start(hardware, random_bytes)?;
    let reactor = Reactor::new().map_err(Error::system("open an event queue"))?;
    let announcer = Announcer::open();
    let server = NetworkServer::create(&adapter, nic)?;
    announcer.announce();
    daemon::enter_null_namespace().map_err(Error::system("enter the null namespace"))?;
    let mut driver = Driver {
        server,
        reactor,
        interrupts,
        resets: Resets::default(),
        unfinished: false,
        _function: function,
    };
    driver.listen()?;
    // Init is told only now: whatever comes after this finds the driver listening.
    if let Err(why) = daemon::ready(options.init_notify.as_deref()) {
        log::debug!("{why}");
    }
    driver.serve()
}

/// Six bytes of the system's random source.
fn random_bytes() -> Result<[u8; 6], Error> {
    let [a, b, c, d, e, f, ..] = random::seed().map_err(Error::system("read random bytes"))?;
    Ok([a, b, c, d, e, f])
}

/// Dropped in this order: the card is stopped before pcid takes it back.
struct Driver {
    server: NetworkServer<Adapter>,
    reactor: Reactor,
    interrupts: Interrupts,
    resets: Resets,
    /// Requests or answers were left for the next turn. No event tells of them.
    unfinished: bool,
    /// pcid disables the device when its channel is closed.
    _function: Function,
}

impl Driver {
    /// Subscribes to everything that wakes the driver, and looks once at what came before.
    fn listen(&mut self) -> Result<(), Error> {
        let watched = |fd, token| {
            self.reactor
                .watch(fd, token, EventFlags::EVENT_READ)
                .map_err(Error::system("watch for events"))
        };
        for (place, file) in self.interrupts.files().enumerate() {
            watched(file.raw(), place)?;
        }
        self.server
            .watch(self.reactor.watcher(), SCHEME)
            .map_err(Error::system("watch for events"))?;
        // The card has been running for a while, and an interrupt before the subscription is told
        // to nobody.
        self.look_everywhere()
    }

    fn serve(mut self) -> Result<Infallible, Error> {
        let mut events = Vec::new();
        loop {
            let deadline = self.unfinished.then_some(Instant::ZERO);
            self.reactor
                .wait(deadline, &mut events)
                .map_err(Error::system("wait for events"))?;
            self.turn(&events)?;
        }
    }

    /// Serves the events of one wake-up.
    fn turn(&mut self, events: &[Event]) -> Result<(), Error> {
        let mut requests = core::mem::take(&mut self.unfinished);
        for event in events {
            match event.token {
                SCHEME => requests = true,
                place => self.on_interrupt(place)?,
            }
        }
        if requests {
            self.unfinished |= self.server.on_requests(clock::now())?;
        }
        self.mend()
    }

    fn on_interrupt(&mut self, place: usize) -> Result<(), Error> {
        let status = self.server.nic().interrupt_status();
        let look = self.interrupts.arrived(place, status.as_ref())?;
        self.server.nic_mut().on_interrupt(look);
        self.unfinished |= self.server.on_interrupt()?;
        Ok(())
    }

    /// As if every interrupt had come. A line that is up already is acknowledged so, too.
    fn look_everywhere(&mut self) -> Result<(), Error> {
        let status = self.server.nic().interrupt_status();
        for place in 0..self.interrupts.files().count() {
            self.interrupts.arrived(place, status.as_ref())?;
        }
        self.server.nic_mut().look(Look::ALL);
        self.unfinished |= self.server.on_interrupt()?;
        self.mend()
    }

    /// Resets the card and brings it up again while it is broken, so often and no more.
    fn mend(&mut self) -> Result<(), Error> {
        while let Some(trouble) = self.server.nic().trouble() {
            self.resets.admit(clock::now(), &trouble)?;
            log::warn!("{trouble}; the device is reset");
            match self.server.nic_mut().revive() {
                Ok(()) => log::info!("the device is up again"),
                // Pulled out, or dead: another try would find nothing either.
                Err(error @ Error::Device(DeviceError::Gone)) => return Err(error),
                Err(error) => log::error!("the device does not come up: {error}"),
            }
            // Those who wait for room have it now, and the link may be another.
            self.unfinished |= self.server.on_interrupt()?;
        }
        Ok(())
    }
}

/// The resets of late: a device that needs more than a few in a short time is not worth another.
#[derive(Debug)]
struct Resets(Budget);

impl Resets {
    const MOST: usize = 8;
    const WITHIN: Duration = Duration::from_secs(60);

    fn admit(&mut self, now: Instant, trouble: &str) -> Result<(), Error> {
        match self.0.spend(now) {
            true => Ok(()),
            false => Err(Error::KeepsFailing {
                resets: Self::MOST,
                last: trouble.to_owned(),
            }),
        }
    }
}

impl Default for Resets {
    fn default() -> Self {
        Self(Budget::new(Self::MOST, Self::WITHIN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_keeps_failing_is_given_up() {
        let mut resets = Resets::default();
        for second in 0..8 {
            assert!(
                resets.admit(Instant::from_secs(second), "x").is_ok(),
                "reset {second}"
            );
        }
        let error = resets
            .admit(Instant::from_secs(59), "it asks again")
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "the device keeps failing: after 8 resets in a row, it asks again"
        );
    }

    #[test]
    fn a_device_that_fails_now_and_then_is_not() {
        let mut resets = Resets::default();
        for minute in 0..1000 {
            assert!(
                resets.admit(Instant::from_secs(minute * 10), "x").is_ok(),
                "reset {minute}"
            );
        }
    }
}
