// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a document calls its object, read without understanding the rest: access control asks before anything else
//! is made of a document.
//!
//! Invariant: where something is said twice, what counts here is what counts when the document is read in full.

use virtus_api::Result;

use crate::reader::{self, Node, ParseFlags};

/// The texts that stand at `paths` in the document: `uuid` is a child of the root, `mac/@address` a child's attribute.
///
/// # Errors
/// The text is not XML, or larger or deeper than a document may be.
pub fn at<'p>(
    document: &str,
    paths: impl IntoIterator<Item = &'p str>,
) -> Result<Vec<Option<String>>> {
    let read = |root: Node<'_>| Ok(paths.into_iter().map(|path| follow(root, path)).collect());
    Ok(reader::parse(document, "(definition)", ParseFlags::empty(), read)?.value)
}

/// The first text at `path` below `node` that is not empty.
fn follow(node: Node<'_>, path: &str) -> Option<String> {
    if let Some(name) = path.strip_prefix('@') {
        return node
            .attr(name)
            .map(|value| value.text().to_owned())
            .filter(|text| !text.is_empty());
    }
    let (name, rest) = path.split_once('/').unwrap_or((path, ""));
    let foreign =
        |child: &Node<'_>| child.namespace().is_some() && child.namespace() != node.namespace();
    node.children().filter(|child| child.name() == name && !foreign(child)).find_map(|child| {
        match rest {
            "" => Some(child.text().into_owned()).filter(|text| !text.is_empty()),
            rest => follow(child, rest),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Domain;

    #[test]
    fn names_are_those_of_the_full_reading() {
        for inside in [
            "<name>a</name><name>b</name>",
            "<name></name><name>b</name>",
            "<x:name xmlns:x='urn:x'>b</x:name><name><!-- b -->a</name>",
            "<metadata><name>b</name></metadata><name>a<![CDATA[&]]>c</name>",
            "<name> a </name>",
        ] {
            let text = format!("<domain type='test'>{inside}<memory>1</memory></domain>");
            let full = Domain::parse(&text, ParseFlags::RAW).unwrap().value.body.name;
            assert_eq!(at(&text, ["name"]).unwrap(), [Some(full)], "{text}");
        }
    }

    #[test]
    fn attributes_are_found_at_any_depth() {
        let text = "<interface name='br0'><mac address='52:54:00:00:00:01'/><mtu/></interface>";
        let found = at(text, ["@name", "mac/@address", "mtu/@size", "uuid"]).unwrap();
        assert_eq!(found, [Some("br0".into()), Some("52:54:00:00:00:01".into()), None, None]);
        assert!(at(&"<a>".repeat(100_000), ["name"]).is_err());
    }
}
