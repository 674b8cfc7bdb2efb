// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Containers: their documents as the LXC driver completes them, and configurations of the LXC tools.

use std::path::Path;

use virtus_lxc::{complete, native};
use virtus_xml::{Domain, FormatFlags, ParseFlags};

use crate::{Case, Corpus, Verdict, compare};

/// The controller of the suite's host.
const CONTROLLER: &str = "/usr/libexec/libvirt_lxc";

/// What the driver fills in is there already.
pub(super) fn completed(corpus: &Corpus, case: &Case) -> Verdict {
    let parsed = Domain::parse(&case.read(corpus)?, ParseFlags::empty());
    let mut def = parsed.map_err(|error| error.to_string())?.value;
    complete(&mut def, "x86_64", Path::new(CONTROLLER)).map_err(|error| error.to_string())?;
    compare::text(&case.read_expected(corpus, "xml")?, &def.format(FormatFlags::SECURE))
}

pub(super) fn from_native(corpus: &Corpus, case: &Case) -> Verdict {
    let mut def = native::read(&case.read(corpus)?).map_err(|error| error.to_string())?;
    def.uuid = case.param("set_uuid").and_then(|uuid| uuid.parse().ok());
    def.devices.emulator = Some(CONTROLLER.to_owned());
    compare::text(&case.read_expected(corpus, "xml")?, &def.format(FormatFlags::empty()))
}

pub(super) fn not_from_native(corpus: &Corpus, case: &Case) -> Verdict {
    compare::refused(&native::read(&case.read(corpus)?))
}
