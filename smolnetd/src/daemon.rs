//! The daemon: one event queue, five schemes, the adapters, and the stack between them.
//!
//! A turn: take requests and frames, let the stack do what is due, answer the calls whose sockets changed, hand
//! frames and answers over, and look again until nothing is left; only then sleep, until the next event or deadline.

mod token;

use core::fmt;
use core::net::Ipv4Addr;

use netscheme::network::announce::Announcements;
use netscheme::network::client::Adapter;
use netscheme::network::discover::{Discovery, Namespace};
use netscheme::reactor::{Event, Reactor};
use netscheme::server::{ServerError, StartError};
use netscheme::{Server, clock};
use smoltcp::time::Instant;
use syscall::error::Error;
use syscall::flag::EventFlags;

use crate::adapters::{Adapters, Transmitters};
use crate::config::{self, StaticConfig};
use crate::error::SocketError;
use crate::files::{EtcNet, for_c_library};
use crate::ip::ZonedAddr;
use crate::link::AddressOrigin;
use crate::link::Ipv6Config;
use crate::ports::LinkId;
use crate::route::{Origin, RouteSpec};
use crate::scheme::netcfg::{NetcfgScheme, NetcfgView};
use crate::scheme::{Kind, SocketScheme, View};
use crate::socket::SocketId;
use crate::stack::{Change, Limits, Stack};
use token::Token;

/// Why the daemon could not start or go on.
#[derive(Debug)]
pub enum DaemonError {
    /// A scheme could not be started; most often, another instance runs.
    Start(StartError),
    /// A scheme failed.
    Server {
        /// Its name.
        scheme: &'static str,
        /// How.
        error: ServerError,
    },
    /// The system refused something that the daemon cannot do without.
    System {
        /// What was being done.
        doing: &'static str,
        /// The answer.
        error: Error,
    },
}

impl fmt::Display for DaemonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DaemonError::Start(error) => error.fmt(f),
            DaemonError::Server { scheme, error } => write!(f, "/scheme/{scheme}: {error}"),
            DaemonError::System { doing, error } => write!(f, "{doing}: {error}"),
        }
    }
}

impl std::error::Error for DaemonError {}

fn failed(doing: &'static str) -> impl Fn(Error) -> DaemonError {
    move |error| DaemonError::System { doing, error }
}

/// A scheme and its server.
struct Served<S> {
    server: Server,
    scheme: S,
    /// Requests may be waiting.
    ready: bool,
}

struct Daemon {
    reactor: Reactor,
    stack: Stack,
    adapters: Adapters,
    transmitters: Transmitters,
    sockets: Vec<Served<SocketScheme>>,
    netcfg: Served<NetcfgScheme>,
    namespace: Namespace,
    discovery: Discovery,
    announcements: Announcements,
    etc_net: Option<EtcNet>,
    /// What the files say; its address goes to the first adapter.
    static_config: StaticConfig,
    /// How adapters give themselves IPv6 addresses.
    ipv6: Ipv6Config,
    /// What `/etc/net/dns` names for the C library.
    written_resolver: Option<Ipv4Addr>,
    changes: Vec<Change>,
}

/// Runs the server until its schemes fail. `init_notify` is the value of `INIT_NOTIFY`, the descriptor by which init
/// hears that all schemes are registered.
///
/// # Errors
/// Why it could not start, or go on.
pub fn run(init_notify: Option<&str>) -> Result<(), DaemonError> {
    let mut daemon = Daemon::start()?;
    match netscheme::daemon::ready(init_notify) {
        Ok(()) => {}
        Err(reason) => log::debug!("{reason}"),
    }
    netscheme::daemon::enter_null_namespace().map_err(failed("entering the null namespace"))?;
    daemon.look_for_adapters();
    daemon.run()
}

/// The time as the stack counts it.
fn now() -> (netscheme::Instant, Instant) {
    let now = clock::now();
    (
        now,
        Instant::from_micros(i64::try_from(now.micros()).unwrap_or(i64::MAX)),
    )
}

