// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A set of [`Flag`]s, as small as one cache line and cheap to copy.

use std::fmt;

use super::flag::Flag;

const WORDS: usize = Flag::ALL.len().div_ceil(64);

/// A set of flags, iterated in the order in which caches list them.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct FlagSet([u64; WORDS]);

impl FlagSet {
    /// The empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether `flag` is in the set.
    #[must_use]
    pub fn has(&self, flag: Flag) -> bool {
        let (word, bit) = place(flag);
        self.0[word] & bit != 0
    }

    /// Puts `flag` into the set.
    pub fn insert(&mut self, flag: Flag) {
        let (word, bit) = place(flag);
        self.0[word] |= bit;
    }

    /// Takes `flag` out of the set.
    pub fn remove(&mut self, flag: Flag) {
        let (word, bit) = place(flag);
        self.0[word] &= !bit;
    }

    /// The flags in the set, in the order in which caches list them.
    pub fn iter(&self) -> impl Iterator<Item = Flag> + '_ {
        Flag::ALL.iter().copied().filter(|flag| self.has(*flag))
    }

    /// How many flags are in the set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether no flag is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }
}

fn place(flag: Flag) -> (usize, u64) {
    let index = flag as usize;
    (index / 64, 1 << (index % 64))
}

impl FromIterator<Flag> for FlagSet {
    fn from_iter<I: IntoIterator<Item = Flag>>(flags: I) -> Self {
        let mut set = Self::new();
        flags.into_iter().for_each(|flag| set.insert(flag));
        set
    }
}

impl fmt::Debug for FlagSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Flag::name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flag_has_its_own_place_and_name() {
        let mut set = FlagSet::new();
        for (count, flag) in Flag::ALL.iter().enumerate() {
            assert!(!set.has(*flag));
            set.insert(*flag);
            assert_eq!(set.len(), count + 1);
            assert_eq!(Flag::from_name(flag.name()), Some(*flag));
        }
        assert_eq!(set.iter().count(), Flag::ALL.len());
        set.remove(Flag::Kvm);
        assert!(!set.has(Flag::Kvm));
        assert_eq!(Flag::from_name("no such flag"), None);
    }
}
