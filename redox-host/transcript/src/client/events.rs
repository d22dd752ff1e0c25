//! Event queues: subscriptions, edges, time.

use syscall::data::Event;
use syscall::flag::EVENT_TIMEOUT_ID;

use super::*;

impl Client<'_> {
    pub(super) fn subscribe(
        &self,
        queue: usize,
        fd: usize,
        data: usize,
        flags: usize,
    ) -> Result<()> {
        call::write(
            queue,
            &Event {
                id: fd,
                flags: EventFlags::from_bits_retain(flags),
                data,
            },
        )
        .map(|_| ())
    }

    /// What is in a queue now; descriptors are left out, for their numbers differ between the worlds.
    pub(super) fn queued(&self, queue: usize) -> String {
        let mut bytes = [0; 24 * 16];
        let count = match call::read(queue, &mut bytes) {
            Ok(count) => count,
            Err(error) => return format!("error {}", error.errno()),
        };
        let word = |chunk: &[u8], at: usize| {
            chunk
                .get(at..at + 8)
                .and_then(|b| b.try_into().ok())
                .map_or(0, usize::from_ne_bytes)
        };
        let events: Vec<String> = bytes
            .chunks(24)
            .take(count / 24)
            .map(|chunk| format!("(flags {} data {})", word(chunk, 8), word(chunk, 16)))
            .collect();
        events.join(" ")
    }

    pub(super) fn events(&mut self) -> io::Result<()> {
        self.title("events")?;
        let queue = call::open("/scheme/event", (O_RDWR | O_NONBLOCK | O_CLOEXEC) as i32, 0)?;
        let other = call::open("/scheme/event", (O_RDWR | O_NONBLOCK | O_CLOEXEC) as i32, 0)?;
        let data = open("data", O_RDWR)?;
        let id = self.id(data)?;
        self.say("an empty queue", &self.queued(queue))?;
        self.tell(&format!("post {id} {READ}"))?;
        self.say(
            "subscribe to READ",
            &done(self.subscribe(queue, data, 1, READ)),
        )?;
        self.say("a post before the subscription", &self.queued(queue))?;
        self.say(
            "another queue subscribes to WRITE",
            &done(self.subscribe(other, data, 2, WRITE)),
        )?;
        self.say("readiness at subscription", &self.queued(other))?;
        for flags in [READ, READ, READ | WRITE] {
            self.tell(&format!("post {id} {flags}"))?;
        }
        self.say("three posts, first queue", &self.queued(queue))?;
        self.say("three posts, other queue", &self.queued(other))?;
        self.say("once more", &self.queued(queue))?;
        self.say("unsubscribe", &done(self.subscribe(queue, data, 1, 0)))?;
        self.tell(&format!("post {id} {READ}"))?;
        self.say("a post after that", &self.queued(queue))?;
        self.say(
            "subscribe to the queue itself",
            &done(self.subscribe(queue, queue, 1, READ)),
        )?;
        self.say(
            "timeout",
            &done(self.subscribe(queue, EVENT_TIMEOUT_ID, 1, READ)),
        )?;
        self.say("a read that does not block", &self.queued(queue))?;
        call::fcntl(queue, F_SETFL, 0)?;
        self.say("a read that blocks", &self.queued(queue))?;
        for fd in [data, other, queue] {
            call::close(fd)?;
        }
        self.asked()
    }
}