impl Daemon {
    fn start() -> Result<Daemon, DaemonError> {
        let seed = netscheme::random::seed().map_err(failed("reading /scheme/rand"))?;
        let (_, now) = now();
        let mut stack = Stack::new(seed, Limits::default(), now);
        let etc_net = EtcNet::open();
        let fresh = stack.fresh_identifier_secret();
        let identifiers = etc_net
            .as_ref()
            .map_or(fresh, |etc_net| etc_net.identifier_secret(fresh));
        let (static_config, complaints) =
            config::parse(&etc_net.as_ref().map(EtcNet::read_all).unwrap_or_default());
        for complaint in complaints {
            log::warn!("{complaint}");
        }
        let resolvers = static_config.resolvers.iter().copied();
        let resolvers = resolvers.map(ZonedAddr::from).collect();
        match static_config.address {
            Some(_) => stack.set_resolvers(resolvers),
            None => stack.set_fallback_resolvers(resolvers),
        }
        let reactor = Reactor::new().map_err(failed("opening an event queue"))?;
        let namespace = Namespace::current().map_err(failed("opening the list of schemes"))?;
        let announcements = Announcements::new().map_err(failed("opening a pipe"))?;
        Ok(Daemon {
            sockets: start_sockets(&reactor)?,
            netcfg: start_netcfg(&reactor, &announcements)?,
            reactor,
            stack,
            adapters: Adapters::default(),
            transmitters: Transmitters::default(),
            namespace,
            discovery: Discovery::default(),
            announcements,
            etc_net,
            written_resolver: for_c_library(static_config.resolvers.iter().copied()),
            static_config,
            ipv6: Ipv6Config::opaque(identifiers.to_be_bytes()),
            changes: Vec::new(),
        })
    }

    fn run(&mut self) -> Result<(), DaemonError> {
        let mut events: Vec<Event> = Vec::new();
        loop {
            while self.turn()? {}
            let deadline = self.deadline();
            self.reactor
                .wait(deadline, &mut events)
                .map_err(failed("waiting for events"))?;
            for event in &events {
                self.note(*event);
            }
        }
    }

    /// Remembers what an event is about.
    fn note(&mut self, event: Event) {
        let (_, now) = now();
        match Token::from_number(event.token) {
            Some(Token::Server(index)) => {
                if let Some(served) = self.sockets.get_mut(index) {
                    served.ready = true;
                }
            }
            Some(Token::Netcfg) => self.netcfg.ready = true,
            Some(Token::Announcement) => {
                self.announcements.take();
                // A driver that died said nothing; perhaps this is its successor.
                self.adapters.look_at_all();
                self.receive(now);
                self.look_for_adapters();
            }
            Some(Token::Data(link)) => {
                let (stack, ports) = (&mut self.stack, &mut self.transmitters);
                self.adapters.on_data_event(link, event.flags, stack, ports);
            }
            Some(Token::LinkState(link)) => {
                self.adapters.on_link_event(link, &mut self.stack, now);
            }
            None => {}
        }
    }

    /// One round of work; true when there may be more.
    fn turn(&mut self) -> Result<bool, DaemonError> {
        let (clock, now) = now();
        let mut more = self.serve(clock, now)?;
        more |= self.receive(now);
        more |= self.stack.poll(now, &mut self.transmitters);
        more |= self.transmitters.flush(&mut self.stack);
        more |= self.apply_changes(now);
        self.answer()?;
        Ok(more)
    }

    fn deadline(&self) -> Option<netscheme::Instant> {
        let stack = self.stack.next_deadline().map(|at| {
            netscheme::Instant::from_micros(u64::try_from(at.total_micros()).unwrap_or(0))
        });
        let servers = self.sockets.iter().map(|served| &served.server);
        servers.filter_map(Server::next_deadline).chain(stack).min()
    }

