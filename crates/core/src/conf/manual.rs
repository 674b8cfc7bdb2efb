// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a configuration file may say: every key that libvirt documents, and what it means here.
//!
//! From such a table follow the file that is installed, and what is odd about one that somebody wrote.

use super::Conf;

/// A file, below the folder of the configuration.
#[derive(Debug)]
pub struct Manual {
    /// Its name.
    pub file: &'static str,
    /// What it is for, in a sentence.
    pub about: &'static str,
    /// All its keys.
    pub chapters: &'static [Chapter],
}

/// Keys about one subject.
#[derive(Debug)]
pub struct Chapter {
    /// Its name, as a heading.
    pub title: &'static str,
    /// What holds for all its keys; may be empty.
    pub about: &'static str,
    /// The keys.
    pub keys: &'static [Key],
}

/// One key.
#[derive(Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What it is if nobody sets it, or an example where that is nothing.
    pub value: &'static str,
    /// What it does.
    pub about: &'static str,
    /// Whether it does that here; otherwise it is known and changes nothing.
    pub heeded: bool,
}

/// A key that does what it says.
#[must_use]
pub const fn set(name: &'static str, value: &'static str, about: &'static str) -> Key {
    Key { name, value, about, heeded: true }
}

/// A key that is known, and without effect.
#[must_use]
pub const fn idle(name: &'static str, value: &'static str, about: &'static str) -> Key {
    Key { name, value, about, heeded: false }
}

impl Manual {
    /// All its keys.
    pub fn keys(&self) -> impl Iterator<Item = &'static Key> + Clone {
        self.chapters.iter().flat_map(|chapter| chapter.keys)
    }
}

/// What the log should be told of a file that may have `keys`.
pub fn remarks(conf: &Conf, keys: impl Iterator<Item = &'static Key> + Clone) -> Vec<String> {
    let place = |line: usize| format!("{}:{line}", conf.file().display());
    let known: Vec<&str> = keys.clone().map(|key| key.name).collect();
    let unknown = conf.unknown(&known).map(|setting| {
        format!("{}: unknown setting '{}' is ignored", place(setting.line), setting.name)
    });
    let idle = keys.filter(|key| !key.heeded).filter_map(|key| {
        let setting = conf.get(key.name)?;
        Some(format!("{}: '{}' has no effect in Virtus", place(setting.line), key.name))
    });
    unknown.chain(idle).collect()
}
