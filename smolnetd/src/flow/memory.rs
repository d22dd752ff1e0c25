//! How much memory the octets of all connections take, and how much of it each may have.
//!
//! There is one rule: no connection takes more than an eighth of what is left, of the whole and of its user's part of
//! it, but [`FLOOR`] always. The more connections hold, the less each may: a thousand that are never read leave an
//! eighth of what they could not have to the next one, where a limit that is the same for all would leave nothing to it or
//! would have to be a thousand times smaller for everyone at all times. What is held already is never taken back.

/// Bytes of memory that every connection may hold, whatever the others do: it goes on, if slowly. Two chunks of a
/// buffer, or two segments and what is in order before them.
pub const FLOOR: usize = 8 << 10;

/// How many connections that take what they may must come together to halve what is left.
const PARTS: usize = 8;

/// The memory of all connections.
#[derive(Debug)]
pub struct Memory {
    /// Bytes for all together, and for the connections of one user.
    most: usize,
    most_per_user: usize,
    held: usize,
    peak: usize,
    /// Those that have connections, and places of those that had.
    users: Vec<User>,
}

/// What one user's connections hold.
#[derive(Debug)]
struct User {
    uid: u32,
    connections: usize,
    held: usize,
}

/// What one connection holds, on its user's account. Given back with [`Memory::close`].
#[derive(Debug)]
pub struct Account {
    user: usize,
    held: usize,
}

/// What a connection may hold now. One that nobody counts may hold anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Bytes of memory.
    pub most: usize,
    /// Nothing at all is left: even what was promised can be had only by those that hold next to nothing.
    pub exhausted: bool,
}

impl Default for Share {
    fn default() -> Share {
        Share {
            most: usize::MAX,
            exhausted: false,
        }
    }
}

impl Share {
    /// What is left of it beside `octets` that are held for the other direction.
    pub fn beside(self, octets: usize) -> usize {
        self.most.saturating_sub(octets).max(FLOOR)
    }
}

impl Memory {
    /// `most` bytes for all connections together, `most_per_user` for those of one user.
    pub fn new(most: usize, most_per_user: usize) -> Memory {
        Memory {
            most,
            most_per_user,
            held: 0,
            peak: 0,
            users: Vec::new(),
        }
    }

    /// Bytes held by all connections.
    pub fn held(&self) -> usize {
        self.held
    }

    /// The most bytes that were ever held at a time.
    pub fn peak(&self) -> usize {
        self.peak
    }

    /// What of it is held, what was held at most, and what there is, in bytes, for whoever shows it.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        let bytes = [
            ("held", self.held),
            ("peak", self.peak),
            ("most", self.most),
        ];
        bytes.into_iter().map(|(name, value)| (name, value as u64))
    }

    /// An account for a new connection of user `uid`.
    pub fn open(&mut self, uid: u32) -> Account {
        let known = self.users.iter().position(|user| user.uid == uid);
        let place = known.or_else(|| self.users.iter().position(|user| user.connections == 0));
        let user = place.unwrap_or(self.users.len());
        if place.is_none() {
            self.users.push(User {
                uid,
                connections: 0,
                held: 0,
            });
        }
        if let Some(user) = self.users.get_mut(user) {
            user.uid = uid;
            user.connections += 1;
        }
        Account { user, held: 0 }
    }

    /// What the connection with this account may hold now.
    pub fn share(&self, account: &Account) -> Share {
        let user = self.users.get(account.user).map_or(0, |user| user.held);
        let left = self
            .most
            .saturating_sub(self.held)
            .min(self.most_per_user.saturating_sub(user));
        Share {
            most: (left / PARTS).max(FLOOR),
            exhausted: left == 0,
        }
    }

    /// The connection holds `held` bytes now.
    pub fn settle(&mut self, account: &mut Account, held: usize) {
        if held == account.held {
            return;
        }
        self.held = self.held.saturating_sub(account.held).saturating_add(held);
        self.peak = self.peak.max(self.held);
        if let Some(user) = self.users.get_mut(account.user) {
            user.held = user.held.saturating_sub(account.held).saturating_add(held);
        }
        account.held = held;
    }

    /// The connection is no more.
    pub fn close(&mut self, mut account: Account) {
        self.settle(&mut account, 0);
        if let Some(user) = self.users.get_mut(account.user) {
            user.connections = user.connections.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    /// Takes as much as it may, chunk by chunk, up to `wanted`.
    fn fill(memory: &mut Memory, account: &mut Account, wanted: usize) {
        while account.held < wanted && account.held < memory.share(account).most {
            memory.settle(account, account.held + 4096);
        }
    }

    #[test]
    fn a_thousand_that_are_never_read_leave_something_to_the_next() {
        let mut memory = Memory::new(64 * MIB, 64 * MIB);
        let mut hoards: Vec<_> = (0..1000).map(|_| memory.open(1)).collect();
        for hoard in &mut hoards {
            fill(&mut memory, hoard, 4 * MIB);
        }
        assert!(
            memory.held() <= 64 * MIB + 1000 * FLOOR,
            "{}",
            memory.held()
        );
        let mut other = memory.open(1);
        fill(&mut memory, &mut other, MIB);
        assert!(other.held >= FLOOR);
        hoards.push(other);
        for hoard in hoards {
            memory.close(hoard);
        }
        assert_eq!(memory.held(), 0);
    }

    #[test]
    fn those_that_want_little_leave_nearly_everything_to_the_others() {
        let mut memory = Memory::new(256 * MIB, 192 * MIB);
        for _ in 0..1000 {
            let mut hoard = memory.open(1);
            fill(&mut memory, &mut hoard, 128 << 10);
            assert_eq!(hoard.held, 128 << 10);
        }
        let mut busy = memory.open(1);
        fill(&mut memory, &mut busy, 4 * MIB);
        assert_eq!(busy.held, 4 * MIB);
    }

    #[test]
    fn one_user_cannot_take_what_is_for_all() {
        let mut memory = Memory::new(64 * MIB, 32 * MIB);
        for _ in 0..10_000 {
            let mut hoard = memory.open(1);
            let most = memory.share(&hoard).most;
            memory.settle(&mut hoard, if most > FLOOR { most } else { 0 });
        }
        assert!(memory.held() <= 32 * MIB);
        let other = memory.open(2);
        assert!(memory.share(&other).most >= 4 * MIB);
        let own = memory.open(1);
        assert!(memory.share(&own).most < 64 << 10);
    }

    #[test]
    fn beyond_the_last_byte_each_has_the_floor() {
        let mut memory = Memory::new(MIB, MIB);
        let mut hoard = memory.open(1);
        memory.settle(&mut hoard, 2 * MIB);
        let share = Share {
            most: FLOOR,
            exhausted: true,
        };
        assert_eq!(memory.share(&hoard), share);
        let other = memory.open(7);
        assert_eq!(memory.share(&other), share);
        memory.close(hoard);
        assert_eq!((memory.held(), memory.peak()), (0, 2 * MIB));
    }

    #[test]
    fn places_of_users_that_have_nothing_open_are_used_again() {
        let mut memory = Memory::new(MIB, MIB);
        for uid in 0..1000 {
            let mut account = memory.open(uid);
            memory.settle(&mut account, 100);
            memory.close(account);
        }
        assert_eq!((memory.users.len(), memory.held()), (1, 0));
    }
}
