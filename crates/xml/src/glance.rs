// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The name and the UUID of a definition, without reading the rest: a daemon that finds ten thousand of them
//! can list them long before it has read them.
//!
//! Invariant: a document with one name and one UUID is told by them here as by the full reader, or not at all.

use uuid::Uuid;

/// What stands at the head of a definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glance<'t> {
    pub name: &'t str,
    pub uuid: Uuid,
}

/// Looks at the first children of a `<domain>`, in libvirt's form. `None` for what is unusual (a child with children of
/// its own before the UUID, a reference in the name): that needs the full reader.
#[must_use]
pub fn glance(text: &str) -> Option<Glance<'_>> {
    let (head, mut rest) = after_notes(text)?.strip_prefix("<domain")?.split_once('>')?;
    if head.ends_with('/') || !head.is_empty() && !head.starts_with(char::is_whitespace) {
        return None;
    }
    let (mut name, mut uuid) = (None, None);
    loop {
        let child = after_notes(rest)?.strip_prefix('<')?;
        let (tag, after) = child.split_once('>')?;
        let (content, after) = after.split_once('<')?;
        let unusual = match tag {
            "name" => name.replace(content).is_some() || content.contains('&'),
            "uuid" => uuid.replace(canonical(content)?).is_some(),
            _ => tag.ends_with('/'),
        };
        if unusual {
            return None;
        }
        let (end, after) = after.strip_prefix('/')?.split_once('>')?;
        if tag.split(char::is_whitespace).next() != Some(end) {
            return None;
        }
        if let (Some(name), Some(uuid)) = (name, uuid) {
            return Some(Glance { name, uuid });
        }
        rest = after;
    }
}

/// What follows declarations, comments and space.
fn after_notes(text: &str) -> Option<&str> {
    let mut rest = text.trim_start();
    loop {
        let after = if let Some(comment) = rest.strip_prefix("<!--") {
            comment.split_once("-->")?.1
        } else if let Some(instruction) = rest.strip_prefix("<?") {
            instruction.split_once("?>")?.1
        } else {
            return Some(rest);
        };
        rest = after.trim_start();
    }
}

/// A UUID in the one form that libvirt writes.
fn canonical(text: &str) -> Option<Uuid> {
    let uuid = (text.len() == 36).then(|| Uuid::try_parse(text).ok())??;
    (!uuid.is_nil()).then_some(uuid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Domain, ParseFlags};

    const UUID: &str = "<uuid>7e57ab1e-0000-4000-8000-000000000001</uuid>";

    fn around(inner: &str) -> String {
        format!(
            "<?xml version='1.0'?>\n<!--\nmade by <name>nobody</name>\n-->\n\n<domain type='test' id='3'>{inner}\
             <memory>1024</memory><os><type>hvm</type></os></domain>"
        )
    }

    #[test]
    fn a_glance_says_what_the_reader_says() {
        for inner in [
            format!("<name>a b</name>{UUID}"),
            format!("\n  {UUID}\n <!-- <name>x</name> -->\n <name>ä</name>"),
            format!("<title>a</title><name>n</name><description>d</description>{UUID}"),
        ] {
            let text = around(&inner);
            let seen = glance(&text).unwrap();
            let read = Domain::parse(&text, ParseFlags::INACTIVE).unwrap().value;
            assert_eq!((seen.name, Some(seen.uuid)), (read.name.as_str(), read.uuid));
        }
    }

    #[test]
    fn what_is_unusual_is_left_to_the_reader() {
        for inner in [
            "<name>n</name>".to_owned(),
            format!("<name>a&amp;b</name>{UUID}"),
            format!("<name><![CDATA[n]]></name>{UUID}"),
            format!("<name>n</name><name>m</name>{UUID}"),
            format!("<metadata><name>x</name></metadata><name>n</name>{UUID}"),
            format!("<name>n</name><genid/>{UUID}"),
            "<name>n</name><uuid>7e57ab1e000040008000000000000001</uuid>".to_owned(),
            "<name>n</name><uuid>00000000-0000-0000-0000-000000000000</uuid>".to_owned(),
        ] {
            assert_eq!(glance(&around(&inner)), None, "{inner}");
        }
        for text in ["", "<domain", "<domains><name>n</name>", "<!--", "<domain/><name>n</name>"] {
            assert_eq!(glance(text), None, "{text}");
        }
    }
}
