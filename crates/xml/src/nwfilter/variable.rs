// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `$NAME`, `$NAME[3]` and `$NAME[@1]`: what a rule leaves to the card that it is applied to.

use crate::value::{Allowed, Value};
use crate::writer::Escaped;

/// A variable and which of its values are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    pub name: String,
    pub access: Access,
}

/// Which values of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// The one with this index.
    Element(u32),
    /// Each in turn; all variables with the same iterator go on together. 0 unless it is said.
    Iterator(u32),
}

/// The largest number of an iterator.
const MAX_ITERATOR: u32 = 1000;

impl Value for Variable {
    const ALLOWED: Allowed = Allowed::A("a variable such as $IP, $IP[2] or $IP[@1]");
    fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('$')?.trim_end();
        let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        let access = if rest.is_empty() {
            Access::Iterator(0)
        } else {
            let inside = rest.strip_prefix('[')?.strip_suffix(']')?.trim();
            match inside.strip_prefix('@') {
                Some(iterator) => {
                    Access::Iterator(u32::parse(iterator).filter(|id| *id <= MAX_ITERATOR)?)
                }
                None => Access::Element(u32::parse(inside)?),
            }
        };
        (!name.is_empty()).then(|| Self { name: name.to_owned(), access })
    }
    fn write(&self, out: &mut Escaped<'_>) {
        out.put('$');
        out.put(&self.name);
        match self.access {
            Access::Element(index) => out.put(format_args!("[{index}]")),
            Access::Iterator(0) => {}
            Access::Iterator(id) => out.put(format_args!("[@{id}]")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_name_one_value_or_iterate() {
        let parse = |text| Variable::parse(text).map(|variable| (variable.name, variable.access));
        assert_eq!(parse("$IP"), Some(("IP".to_owned(), Access::Iterator(0))));
        assert_eq!(parse("$A[ 1 ] "), Some(("A".to_owned(), Access::Element(1))));
        assert_eq!(parse("$B[ @ 2]"), Some(("B".to_owned(), Access::Iterator(2))));
        for text in ["$", "IP", "$A[", "$A[]", "$A[x]", "$A[@1001]", "$A]", "$A-B", "$A[1]x"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
