// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the status file of a guest lacks that an older libvirt started.

use virtus_xml::Domain;
use virtus_xml::status::{Body, Path};

use super::{Defaults, audio};
use crate::plan::short_name;

/// The agent's patience of a guest for which nobody has set it: none but the deadlines of the calls.
const WAITS_AS_USUAL: i32 = -2;

/// Fills in what later releases keep of every guest.
pub fn take_over(body: &mut Body, domain: &mut Domain, defaults: &Defaults) {
    let id = domain.id.unwrap_or(-1);
    let ram = || format!("{}/{}", defaults.dirs.ram, short_name(id, &domain.name));
    body.memory_backing_dir.get_or_insert_with(|| Path { path: ram() });
    body.nodename.get_or_insert_default();
    body.fdset.get_or_insert_default();
    body.agent_timeout.get_or_insert(WAITS_AS_USUAL);
    audio::add(domain, defaults);
}
