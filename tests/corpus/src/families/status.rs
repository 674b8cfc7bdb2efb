// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Status files: what a daemon must know of a running domain when it comes back.

use virtus_xml::Status;

use crate::{Case, Corpus, Verdict, compare};

pub(super) fn status(corpus: &Corpus, case: &Case) -> Verdict {
    let parsed = Status::parse(&case.read(corpus)?).map_err(|error| error.to_string())?;
    compare::text(&case.read_expected(corpus, "file")?, &parsed.value.format())
}
