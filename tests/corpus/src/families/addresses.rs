// SPDX-License-Identifier: Apache-2.0 OR MIT
//! URIs and IP addresses: input and result stand in the manifest.

use std::fmt::Debug;

use serde_json::Value;
use virtus_core::Uri;
use virtus_xml::ip::{Family, IpAddress, range_size};
use virtus_xml::value::Value as _;

use crate::{Case, Corpus, Verdict};

fn same<T: PartialEq + Debug>(what: &str, actual: T, expected: T) -> Verdict {
    if actual == expected {
        Ok(())
    } else {
        Err(format!("{what}: {actual:?} instead of {expected:?}"))
    }
}

pub(super) fn uri(_: &Corpus, case: &Case) -> Verdict {
    let uri = Uri::parse(case.param("uri").unwrap_or_default()).map_err(|e| e.to_string())?;
    same("text", uri.to_string().as_str(), case.param("formatted").unwrap_or_default())?;
    same("scheme", Some(uri.scheme.as_str()), case.param("scheme"))?;
    same("server", uri.server.as_deref(), case.param("server"))?;
    same("port", u64::from(uri.port.unwrap_or_default()), number(case, "port"))?;
    same("path", uri.path.as_str(), case.param("path").unwrap_or_default())?;
    same("user", uri.user.as_deref(), case.param("user"))?;
    same("fragment", uri.fragment.as_deref(), case.param("fragment"))?;
    let pairs = case.params["query_params"].as_array().into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let pairs: Vec<_> = pairs.map(|pair| (text(&pair[0]), text(&pair[1]))).collect();
    same("parameters", uri.parameters, pairs)
}

fn number(case: &Case, name: &str) -> u64 {
    case.params[name].as_u64().unwrap_or_default()
}

fn truth(case: &Case, name: &str) -> bool {
    case.params[name] == true
}

/// The address in a parameter, of the family that the case wants, if any.
fn address(case: &Case, name: &str) -> Option<IpAddress> {
    IpAddress::parse(case.param(name)?).filter(|address| match case.param("family") {
        Some("AF_UNSPEC") | None => true,
        Some(wanted) => wanted == family(*address),
    })
}

fn family(address: IpAddress) -> &'static str {
    match address.family() {
        Family::Ipv4 => "AF_INET",
        Family::Ipv6 => "AF_INET6",
    }
}

fn prefix(case: &Case) -> Result<u32, String> {
    u32::try_from(number(case, "prefix")).map_err(|error| error.to_string())
}

fn needed(case: &Case, name: &str) -> Result<IpAddress, String> {
    address(case, name).ok_or_else(|| format!("{name} is refused"))
}

pub(super) fn parse(_: &Corpus, case: &Case) -> Verdict {
    same("accepted", address(case, "address").is_some(), truth(case, "ok"))
}

pub(super) fn format(_: &Corpus, case: &Case) -> Verdict {
    let text = needed(case, "parsed_from")?.to_string();
    same(&text, case.param("formatted") == Some(&text), truth(case, "equal"))
}

pub(super) fn range(_: &Corpus, case: &Case) -> Verdict {
    let network = address(case, "network").map(|address| Ok::<_, String>((address, prefix(case)?)));
    let network = network.transpose()?;
    let size = range_size(needed(case, "start")?, needed(case, "end")?, network);
    same("size", size.ok().map(u64::from), case.params["size"].as_u64())
}

pub(super) fn netmask(_: &Corpus, case: &Case) -> Verdict {
    let mask = needed(case, "netmask")?;
    let network = |name| needed(case, name).map(|address| address.masked(mask));
    let same_network = network("address1")? == network("address2")?;
    same("same network", same_network, truth(case, "same_network"))
}

pub(super) fn mask_network(_: &Corpus, case: &Case) -> Verdict {
    let network = needed(case, "address")?.network(prefix(case)?);
    same("network", network, Some(needed(case, "network")?))
}

pub(super) fn wildcard(_: &Corpus, case: &Case) -> Verdict {
    let address = needed(case, "address")?;
    same("wildcard", address.0.is_unspecified(), truth(case, "wildcard"))
}

pub(super) fn numeric(_: &Corpus, case: &Case) -> Verdict {
    let known = case.param("address").and_then(IpAddress::parse);
    same("family", known.map(family), case.param("family"))
}

pub(super) fn is_localhost(_: &Corpus, case: &Case) -> Verdict {
    let known = case.param("address").and_then(IpAddress::parse);
    same("localhost", known.is_some_and(IpAddress::is_localhost), truth(case, "localhost"))
}