    /// Takes requests. Calls whose time is over are answered too.
    fn serve(&mut self, clock: netscheme::Instant, now: Instant) -> Result<bool, DaemonError> {
        let mut more = false;
        for served in &mut self.sockets {
            let name = served.scheme.kind().name();
            let mut view = View {
                scheme: &mut served.scheme,
                stack: &mut self.stack,
                ports: &mut self.transmitters,
                now,
            };
            if core::mem::take(&mut served.ready) {
                let done = served.server.serve(&mut view, clock);
                served.ready = done
                    .map_err(|error| DaemonError::Server {
                        scheme: name,
                        error,
                    })?
                    .more;
                more |= served.ready;
            }
            served.server.expire(&mut view, clock);
        }
        if core::mem::take(&mut self.netcfg.ready) {
            let mut view = NetcfgView {
                scheme: &mut self.netcfg.scheme,
                stack: &mut self.stack,
                adapters: &self.adapters,
                wakeups: self.reactor.wakeups(),
                now,
            };
            let done = self.netcfg.server.serve(&mut view, clock);
            self.netcfg.ready = done
                .map_err(|error| DaemonError::Server {
                    scheme: "netcfg",
                    error,
                })?
                .more;
            more |= self.netcfg.ready;
        }
        Ok(more)
    }

    /// Takes frames; adapters whose drivers have gone go down.
    fn receive(&mut self, now: Instant) -> bool {
        let more = self
            .adapters
            .receive(&mut self.stack, &mut self.transmitters, now);
        let gone = self
            .adapters
            .detach_failed(&mut self.stack, &mut self.transmitters, now);
        for driver in gone {
            log::warn!("the driver of {driver} has ended; its link is down until it is back");
            self.discovery.forget(&driver);
        }
        more
    }

    /// Answers the calls, and tells the watchers, of everything that changed. True if something did: the stack may
    /// have more to do now.
    fn apply_changes(&mut self, now: Instant) -> bool {
        let mut changes = core::mem::take(&mut self.changes);
        self.stack.take_changes(&mut changes);
        let changed = !changes.is_empty();
        for change in changes.drain(..) {
            if let Change::Socket(socket) = change {
                self.socket_changed(socket, now);
            }
            for (number, flags) in self.netcfg.scheme.changed(change) {
                self.netcfg.server.post(number, flags);
            }
            if change == Change::Resolvers {
                self.write_resolver();
            }
        }
        self.changes = changes;
        changed
    }

    /// Runs the calls again that waited for it, and tells its watchers.
    fn socket_changed(&mut self, socket: SocketId, now: Instant) {
        for served in &mut self.sockets {
            let mut view = View {
                scheme: &mut served.scheme,
                stack: &mut self.stack,
                ports: &mut self.transmitters,
                now,
            };
            for number in view.scheme.users(socket).to_vec() {
                served.server.retry(&mut view, number);
                let flags = view.changed(number);
                served.server.post(number, flags);
            }
        }
    }

    fn answer(&mut self) -> Result<(), DaemonError> {
        for served in &mut self.sockets {
            let scheme = served.scheme.kind().name();
            served
                .server
                .flush()
                .map_err(|error| DaemonError::Server { scheme, error })?;
        }
        self.netcfg
            .server
            .flush()
            .map_err(|error| DaemonError::Server {
                scheme: "netcfg",
                error,
            })?;
        Ok(())
    }

    /// `/etc/net/dns` is where Redox's C library looks for its name server, so it follows those in force.
    fn write_resolver(&mut self) {
        let resolvers = self.stack.resolvers();
        let resolver = for_c_library(resolvers.iter().map(|resolver| resolver.address));
        let Some(resolver) = resolver.filter(|_| resolver != self.written_resolver) else {
            return;
        };
        if let Some(etc_net) = &self.etc_net
            && let Err(error) = etc_net.write_resolver(resolver)
        {
            log::warn!("/etc/net/dns could not be written: {error}");
        }
        self.written_resolver = Some(resolver);
    }

