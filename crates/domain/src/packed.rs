// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Definitions kept small. The guests of a host are mostly made by one tool and much alike: each text is compressed
//! against the first one that was kept, so that what they share is stored once.

use std::sync::OnceLock;

use lz4_flex::block::{compress_prepend_size_with_dict, decompress_size_prepended_with_dict};
use virtus_api::{Error, ErrorCode, Result};
use virtus_xml::{Domain, FormatFlags};

/// What the others are compared with: a definition without its secrets, since it stays as long as the process.
static PATTERN: OnceLock<Box<[u8]>> = OnceLock::new();

/// LZ4 does not look back further.
const REACH: usize = 64 * 1024;

/// The text of a definition.
pub(crate) struct Packed(Box<[u8]>);

impl Packed {
    /// Packs `text`, which says what `def` is.
    pub(crate) fn new(def: &Domain, text: &str) -> Self {
        let pattern = PATTERN.get_or_init(|| {
            let mut pattern = def.format(FormatFlags::INACTIVE).into_bytes();
            pattern.truncate(REACH);
            pattern.into()
        });
        Self(compress_prepend_size_with_dict(text.as_bytes(), pattern).into())
    }

    /// The text.
    pub(crate) fn text(&self) -> Result<String> {
        let pattern = PATTERN.get().map(|pattern| &**pattern).unwrap_or_default();
        let text = decompress_size_prepended_with_dict(&self.0, pattern).ok();
        text.and_then(|text| String::from_utf8(text).ok()).ok_or_else(|| {
            Error::new(ErrorCode::InternalError, "a definition in memory is damaged")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use virtus_xml::ParseFlags;

    #[test]
    fn what_is_alike_takes_little_room() {
        let guest = |name: &str| {
            let devices: String = ('a'..='p')
                .map(|at| format!("<disk type='file'><source file='/{name}/{at}'/><target dev='vd{at}'/></disk>"))
                .collect();
            let text = format!(
                "<domain type='test'><name>{name}</name><memory>1</memory><os><type>hvm</type></os>\
                 <devices>{devices}</devices></domain>"
            );
            let def = Domain::parse(&text, ParseFlags::empty()).unwrap().value;
            let text = def.format(FormatFlags::INACTIVE | FormatFlags::SECURE);
            (Packed::new(&def, &text), text)
        };
        for name in ["one", "another", "ä"] {
            let (packed, text) = guest(name);
            assert_eq!(packed.text().unwrap(), text);
            assert!(packed.0.len() < text.len() / 4, "{} of {}", packed.0.len(), text.len());
        }
    }
}
