// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Status files: what a daemon must know of a running domain when it comes back.

use virtus_qemu::complete::take_over;
use virtus_xml::Status;

use super::qemuxmlconf;
use crate::{Case, Corpus, Verdict, compare};

pub(super) fn status(corpus: &Corpus, case: &Case) -> Verdict {
    let parsed = Status::parse(&case.read(corpus)?).map_err(|error| error.to_string())?;
    let Status { mut body, others, mut domain } = parsed.value;
    let defaults = qemuxmlconf::surroundings::defaults(corpus, &case.params)?;
    take_over(&mut body, &mut domain, &defaults);
    let status = Status { body, others, domain };
    compare::text(&case.read_expected(corpus, "file")?, &status.format())
}