    fn look_for_adapters(&mut self) {
        let found = match self.namespace.adapters() {
            Ok(found) => found,
            Err(error) => return log::warn!("the list of schemes cannot be read: {error}"),
        };
        for driver in self.discovery.update(found).appeared {
            if let Err(error) = self.attach(&driver) {
                log::warn!("network.{driver} cannot be used: {error}");
                self.discovery.forget(&driver);
            }
        }
    }

    fn attach(&mut self, driver: &str) -> Result<(), Error> {
        let adapter = Adapter::open_in(&self.namespace, driver)?;
        let (_, now) = now();
        let attached = self
            .adapters
            .attach(adapter, &mut self.stack, &mut self.transmitters, now);
        let Some((link, fresh)) = attached else {
            log::warn!("network.{driver}: too many adapters; it is left alone");
            return Ok(());
        };
        if let Some(control) = self.adapters.control(link) {
            let (fd, flags) = control.data_watch();
            let token = Token::Data(link).number();
            self.reactor.watch(fd, token, flags)?;
            self.transmitters.wake(link, self.reactor.watcher(), token);
            if let Some((fd, flags)) = control.link_watch() {
                self.reactor
                    .watch(fd, Token::LinkState(link).number(), flags)?;
            }
        }
        let name = self.stack.link(link).map_or("?", |link| link.name());
        log::info!("{name} is network.{driver}");
        if fresh {
            self.configure(link, now);
        }
        Ok(())
    }

    /// The static configuration goes to the first adapter; the others, and that one without it, ask by DHCP. IPv6
    /// looks after itself on all of them.
    fn configure(&mut self, link: LinkId, now: Instant) {
        if let Err(error) = self.stack.enable_ipv6(now, link, self.ipv6) {
            log::warn!("the adapter could not be configured for IPv6: {error}");
        }
        let done = match self.static_config.address.take() {
            None => self.stack.enable_dhcp(now, link, true),
            Some(address) => {
                let added = self
                    .stack
                    .add_address(now, link, address, AddressOrigin::Static);
                added.and_then(|()| match self.static_config.router.take() {
                    None => Ok(()),
                    Some(router) => {
                        let route = format!("default via {router}").parse::<RouteSpec>();
                        let route = route.map_err(|_| SocketError::Invalid)?;
                        self.stack
                            .add_route(now, route.into_route(link, Origin::Static, now))
                    }
                })
            }
        };
        if let Err(error) = done {
            log::warn!("the adapter could not be configured: {error}");
        }
    }
}

fn watch(reactor: &Reactor, server: &Server, token: Token) -> Result<(), DaemonError> {
    reactor
        .watch(server.fd(), token.number(), EventFlags::EVENT_READ)
        .map_err(failed("watching a scheme"))
}

fn start_sockets(reactor: &Reactor) -> Result<Vec<Served<SocketScheme>>, DaemonError> {
    let mut all = Vec::new();
    for (index, kind) in Kind::ALL.into_iter().enumerate() {
        let mut scheme = SocketScheme::new(kind);
        let root = scheme.root().map_err(failed("opening a scheme's root"))?;
        let server = Server::create(kind.name(), root).map_err(DaemonError::Start)?;
        watch(reactor, &server, Token::Server(index))?;
        all.push(Served {
            server,
            scheme,
            ready: true,
        });
    }
    Ok(all)
}

fn start_netcfg(
    reactor: &Reactor,
    announcements: &Announcements,
) -> Result<Served<NetcfgScheme>, DaemonError> {
    reactor
        .watch(
            announcements.fd(),
            Token::Announcement.number(),
            EventFlags::EVENT_READ,
        )
        .map_err(failed("watching a pipe"))?;
    let mut scheme = NetcfgScheme::new(announcements.sender());
    let root = scheme.root().map_err(failed("opening a scheme's root"))?;
    let server = Server::create("netcfg", root).map_err(DaemonError::Start)?;
    watch(reactor, &server, Token::Netcfg)?;
    Ok(Served {
        server,
        scheme,
        ready: true,
    })
}
