// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Networks, interfaces and devices, on the test driver.

use virtus_tests::{Options, Outcome, Testbed};

use crate::{Case, contains};

pub(crate) const CASES: &[Case] =
    &[("networks_interfaces_and_devices_live_and_are_told_of", live_and_are_told_of)];

fn live_and_are_told_of() -> Outcome {
    let bed = Testbed::with(&Options { daemon: Some("libvirtd"), ..Options::default() })?;
    let uri = bed.uri_of("test", "/default");
    let who = if bed.is_ours() { "ours" } else { "stock" };
    contains(&bed.python_done("objects.py", &[&uri, who])?, "all answered")
}
