// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Networks, filters, host interfaces and secrets: objects whose document is all that there is of them.

use virtus_xml::{Document, FormatFlags, ParseFlags};

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
