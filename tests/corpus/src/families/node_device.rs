// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Devices of the host.

use virtus_xml::node_device::Capability;
use virtus_xml::{Document, FormatFlags, NodeDevice, ParseFlags};

use crate::{Case, Corpus, Verdict, compare};

pub(super) fn document(corpus: &Corpus, case: &Case) -> Verdict {
    let parsed = NodeDevice::parse(&case.read(corpus)?, ParseFlags::empty());
    let mut device = parsed.map_err(|error| format!("ERROR {error}"))?.value;
    for capability in &mut device.capabilities {
        if let Capability::Storage(storage) = capability {
            storage.divide(if storage.removable.0.is_some() { 2048 } else { 512 });
        }
    }
    let flags = match case.param("format") {
        Some("inactive") => FormatFlags::INACTIVE,
        _ => FormatFlags::empty(),
    };
    compare::text(&case.read_expected(corpus, "xml")?, &device.format(flags))
}
