// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `protocol[+transport]://host[:port]/name[?query]`.

use virtus_api::Result;
use virtus_core::Uri;
use virtus_xml::domain::storage::{Protocol, StorageHost, Transport};

use super::{Location, invalid, word};

/// Reads a URI.
pub(super) fn parse(text: &str) -> Result<Location> {
    let uri = Uri::parse(text)?;
    let protocol: Protocol = word(&uri.scheme, "backing protocol")?;
    let transport: Option<Transport> =
        uri.transport.as_deref().map(|name| word(name, "protocol transport type")).transpose()?;
    // The query as it is written: that of a web server means nothing to us.
    let query = text.split_once('#').map_or(text, |(text, _)| text).split_once('?');
    let query = query.map(|(_, query)| query.to_owned()).filter(|query| !query.is_empty());
    let socket = query.as_deref().and_then(|query| query.strip_prefix("socket="));
    let name = uri.path.strip_prefix('/').unwrap_or(&uri.path);
    if protocol == Protocol::Gluster
        && name.split_once('/').is_none_or(|(volume, _)| volume.is_empty())
    {
        return Err(invalid(format!(
            "missing volume name or file name in gluster source path '{name}'"
        )));
    }
    let unnamed = protocol == Protocol::Nbd && name.is_empty();
    let mut found = Location::network(protocol, (!unnamed).then(|| name.to_owned()));
    found.source.hosts.push(StorageHost {
        transport: transport.filter(|transport| *transport != Transport::Tcp),
        name: uri.server.clone(),
        port: uri.port.map(|port| port.to_string()),
        socket: socket.filter(|_| transport == Some(Transport::Unix)).map(str::to_owned),
    });
    if matches!(
        protocol,
        Protocol::Http | Protocol::Https | Protocol::Ftp | Protocol::Ftps | Protocol::Tftp
    ) {
        found.source.query = query;
    }
    found.credentials = uri.user.is_some();
    Ok(found)
}

/// Reads a URI whose protocol is known from elsewhere.
pub(super) fn parse_as(text: &str, protocol: Protocol) -> Result<Location> {
    let found = parse(text)?;
    match found.source.protocol {
        Some(other) if other != protocol => Err(invalid(format!(
            "expected protocol '{protocol}' but got '{other}' in URI JSON volume definition"
        ))),
        _ => Ok(found),
    }
}
