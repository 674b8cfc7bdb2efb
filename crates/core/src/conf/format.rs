// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Entries to text, one per line, as libvirt writes them.

use std::fmt::{Display, Formatter, Result};

use super::{Conf, Entry, Setting, Value};

impl Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) if text.contains(['\n', '"']) => {
                write!(f, r#""""{text}""""#)
            }
            Self::Text(text) => write!(f, "\"{text}\""),
            Self::List(values) if values.is_empty() => f.write_str("[ ]"),
            Self::List(values) => {
                for (index, value) in values.iter().enumerate() {
                    write!(f, "{}{value}", if index == 0 { "[ " } else { ", " })?;
                }
                f.write_str(" ]")
            }
        }
    }
}

impl Display for Setting {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{} = {}", self.name, self.value)?;
        self.comment.iter().try_for_each(|comment| write!(f, " #{comment}"))
    }
}

impl Display for Conf {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        self.entries.iter().try_for_each(|entry| match entry {
            Entry::Comment(comment) => writeln!(f, "#{comment}"),
            Entry::Setting(setting) => writeln!(f, "{setting}"),
        })
    }
}
