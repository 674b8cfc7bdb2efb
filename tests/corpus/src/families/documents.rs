// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Documents that no hypervisor completes: what is read is written back.

use virtus_xml::{Capabilities, Domain, DomainCapabilities, FormatFlags, ParseFlags};

use crate::{Case, Corpus, Verdict, compare};

/// A domain document read and written, with what is missing filled in from the suite's chance.
pub(super) fn domain(text: &str, parse: ParseFlags, format: FormatFlags) -> Result<String, String> {
    let mut parsed = Domain::parse(text, parse).map_err(|error| error.to_string())?;
    parsed.value.name_missing([0x52, 0x54, 0], &mut chance);
    Ok(parsed.value.format(format | FormatFlags::SECURE))
}

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

pub(super) fn domain_identity(corpus: &Corpus, case: &Case) -> Verdict {
    identity(corpus, case, |text| domain(text, ParseFlags::INACTIVE, FormatFlags::INACTIVE))
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
    let actual = domain(&case.read(corpus)?, parse, format)?;
    compare::text(&case.read_expected(corpus, "xml")?, &actual)
}

pub(super) fn generic_refused(corpus: &Corpus, case: &Case) -> Verdict {
    let text = case.read(corpus)?;
    compare::refused(&domain(&text, ParseFlags::INACTIVE, FormatFlags::INACTIVE))
}
