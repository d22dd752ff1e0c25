//! The adapter: both halves and the control channel, as netscheme's server sees them.

use netscheme::Instant;
use netscheme::frame::{LinkState, Mac};
use netscheme::network::server::{Full, Nic};

use crate::channel::Channel;
use crate::control::Control;
use crate::counters::{Counter, Counters};
use crate::error::Error;
use crate::receive::Receive;
use crate::session::{self, Event};
use crate::sleep::Token;
use crate::transmit::Transmit;

/// An adapter that is up.
pub(crate) struct Adapter {
    receive: Receive,
    transmit: Transmit,
    channel: Channel,
    control: Control,
    mac: Mac,
    mtu: u16,
    link: LinkState,
    /// Why it is of no more use.
    trouble: Option<Error>,
    counters: Counters,
}

impl Adapter {
    /// The adapter that `channel` has brought up and that `facts` tell of, and its halves.
    pub(crate) fn new(
        channel: Channel,
        control: Control,
        facts: &session::Adapter,
        receive: Receive,
        transmit: Transmit,
    ) -> Self {
        log::info!(
            "address {}, MTU {}, link {}",
            facts.mac,
            facts.mtu,
            facts.link
        );
        Self {
            receive,
            transmit,
            channel,
            control,
            mac: facts.mac,
            mtu: facts.mtu,
            link: facts.link,
            trouble: None,
            counters: Counters::default(),
        }
    }

    /// The files of which xhcid posts events, but for that of notifications.
    pub(crate) fn files(&self) -> impl Iterator<Item = (Token, usize)> {
        [
            (Token::BulkIn, self.receive.fd()),
            (Token::BulkOut, self.transmit.fd()),
        ]
        .into_iter()
    }

    /// A turn begins.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.control.now = now;
    }

    /// There may be something new.
    pub(crate) fn signal(&mut self, token: Token) {
        match token {
            Token::BulkIn => self.receive.signal(),
            Token::BulkOut => self.transmit.signal(),
            Token::Notifications => self.channel.signal(),
            Token::Scheme => {}
        }
    }

    /// Looks at all that may be new but frames, which whoever reads them looks for. Returns whether there is more to do.
    ///
    /// # Errors
    /// What ends the adapter.
    pub(crate) fn turn(&mut self) -> Result<bool, Error> {
        self.transmit.advance(&mut self.control)?;
        let more = self.channel.turn(&mut self.control)?;
        while let Some(event) = self.channel.next_event() {
            self.on_event(event)?;
        }
        Ok(more)
    }

    /// When something must be done even if nothing happens.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.channel.deadline()
    }

    /// Whether a transfer is under way, so that somebody must notice its end.
    pub(crate) fn is_armed(&mut self) -> bool {
        let Self {
            receive,
            transmit,
            channel,
            ..
        } = self;
        receive.is_armed() || transmit.is_armed() || channel.is_armed()
    }

    /// What the timer has cost: a look, and whether it found something.
    pub(crate) fn count_poll(&mut self, found: bool) {
        self.counters.count(Counter::Polls);
        if !found {
            self.counters.count(Counter::PollsFruitless);
        }
    }

    /// Transfers that ended so far, either way.
    pub(crate) fn transfers(&self) -> u64 {
        let Self {
            receive,
            transmit,
            channel,
            ..
        } = self;
        let each = [
            receive.transfers(),
            transmit.transfers(),
            channel.transfers(),
        ];
        each.into_iter().fold(0, u64::wrapping_add)
    }

    /// What came of the calls of the scheme in this turn. Returns whether there is more to do.
    ///
    /// # Errors
    /// What ends the adapter.
    pub(crate) fn end(&mut self) -> Result<bool, Error> {
        match self.trouble.take() {
            Some(trouble) => Err(trouble),
            None => Ok(self.receive.take_unfinished()),
        }
    }

    /// The driver ends: the device is to be quiet.
    pub(crate) fn halt(&mut self) {
        self.channel.halt(&mut self.control);
    }

    fn on_event(&mut self, event: Event) -> Result<(), Error> {
        match event {
            Event::Link(link) => {
                log::info!("link {link}");
                self.link = link;
            }
            Event::Reset => {
                log::warn!("the device was reset");
                self.receive.restart();
            }
            Event::Up => log::info!("the device is up again"),
            Event::Failed(error) => return Err(error.into()),
            Event::Halted => return Err(Error::Gone),
        }
        Ok(())
    }

    /// The value of a call on a half, or what stands for it when there is trouble.
    fn settle<T>(&mut self, result: Result<T, Error>, otherwise: T) -> T {
        match result {
            Ok(value) => value,
            Err(error) => {
                self.trouble.get_or_insert(error);
                otherwise
            }
        }
    }
}

impl Nic for Adapter {
    type Frame<'a> = &'a [u8];

    fn receive(&mut self) -> Option<&[u8]> {
        if self.can_receive() {
            self.receive.next_frame()
        } else {
            None
        }
    }

    fn can_receive(&mut self) -> bool {
        if self.trouble.is_some() {
            return false;
        }
        let before = self.receive.transfers();
        let ready = self.receive.is_ready(&mut self.control);
        if self.receive.transfers() != before {
            self.channel.on_traffic(self.control.now);
        }
        self.settle(ready, false)
    }

    fn transmit(&mut self, frame: &[u8]) -> Result<(), Full> {
        if self.trouble.is_some() {
            return Err(Full);
        }
        let taken = self.transmit.put(frame, &mut self.control);
        match self.settle(taken, false) {
            true => Ok(()),
            false => Err(Full),
        }
    }

    fn can_transmit(&mut self) -> bool {
        if self.trouble.is_some() {
            return false;
        }
        let ready = self.transmit.is_ready(&mut self.control);
        self.settle(ready, false)
    }

    fn flush(&mut self) {
        if self.trouble.is_none() {
            let sent = self.transmit.advance(&mut self.control);
            self.settle(sent, ());
        }
    }

    fn mac(&self) -> Mac {
        self.mac
    }

    fn mtu(&self) -> u16 {
        self.mtu
    }

    fn link(&self) -> LinkState {
        self.link
    }

    fn stats(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let halves = self
            .receive
            .counters()
            .into_iter()
            .chain(self.transmit.counters());
        let all: Vec<&Counters> = halves
            .chain(self.channel.counters())
            .chain([self.control.counters(), &self.counters])
            .collect();
        Counter::ALL.iter().map(move |&counter| {
            let sum = all.iter().map(|counters| counters.get(counter)).sum();
            (counter.name(), sum)
        })
    }
}
