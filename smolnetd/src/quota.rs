//! Who may have how much of something that all users share: nobody takes what others need, and nobody what root needs.

use std::collections::BTreeMap;

use crate::socket::Owner;

/// The bounds of a quota, in whatever it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// All users together, root included.
    pub all: usize,
    /// One user other than root.
    pub of_user: usize,
    /// What of all is left for root.
    pub for_root: usize,
}

/// Why there is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exceeded {
    /// This user has as much as one may have.
    OfUser,
    /// All together have.
    InAll,
}

/// What everybody has.
#[derive(Debug)]
pub(crate) struct Quota {
    share: Share,
    root: usize,
    users: usize,
    by_user: BTreeMap<u32, usize>,
}

impl Quota {
    /// Nobody has anything.
    pub(crate) fn new(share: Share) -> Quota {
        Quota {
            share,
            root: 0,
            users: 0,
            by_user: BTreeMap::new(),
        }
    }

    /// May `owner` have so much more?
    pub(crate) fn check(&self, owner: Owner, amount: usize) -> Result<(), Exceeded> {
        let fits = |used: usize, most: usize| used.saturating_add(amount) <= most;
        let Share {
            all,
            of_user,
            for_root,
        } = self.share;
        if !fits(self.root.saturating_add(self.users), all) {
            return Err(Exceeded::InAll);
        }
        if owner.is_privileged() {
            return Ok(());
        }
        let own = self.by_user.get(&owner.uid).copied().unwrap_or(0);
        match () {
            () if !fits(own, of_user) => Err(Exceeded::OfUser),
            () if !fits(self.users, all.saturating_sub(for_root)) => Err(Exceeded::InAll),
            () => Ok(()),
        }
    }

    /// `owner` has so much more.
    pub(crate) fn take(&mut self, owner: Owner, amount: usize) {
        if owner.is_privileged() {
            self.root = self.root.saturating_add(amount);
        } else if amount > 0 {
            self.users = self.users.saturating_add(amount);
            let own = self.by_user.entry(owner.uid).or_default();
            *own = own.saturating_add(amount);
        }
    }

    /// `owner` has so much less.
    pub(crate) fn give_back(&mut self, owner: Owner, amount: usize) {
        if owner.is_privileged() {
            self.root = self.root.saturating_sub(amount);
        } else if let Some(own) = self.by_user.get_mut(&owner.uid) {
            self.users = self.users.saturating_sub(amount);
            *own = own.saturating_sub(amount);
            if *own == 0 {
                self.by_user.remove(&owner.uid);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARE: Share = Share {
        all: 10,
        of_user: 4,
        for_root: 3,
    };

    fn take_all(quota: &mut Quota, owner: Owner) -> (usize, Exceeded) {
        let mut taken = 0;
        loop {
            match quota.check(owner, 1) {
                Ok(()) => quota.take(owner, 1),
                Err(exceeded) => return (taken, exceeded),
            }
            taken += 1;
        }
    }

    #[test]
    fn a_user_takes_no_more_than_its_own_and_users_leave_root_its_part() {
        let mut quota = Quota::new(SHARE);
        let [one, two] = [1000, 1001].map(|uid| Owner { uid });
        assert_eq!(take_all(&mut quota, one), (4, Exceeded::OfUser));
        assert_eq!(take_all(&mut quota, two), (3, Exceeded::InAll));
        assert_eq!(take_all(&mut quota, Owner::ROOT), (3, Exceeded::InAll));
        quota.give_back(one, 2);
        assert_eq!(take_all(&mut quota, two), (1, Exceeded::OfUser));
    }

    #[test]
    fn what_was_given_back_is_nobody_s() {
        let mut quota = Quota::new(SHARE);
        let one = Owner { uid: 1000 };
        quota.take(one, 4);
        quota.give_back(one, 4);
        assert!(quota.by_user.is_empty());
        assert_eq!(take_all(&mut quota, Owner::ROOT), (10, Exceeded::InAll));
        assert_eq!(take_all(&mut quota, one), (0, Exceeded::InAll));
    }
}
