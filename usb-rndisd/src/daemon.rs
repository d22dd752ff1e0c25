//! The driver's life: from the port to the unplugging, asleep unless there is something to do.

use core::convert::Infallible;
use core::time::Duration;

use libredox::Fd;
use libredox::protocol::O_CLOEXEC;
use netscheme::frame::Mac;
use netscheme::network::SCHEME_PREFIX;
use netscheme::network::announce::Announcer;
use netscheme::network::server::{NetworkServer, Nic};
use netscheme::server::StartError;
use netscheme::{Instant, clock, daemon, random};
use syscall::flag::O_RDONLY;

use crate::channel::{Channel, NOTIFICATION};
use crate::control::Control;
use crate::endpoints::{Choice, choose};
use crate::error::Error;
use crate::nic::Adapter;
use crate::options::{Endpoints, Options};
use crate::receive::Receive;
use crate::session::{self, Event, Session};
use crate::sleep::{Sleep, Token, Wake};
use crate::transmit::Transmit;
use crate::xhci::Port;

/// How long clients have to close the files of an adapter that is gone.
const LEAVE: Duration = Duration::from_secs(1);

/// Drives the adapter that `options` name and serves it as `/scheme/network.usb-<scheme>+<port>`.
///
/// # Errors
/// What ended it; it never ends otherwise. That the device was unplugged is one of these: with the process, its scheme
/// ends.
pub fn run(options: &Options) -> Result<Infallible, Error> {
    if options.endpoints == Endpoints::Blocking {
        return Err(Error::Blocking);
    }
    let port = Port::open(&options.scheme, &options.port).map_err(Error::Xhci)?;
    let choice = choose(&port.descriptors()?, options.interface)?;
    log::debug!("{choice:?}");
    let name = adapter_name(options, &choice);
    refuse_second(&name)?;
    port.configure(&choice)?;
    let mut sleep = Sleep::new(options.endpoints)?;
    let session = session::Options {
        keepalive: options.keepalive,
        ..session::Options::new(local_address()?, choice.bulk_out.packet_size)
    };
    let nic = bring_up(port, &choice, session, &mut sleep)?;
    let announcer = Announcer::open();
    let server = NetworkServer::create(&name, nic)?;
    announcer.announce();
    // All files of the port are reached through its directory, which is open.
    daemon::enter_null_namespace().map_err(Error::system("enter the null namespace"))?;
    let mut driver = Driver {
        server,
        sleep,
        unfinished: false,
    };
    driver.listen()?;
    // Init is told only now: whatever comes after this finds the driver listening.
    if let Err(why) = daemon::ready(options.init_notify.as_deref()) {
        log::debug!("{why}");
    }
    driver.serve()
}

/// The adapter's name: always the same for the same function of a device in the same port.
fn adapter_name(options: &Options, choice: &Choice) -> String {
    let Options { scheme, port, .. } = options;
    match choice.function {
        0 => format!("usb-{scheme}+{port}"),
        before => format!("usb-{scheme}+{port}_{}", before.saturating_add(1)),
    }
}

/// Leaves a device alone that another driver has: xhcid lets everybody at it, and the name is taken only when the device
/// has been brought up.
fn refuse_second(adapter: &str) -> Result<(), Error> {
    let name = format!("{SCHEME_PREFIX}{adapter}");
    let flags = (O_RDONLY | O_CLOEXEC) as i32;
    match Fd::open(&format!("/scheme/{name}/mac"), flags, 0) {
        Ok(_) => Err(StartError::NameHeld { name }.into()),
        Err(_) => Ok(()),
    }
}

/// An address of our own making, for a device that has none.
fn local_address() -> Result<Mac, Error> {
    let [a, b, c, d, e, f, ..] = random::seed().map_err(Error::system("read random bytes"))?;
    Ok(Mac::local([a, b, c, d, e, f]))
}

