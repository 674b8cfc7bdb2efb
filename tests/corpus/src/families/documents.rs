// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Documents that no hypervisor completes: what is read is written back.

use virtus_xml::{Capabilities, Domain, DomainCapabilities, FormatFlags, ParseFlags};

use crate::{Case, Corpus, Verdict, compare};

/// A domain document read and written, with what is missing filled in from the suite's chance.
pub(super) fn domain(text: &str, parse: ParseFlags, format: FormatFlags) -> Result<String, String> {
    Ok(parse_domain(text, parse)?.format(format | FormatFlags::SECURE))
}

fn parse_domain(text: &str, parse: ParseFlags) -> Result<Domain, String> {
    let mut parsed = Domain::parse(text, parse).map_err(|error| error.to_string())?.value;
    parsed.name_missing([0x52, 0x54, 0], &mut chance);
    Ok(parsed)
}

/// That of the suite's host.
const HOST_ARCH: &str = "x86_64";

/// The random numbers of libvirt's suite: 0, 1, 2, …
pub(super) fn chance(bytes: &mut [u8]) {
    for (byte, number) in bytes.iter_mut().zip(0..) {
        *byte = number;
    }
}

/// Golden text must survive unchanged.
fn identity(
    corpus: &Corpus,
    case: &Case,
    through: impl FnOnce(&str) -> Result<String, String>,
) -> Verdict {
    let text = case.read_expected(corpus, "xml")?;
    compare::text(&text, &through(&text)?)
}

/// Nor may anything in it be unknown.
fn whole_domain(text: &str, flags: ParseFlags) -> Result<String, String> {
    let parsed = Domain::parse(text, flags).map_err(|error| error.to_string())?;
    match parsed.warnings.first() {
        Some(warning) => Err(format!("line {}: {}", warning.line, warning.text)),
        None => Ok(parsed.value.format(FormatFlags::INACTIVE | FormatFlags::SECURE)),
    }
}

pub(super) fn domain_identity(corpus: &Corpus, case: &Case) -> Verdict {
    identity(corpus, case, |text| whole_domain(text, ParseFlags::INACTIVE))
}

/// All of a document is known, and the same document comes of what is written.
pub(super) fn domain_is_known(corpus: &Corpus, case: &Case) -> Verdict {
    let once = whole_domain(&case.read(corpus)?, ParseFlags::INACTIVE)?;
    compare::text(&once, &whole_domain(&once, ParseFlags::INACTIVE)?)
}

/// A document that a driver made from something else: it is settled only when somebody defines it.
pub(super) fn raw_domain_identity(corpus: &Corpus, case: &Case) -> Verdict {
    identity(corpus, case, |text| whole_domain(text, ParseFlags::RAW))
}

pub(super) fn capabilities_identity(corpus: &Corpus, case: &Case) -> Verdict {
    identity(corpus, case, |text| {
        let parsed = Capabilities::parse(text).map_err(|error| error.to_string())?;
        Ok(parsed.value.format())
    })
}

pub(super) fn domain_capabilities_identity(corpus: &Corpus, case: &Case) -> Verdict {
    identity(corpus, case, |text| {
        let parsed = DomainCapabilities::parse(text).map_err(|error| error.to_string())?;
        Ok(parsed.value.format())
    })
}

pub(super) fn generic(corpus: &Corpus, case: &Case) -> Verdict {
    let (parse, format) = if case.param("format") == Some("inactive") {
        (ParseFlags::INACTIVE, FormatFlags::INACTIVE)
    } else {
        (ParseFlags::empty(), FormatFlags::empty())
    };
    let mut parsed = parse_domain(&case.read(corpus)?, parse)?;
    parsed.body.os.kind.arch.get_or_insert_with(|| HOST_ARCH.to_owned());
    parsed.add_needed_controllers();
    let actual = parsed.format(format | FormatFlags::SECURE);
    compare::text(&case.read_expected(corpus, "xml")?, &actual)
}

pub(super) fn generic_refused(corpus: &Corpus, case: &Case) -> Verdict {
    let text = case.read(corpus)?;
    compare::refused(&domain(&text, ParseFlags::INACTIVE, FormatFlags::INACTIVE))
}

/// Whether a container has a filesystem at a path.
pub(super) fn filesystem_at(corpus: &Corpus, case: &Case) -> Verdict {
    let text = corpus.read(case.param("xml").ok_or("no document")?)?;
    let parsed = Domain::parse(&text, ParseFlags::empty()).map_err(|error| error.to_string())?;
    let found = parsed.value.filesystem_at(case.param("target").unwrap_or_default()).is_some();
    if case.params["found"] == found { Ok(()) } else { Err(format!("found: {found}")) }
}
