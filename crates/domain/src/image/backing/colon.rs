// SPDX-License-Identifier: Apache-2.0 OR MIT
//! QEMU's older strings: `nbd:host:port:exportname=…`, `nbd:unix:/socket`, `rbd:pool/image:option=…`.

use virtus_api::Result;
use virtus_xml::domain::storage::{ConfigFile, Named, Protocol};

use super::{Location, invalid, tcp_host, unix_host, word};

/// Reads such a string.
pub(super) fn parse(text: &str) -> Result<Location> {
    let (protocol, rest) = text.split_once(':').unwrap_or((text, ""));
    match word(protocol, "backing protocol")? {
        Protocol::Nbd => nbd(text, rest),
        Protocol::Rbd => Ok(rbd(rest)),
        other => {
            Err(invalid(format!("backing store parser is not implemented for protocol {other}")))
        }
    }
}

fn nbd(text: &str, rest: &str) -> Result<Location> {
    const EXPORT: &str = ":exportname=";
    let missing = |what: &str| invalid(format!("missing {what} in nbd backing string '{text}'"));
    let (server, export) = match rest.split_once(EXPORT) {
        Some((server, export)) => (server, Some(export.to_owned())),
        None => (rest, None),
    };
    let host = if let Some(path) = server.strip_prefix("unix:") {
        if path.is_empty() {
            return Err(missing("unix socket path"));
        }
        unix_host(path)
    } else {
        let (name, port) = match server.strip_prefix('[') {
            Some(address) => address.split_once("]:"),
            None => server.split_once(':'),
        }
        .ok_or_else(|| missing("port"))?;
        if name.is_empty() {
            return Err(missing("host name"));
        }
        // Options of no interest here may follow the port.
        let port = port.split(':').next().unwrap_or_default();
        let port: u16 = port.parse().map_err(|_| missing("port"))?;
        tcp_host(name, Some(port.to_string()))
    };
    let mut found = Location::network(Protocol::Nbd, export);
    found.source.hosts.push(host);
    Ok(found)
}

/// Reads what stands behind `rbd:`; a backslash takes the meaning from the colon behind it.
pub(super) fn rbd(text: &str) -> Location {
    let mut parts = split(text, ':').into_iter();
    let image = parts.next().unwrap_or_default();
    let (name, snapshot) = match image.split_once('@') {
        Some((name, snapshot)) => (name.to_owned(), Some(snapshot.to_owned())),
        None => (image, None),
    };
    let mut found = Location::network(Protocol::Rbd, Some(name));
    found.source.snapshot = snapshot.map(|name| Named { name });
    for option in parts {
        match option.split_once('=') {
            Some(("conf", file)) => {
                found.source.config = Some(ConfigFile { file: plain(file) });
            }
            Some(("mon_host", hosts)) => {
                let hosts = split(hosts, ';').into_iter().filter(|host| !host.is_empty());
                found.source.hosts.extend(hosts.map(|host| monitor(&plain(&host))));
            }
            _ => {}
        }
    }
    found
}

fn monitor(host: &str) -> virtus_xml::domain::storage::StorageHost {
    let address_end = host.find(']').unwrap_or(0);
    let (name, port) = match host[address_end..].rfind(':') {
        Some(at) => (&host[..address_end + at], Some(host[address_end + at + 1..].to_owned())),
        None => (host, None),
    };
    tcp_host(name.trim_start_matches('[').trim_end_matches(']'), port)
}

/// Splits at `separator`, except where a backslash stands before it. `\;` separates monitors, because the
/// string passes through one more reader than its own.
fn split(text: &str, separator: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut escaped = false;
    for c in text.chars() {
        if c == separator && (!escaped || separator == ';') {
            if escaped && let Some(part) = parts.last_mut() {
                part.pop();
            }
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(c);
        }
        escaped = c == '\\' && !escaped;
    }
    parts
}

fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.push(if c == '\\' { chars.next().unwrap_or(c) } else { c });
    }
    out
}