/// Opens the endpoints and lets the session bring the adapter up, which it does, or gives up, in a bounded time.
fn bring_up(
    port: Port,
    choice: &Choice,
    session: session::Options,
    sleep: &mut Sleep,
) -> Result<Adapter, Error> {
    let transfer = usize::try_from(session.max_transfer).unwrap_or(usize::MAX);
    // Whole packets, so that a device that sends more than it should is not cut within one.
    let notifications = choice.notifications.map(|pipe| {
        let packet = usize::from(pipe.packet_size).min(NOTIFICATION);
        port.open_in(&pipe, packet)
    });
    let notifications = notifications.transpose()?;
    let bulk_in = port.open_in(&choice.bulk_in, transfer)?;
    let bulk_out = port.open_out(&choice.bulk_out)?;
    let mut control = Control::new(port.into_control(choice.control_interface));
    let mut channel = Channel::new(Session::new(clock::now(), session), notifications);
    if let Some(fd) = channel.fd() {
        sleep.watch(fd, Token::Notifications)?;
    }
    control.now = clock::now();
    loop {
        let more = channel.turn(&mut control)?;
        while let Some(event) = channel.next_event() {
            if let Event::Failed(error) = event {
                return Err(error.into());
            }
        }
        if let Some(facts) = channel.session().adapter().cloned() {
            let receive = Receive::new(bulk_in, facts.receive, sleep.is_told());
            let transmit = Transmit::new(bulk_out, facts.transmit, sleep.is_told());
            return Ok(Adapter::new(channel, control, &facts, receive, transmit));
        }
        let deadline = more.then_some(Instant::ZERO).or(channel.deadline());
        let wake = sleep.until(deadline, channel.is_armed())?;
        control.now = wake.now;
        // There is nothing else that could have woken it.
        channel.signal();
    }
}

struct Driver {
    server: NetworkServer<Adapter>,
    sleep: Sleep,
    /// Something was left for the next turn. No event tells of it.
    unfinished: bool,
}

impl Driver {
    /// Subscribes to everything that wakes the driver, and looks once at what came before.
    fn listen(&mut self) -> Result<(), Error> {
        for (token, fd) in self.server.nic().files() {
            self.sleep.watch(fd, token)?;
        }
        self.server
            .watch(self.sleep.watcher(), Token::Scheme as usize)
            .map_err(Error::system("watch for events"))?;
        self.look(&Wake::everywhere(clock::now()))
    }

    fn serve(mut self) -> Result<Infallible, Error> {
        let Err(error) = self.work();
        // Where it is the device or xhcid that does not answer, one call more may never end.
        if matches!(
            error,
            Error::KeepsStalling { .. } | Error::Server(_) | Error::System { .. }
        ) {
            self.server.nic_mut().halt();
        }
        // What went wrong is in `error`, whatever else does now.
        let _ = self.take_leave();
        Err(error)
    }

    /// Lets everybody who has the adapter open find out that it is gone, and waits a little until they have.
    fn take_leave(&mut self) -> Result<(), Error> {
        let deadline = clock::now().saturating_add(LEAVE);
        self.unfinished = self.server.end()?;
        while self.server.is_used() && clock::now() < deadline {
            let until = if self.unfinished {
                Instant::ZERO
            } else {
                deadline
            };
            let wake = self.sleep.until(Some(until), false)?;
            self.unfinished = self.server.on_requests(wake.now)?;
        }
        Ok(())
    }

    fn work(&mut self) -> Result<Infallible, Error> {
        loop {
            let nic = self.server.nic_mut();
            let deadline = if self.unfinished {
                Some(Instant::ZERO)
            } else {
                nic.deadline()
            };
            let armed = nic.is_armed();
            let wake = self.sleep.until(deadline, armed)?;
            self.look(&wake)?;
        }
    }

    /// A turn: serves what the wake-up was for.
    fn look(&mut self, wake: &Wake) -> Result<(), Error> {
        let left = core::mem::take(&mut self.unfinished);
        let nic = self.server.nic_mut();
        let (transfers, link) = (nic.transfers(), nic.link());
        nic.begin(wake.now);
        let mut look = left;
        for token in Token::ENDPOINTS {
            if wake.is_for(token) {
                look = true;
                nic.signal(token);
            }
        }
        self.unfinished = nic.turn()?;
        if look || nic.link() != link {
            self.unfinished |= self.server.on_interrupt()?;
        }
        if left || wake.is_for(Token::Scheme) {
            self.unfinished |= self.server.on_requests(wake.now)?;
        }
        let nic = self.server.nic_mut();
        self.unfinished |= nic.end()?;
        let found = nic.transfers() != transfers;
        if self.sleep.looked(wake, found) {
            nic.count_poll(found);
        }
        Ok(())
    }
}
