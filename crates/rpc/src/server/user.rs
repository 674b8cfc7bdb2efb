// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Who counts as one user, and shares that each user has: nobody's work stands before everybody else's.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;
use virtus_core::Identity;

/// A user, by the best proof that there is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum User {
    /// By SASL or a certificate.
    Named(String),
    /// Of this host.
    Local(u32),
    /// All of whom nothing is proven.
    Anyone,
}

impl User {
    pub(crate) fn of(identity: &Identity) -> Self {
        let name = identity.sasl_user.as_ref().or(identity.x509_dname.as_ref());
        match (name, identity.uid) {
            (Some(name), _) => Self::Named(name.clone()),
            (None, Some(uid)) => Self::Local(uid),
            (None, None) => Self::Anyone,
        }
    }

    pub(crate) fn is_root(&self) -> bool {
        *self == Self::Local(0)
    }
}

/// So many places for each user who needs one now.
#[derive(Default)]
pub(crate) struct Shares(Mutex<HashMap<User, Arc<Semaphore>>>);

impl Shares {
    /// The places of `user`: as many as whoever of it came first was given.
    pub(crate) fn of(&self, user: User, places: usize) -> Arc<Semaphore> {
        let mut users = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        users.retain(|_, share| Arc::strong_count(share) > 1);
        let share = || Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS)));
        users.entry(user).or_insert_with(share).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_user_has_its_share_as_long_as_it_uses_it() {
        let shares = Shares::default();
        let share = shares.of(User::Local(1), 1);
        let place = share.clone().try_acquire_owned().unwrap();
        assert!(shares.of(User::Local(1), 9).try_acquire().is_err());
        assert!(shares.of(User::Local(2), 1).try_acquire().is_ok());
        drop((place, share));
        assert_eq!(shares.of(User::Local(1), 9).available_permits(), 9);
    }
}
