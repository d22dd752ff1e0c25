//! The driver's end of `/scheme/network.<name>/`: one server for every network card.

use core::ops::Deref;

use syscall::error::Error;
use syscall::flag::EventFlags;

use crate::frame::{LinkState, Mac};
use crate::network::SCHEME_PREFIX;
use crate::network::scheme::{NetworkScheme, pipes};
use crate::reactor::Watcher;
use crate::server::{Counters, Server, ServerError, StartError};
use crate::time::Instant;

/// A network card, as far as its driver's scheme must know it.
pub trait Nic {
    /// One received frame, from the destination address on and without the checksum; gives its
    /// buffer back to the device when dropped.
    type Frame<'a>: Deref<Target = [u8]>
    where
        Self: 'a;

    /// The oldest received frame. `None` promises an interrupt for the next one: the driver has armed
    /// it and looked again before it says so.
    fn receive(&mut self) -> Option<Self::Frame<'_>>;

    /// Whether [`Nic::receive`] would return a frame; false promises what its `None` promises.
    fn can_receive(&mut self) -> bool;

    /// Queues `frame` for sending; the device sees it at the next [`Nic::flush`].
    ///
    /// # Errors
    /// [`Full`] when there is no room; promises an interrupt when there is again.
    fn transmit(&mut self, frame: &[u8]) -> core::result::Result<(), Full>;

    /// Whether there is room for a frame; false promises what [`Full`] promises.
    fn can_transmit(&mut self) -> bool;

    /// Hands over what was queued: one doorbell for all of it.
    fn flush(&mut self);

    /// The address.
    fn mac(&self) -> Mac;

    /// The largest payload of a frame, in bytes.
    fn mtu(&self) -> u16;

    /// The link's state.
    fn link(&self) -> LinkState;

    /// The driver's counters.
    fn stats(&self) -> impl Iterator<Item = (&'static str, u64)>;
}

/// There is no room for a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// A network card and its scheme.
pub struct NetworkServer<N: Nic> {
    server: Server,
    scheme: NetworkScheme<N>,
}

impl<N: Nic> NetworkServer<N> {
    /// Serves `nic` as `/scheme/network.<adapter>`. See [`Server::create`].
    ///
    /// # Errors
    /// [`StartError`].
    pub fn create(adapter: &str, nic: N) -> core::result::Result<Self, StartError> {
        let name = format!("{SCHEME_PREFIX}{adapter}");
        let mut scheme = NetworkScheme::new(name.clone(), nic);
        match pipes::Source::find() {
            Ok(source) => scheme.offer_pipes(source),
            Err(error) => log::warn!("no pipes for frames: {error}"),
        }
        let server = Server::create(&name, scheme.root)?;
        Ok(Self { server, scheme })
    }

    /// Has requests, and the pipes of frames, wake the driver under `token`: then call [`NetworkServer::on_requests`].
    ///
    /// # Errors
    /// What the event queue answered.
    pub fn watch(&mut self, watcher: Watcher, token: usize) -> core::result::Result<(), Error> {
        watcher.watch(self.server.fd(), token, EventFlags::EVENT_READ)?;
        self.scheme.set_wake(watcher, token);
        Ok(())
    }

    /// What of the calls to the scheme was counted.
    pub fn counters(&self) -> Counters {
        self.server.counters()
    }

    /// The card.
    pub fn nic(&self) -> &N {
        &self.scheme.nic
    }

    /// The card.
    pub fn nic_mut(&mut self) -> &mut N {
        &mut self.scheme.nic
    }

    /// Serves the pending requests. Returns whether there is more to do, in which case no event says
    /// so: call again before sleeping.
    ///
    /// # Errors
    /// [`ServerError`] when the scheme is of no more use.
    pub fn on_requests(&mut self, now: Instant) -> core::result::Result<bool, ServerError> {
        let served = self.server.serve(&mut self.scheme, now)?;
        let unfinished = self.settle(EventFlags::empty())?;
        Ok(served.more || unfinished)
    }

    /// The card interrupted: frames may have arrived, room may have become free, the link may have
    /// changed. Hands frames to waiting readers, runs waiting writers, posts what changed. Returns
    /// whether there is more to do: then call [`NetworkServer::on_requests`] before sleeping.
    ///
    /// # Errors
    /// [`ServerError`] when the scheme is of no more use.
    pub fn on_interrupt(&mut self) -> core::result::Result<bool, ServerError> {
        let handles: Vec<usize> = self.scheme.data_handles().collect();
        for handle in handles {
            self.server.retry(&mut self.scheme, handle);
        }
        self.settle(EventFlags::EVENT_READ)
    }

    /// The card is gone. Nothing is asked of it any more; whoever reads or writes frames gets `ENODEV`, whoever waits is
    /// woken up for it. To be served ([`NetworkServer::on_requests`]) as long as it [is used](NetworkServer::is_used): a
    /// client that calls a driver in the moment of its end may never get an answer.
    ///
    /// # Errors
    /// [`ServerError`] when the scheme is of no more use.
    pub fn end(&mut self) -> core::result::Result<bool, ServerError> {
        self.scheme.end();
        self.on_interrupt()
    }

    /// Whether anybody has a file open.
    pub fn is_used(&self) -> bool {
        self.scheme.is_used()
    }

    /// How many calls wait.
    pub fn parked(&self) -> usize {
        self.server.parked()
    }

    /// Rings the doorbell, posts the edges and sends the answers; returns whether some of that is
    /// left. What is in `arrived` may be new.
    fn settle(&mut self, arrived: EventFlags) -> core::result::Result<bool, ServerError> {
        let more = self.scheme.settle();
        for (handle, flags) in self.scheme.edges(arrived) {
            self.server.post(handle, flags);
        }
        let sent = self.server.flush()?;
        Ok(more || !sent)
    }
}
