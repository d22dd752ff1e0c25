//! The two threads behind the door: one sleeps where the programs' ends are, one where the scheme's files are. Each handles
//! what it hears of, whichever way the bytes go; what either does to one way of a socket, it does alone.

use std::collections::{BTreeMap, VecDeque};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use netscheme::clock;
use netscheme::reactor::{Event, Reactor};
use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags as Ready};
use rustix::net::{SocketFlags, accept_with};
use syscall::flag::EventFlags;

use super::BUFFER;
use super::connect::{self, Progress};
use super::questions::{self, Next};
use super::room::Room;
use super::socket::{Outcome, Socket, Way};

/// Descriptors of the programs' side that are looked at together.
const BATCH: usize = 64;
/// Questions that may be open at once.
const MOST_QUESTIONS: usize = 1024;
/// What stands for the door itself; sockets have smaller numbers.
const DOOR: u64 = u64::MAX;
/// Added to the numbers of questions.
const QUESTION: u64 = 1 << 62;

/// Sockets that are looked at, and those that want to be again.
pub(super) struct Turns {
    pub(super) room: Arc<Room>,
    buffer: Vec<u8>,
    again: VecDeque<(Arc<Socket>, Way)>,
}

impl Turns {
    fn new(room: &Arc<Room>) -> Turns {
        Turns {
            room: Arc::clone(room),
            buffer: vec![0; BUFFER],
            again: VecDeque::new(),
        }
    }

    fn turn(&mut self, socket: &Arc<Socket>, way: Way, taker_has_room: bool) {
        let outcome = socket.turn(&self.room, way, taker_has_room, &mut self.buffer);
        if outcome == Outcome::More {
            self.again.push_back((Arc::clone(socket), way));
        }
        self.room.reap(socket);
    }

    /// What became of a connect: if it is over, what the program wrote meanwhile goes on its way.
    fn after(&mut self, socket: &Arc<Socket>, progress: &Progress) {
        if matches!(progress, Progress::Decided) {
            self.turn(socket, Way::Up, false);
            self.turn(socket, Way::Down, false);
        }
    }

    /// Finishes the sockets that their programs have closed: on Linux, `close` has given the port back when it returns.
    pub(super) fn finish_closed(&mut self) {
        for socket in self.room.closed() {
            socket.has_hung_up();
            self.turn(&socket, Way::Up, false);
        }
    }

    /// Those whose turn was bounded have another one.
    fn go_on(&mut self) {
        for _ in 0..self.again.len() {
            if let Some((socket, way)) = self.again.pop_front() {
                self.turn(&socket, way, false);
            }
        }
    }
}

/// The stack's side, until the process ends.
pub(super) fn stack_side(room: &Arc<Room>, mut reactor: Reactor) {
    let mut turns = Turns::new(room);
    let mut events = Vec::new();
    loop {
        let now = (!turns.again.is_empty()).then(clock::now);
        if reactor.wait(now, &mut events).is_err() {
            return;
        }
        for event in &events {
            stack_says(&mut turns, event);
        }
        turns.go_on();
    }
}

fn stack_says(turns: &mut Turns, event: &Event) {
    let Some(socket) = turns.room.find(event.token as u64) else {
        return;
    };
    if socket.is_new() {
        let progress = connect::proceed(&socket);
        return turns.after(&socket, &progress);
    }
    if event.flags.contains(EventFlags::EVENT_READ) {
        turns.turn(&socket, Way::Down, false);
    }
    if event.flags.contains(EventFlags::EVENT_WRITE) {
        turns.turn(&socket, Way::Up, true);
    }
}

/// The programs' side.
struct Programs<'e> {
    epoll: &'e OwnedFd,
    turns: Turns,
    room: Arc<Room>,
    /// Those that have not been asked yet, or on which more is said: about which socket.
    questions: BTreeMap<u64, (OwnedFd, Option<u64>)>,
    asked: u64,
}

/// The programs' side of the sockets that belong here, until the door is shut; the first is where the door is, too.
pub(super) fn programs_side(room: &Arc<Room>, index: usize) {
    let Some(waits) = room.waits().get(index) else {
        return;
    };
    let epoll = &waits.epoll;
    let mut programs = Programs {
        epoll,
        turns: Turns::new(room),
        room: Arc::clone(room),
        questions: BTreeMap::new(),
        asked: QUESTION,
    };
    let door = EventData::new_u64(DOOR);
    // Of the others, each hears only that it is over.
    let opening = if index == 0 {
        Ready::IN
    } else {
        Ready::empty()
    };
    if epoll::add(epoll, &room.listener, door, opening).is_err() {
        return;
    }
    let mut space = [MaybeUninit::uninit(); BATCH];
    loop {
        let now = Timespec::default();
        let now = (!programs.turns.again.is_empty()).then_some(&now);
        let events = match epoll::wait(epoll, &mut space, now) {
            Ok((events, _)) => events,
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return,
        };
        for event in &*events {
            let (token, flags) = (event.data.u64(), event.flags);
            match token {
                // Shut, which a call to accept that does not wait would not tell.
                DOOR if flags.contains(Ready::HUP) => return,
                DOOR => programs.open(),
                QUESTION.. => programs.hear(token),
                id => programs.program_says(id, flags),
            }
        }
        programs.turns.go_on();
    }
}

impl Programs<'_> {
    fn program_says(&mut self, id: u64, flags: Ready) {
        let Some(socket) = self.room.find(id) else {
            return;
        };
        if flags.intersects(Ready::HUP | Ready::ERR) {
            socket.has_hung_up();
        }
        if flags.contains(Ready::OUT) {
            self.turns.turn(&socket, Way::Down, true);
        }
        self.turns.turn(&socket, Way::Up, false);
    }

    /// Lets in who asks.
    fn open(&mut self) {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let Ok(question) = accept_with(&self.room.listener, flags) else {
            return;
        };
        // Who comes when there are too many hears that nobody is there.
        if self.questions.len() < MOST_QUESTIONS {
            self.asked = self.asked.wrapping_add(1) | QUESTION;
            let asked = EventData::new_u64(self.asked);
            if epoll::add(self.epoll, &question, asked, Ready::IN).is_ok() {
                self.questions.insert(self.asked, (question, None));
            }
        }
    }

    /// Something is said on a question, or it ends.
    fn hear(&mut self, token: u64) {
        let Some((question, about)) = self.questions.remove(&token) else {
            return;
        };
        // It is listened to no more, unless its asker still has something to say.
        let _ = epoll::delete(self.epoll, &question);
        let text = questions::read(&question);
        if let Some(id) = about {
            let Some(socket) = self.room.find(id) else {
                return;
            };
            let progress = connect::filled(&socket, text.parse().unwrap_or(0));
            return self.turns.after(&socket, &progress);
        }
        match questions::answer(&mut self.turns, question, &text) {
            Next::Answered => {}
            Next::Turn(socket, Progress::Filling(question)) => {
                let data = EventData::new_u64(token);
                if epoll::add(self.epoll, &question, data, Ready::IN).is_ok() {
                    self.questions.insert(token, (question, Some(socket.id)));
                }
            }
            Next::Turn(socket, progress) => self.turns.after(&socket, &progress),
        }
    }
}
