//! Calls that wait: answered, interrupted, closed under, killed.

use super::*;

impl Client<'_> {
    /// What the provider calls a file.
    pub(super) fn id(&self, fd: usize) -> io::Result<usize> {
        let mut path = [0; 64];
        let count = call::fpath(fd, &mut path)?;
        let text = String::from_utf8_lossy(path.get(..count).unwrap_or_default()).into_owned();
        text.rsplit('/')
            .next()
            .and_then(|id| id.parse().ok())
            .ok_or_else(|| io::Error::other(text))
    }

    /// Starts a reader of `data`; gives its process and the pipe that tells what it read. The file stays open here.
    pub(super) fn reader(&mut self, data: usize) -> io::Result<(usize, usize)> {
        let (told, to) = pipe()?;
        let from = call::dup(data, b"")?;
        let pid = self.worlds.start(Part::Reader { from, to }, &[from, to]);
        call::close(to)?;
        call::close(from)?;
        Ok((pid, told))
    }

    pub(super) fn parking(&mut self) -> io::Result<()> {
        self.title("parking")?;
        let mut readers = Vec::new();
        for _ in 0..2 {
            let data = open("data", O_RDWR)?;
            let id = self.id(data)?;
            let (_, told) = self.reader(data)?;
            readers.push((data, id, told));
            self.until(readers.len(), "parked")?;
        }
        self.tell("answer")?;
        for (name, (data, id, told)) in ["first", "second"].into_iter().zip(readers) {
            self.say(&format!("the {name} that was parked"), &read_to_end(told)?)?;
            call::close(told)?;
            call::close(data)?;
            self.until(1, &format!("close {id}"))?;
        }
        let data = open("data", O_RDWR)?;
        let id = self.id(data)?;
        let (_, told) = self.reader(data)?;
        self.until(3, "parked")?;
        call::close(data)?;
        self.tell(&format!("put {id} late"))?;
        self.say("a read whose file was closed here", &read_to_end(told)?)?;
        call::close(told)?;
        self.until(1, &format!("close {id}"))?;
        self.asked()
    }

    pub(super) fn signals(&mut self) -> io::Result<()> {
        self.title("signals")?;
        let data = open("data", O_RDWR)?;
        let id = self.id(data)?;
        let (pid, told) = self.reader(data)?;
        self.until(1, "parked")?;
        call::kill(pid, SIGUSR1)?;
        self.say("a read that a signal interrupted", &read_to_end(told)?)?;
        call::close(told)?;
        self.asked()?;
        let (pid, told) = self.reader(data)?;
        self.until(1, "parked")?;
        call::close(data)?;
        call::kill(pid, SIGKILL)?;
        self.say(
            "a reader that was killed",
            &format!("{:?}", read_to_end(told)?),
        )?;
        call::close(told)?;
        self.until(1, &format!("close {id}"))?;
        self.tell("answer")?;
        self.asked()
    }
}
