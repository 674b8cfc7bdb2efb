// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<dnsmasq:options>`: lines that are handed to dnsmasq as they are.

use virtus_api::Result;

use crate::reader::Node;
use crate::schema::Piece;
use crate::writer::Writer;

const NAMESPACE: &str = "http://libvirt.org/schemas/network/dnsmasq/1.0";

/// What the schema allows in this namespace.
pub(super) const PIECES: &[Piece] = pieces!(
    foreign (NAMESPACE) (many (required String = "value") = "option") = "options"
);

pub(super) fn read(network: Node<'_>) -> Result<Vec<String>> {
    let ours = |node: &Node<'_>| node.namespace() == Some(NAMESPACE);
    let Some(options) = network.children().filter(ours).find(|node| node.name() == "options")
    else {
        return Ok(Vec::new());
    };
    let mut lines = Vec::new();
    for option in options.children().filter(ours) {
        if option.name() == "option" {
            lines.push(option.need("value")?);
        } else {
            option.unknown(&["option"]);
        }
    }
    Ok(lines)
}

pub(super) fn write_namespace(lines: &[String], out: &mut Writer) {
    if !lines.is_empty() {
        out.attr_text("xmlns:dnsmasq", NAMESPACE);
    }
}

pub(super) fn write(lines: &[String], out: &mut Writer) {
    if lines.is_empty() {
        return;
    }
    out.start("dnsmasq:options");
    for line in lines {
        out.start("dnsmasq:option");
        out.attr("value", line);
        out.end("dnsmasq:option");
    }
    out.end("dnsmasq:options");
}
