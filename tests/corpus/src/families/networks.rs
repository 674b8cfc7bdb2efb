// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Networks, filters, host interfaces and secrets: objects whose document is all that there is of them.

use virtus_api::{NetworkUpdateCommand as Command, NetworkUpdateSection as Section};
use virtus_xml::{Document, FormatFlags, Network, ParseFlags};

use crate::{Case, Corpus, Verdict, compare};

/// The flags that the case's format asks for.
fn flags(case: &Case) -> (ParseFlags, FormatFlags) {
    if case.param("format") == Some("inactive") {
        (ParseFlags::INACTIVE, FormatFlags::INACTIVE)
    } else {
        (ParseFlags::empty(), FormatFlags::empty())
    }
}

pub(super) fn xml2xml<D: Document>(corpus: &Corpus, case: &Case) -> Verdict {
    let (parse, format) = flags(case);
    let read = D::parse(&case.read(corpus)?, parse).map_err(|error| error.to_string())?;
    compare::text(&case.read_expected(corpus, "xml")?, &read.value.format(format))
}

pub(super) fn refused<D: Document>(corpus: &Corpus, case: &Case) -> Verdict {
    compare::refused(&D::parse(&case.read(corpus)?, flags(case).0))
}

/// The case's network after its section was updated; the outer error says that the case cannot be run.
fn updated(corpus: &Corpus, case: &Case) -> Result<Result<String, String>, String> {
    let (parse, format) = flags(case);
    let path = case.param("network").ok_or("the case names no network")?;
    let mut network =
        Network::parse(&corpus.read(path)?, parse).map_err(|error| error.to_string())?.value;
    let section = match case.param("section") {
        Some("ip-dhcp-host") => Section::IpDhcpHost,
        Some("ip-dhcp-range") => Section::IpDhcpRange,
        Some("forward-interface") => Section::ForwardInterface,
        Some("portgroup") => Section::Portgroup,
        Some("dns-host") => Section::DnsHost,
        Some("dns-txt") => Section::DnsTxt,
        Some("dns-srv") => Section::DnsSrv,
        other => return Err(format!("section {other:?} is not known")),
    };
    let command = match case.param("command") {
        Some("modify") => Command::Modify,
        Some("delete") => Command::Delete,
        Some("add-first") => Command::AddFirst,
        Some("add-last") => Command::AddLast,
        other => return Err(format!("command {other:?} is not known")),
    };
    let parent = case.params["parent_index"].as_i64().and_then(|index| i32::try_from(index).ok());
    let result = network.update(section, command, parent.unwrap_or(-1), &case.read(corpus)?);
    Ok(result.map(|()| network.format(format)).map_err(|error| error.to_string()))
}

pub(super) fn update(corpus: &Corpus, case: &Case) -> Verdict {
    compare::text(&case.read_expected(corpus, "xml")?, &updated(corpus, case)??)
}

pub(super) fn update_refused(corpus: &Corpus, case: &Case) -> Verdict {
    compare::refused(&updated(corpus, case)?)
}
