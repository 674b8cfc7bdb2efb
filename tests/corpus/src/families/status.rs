// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Documents of running domains: their active XML, what remains of it, and status files.

use virtus_xml::{FormatFlags, ParseFlags, Status};

use super::documents::domain;
use crate::{Case, Corpus, Verdict, compare};

pub(super) fn active(corpus: &Corpus, case: &Case) -> Verdict {
    let actual = domain(&case.read(corpus)?, ParseFlags::empty(), FormatFlags::empty())?;
    compare::text(&case.read_expected(corpus, "active")?, &actual)
}

pub(super) fn active_to_inactive(corpus: &Corpus, case: &Case) -> Verdict {
    let actual = domain(&case.read(corpus)?, ParseFlags::empty(), FormatFlags::INACTIVE)?;
    compare::text(&case.read_expected(corpus, "inactive")?, &actual)
}

pub(super) fn status(corpus: &Corpus, case: &Case) -> Verdict {
    let parsed = Status::parse(&case.read(corpus)?).map_err(|error| error.to_string())?;
    compare::text(&case.read_expected(corpus, "file")?, &parsed.value.format())
}
