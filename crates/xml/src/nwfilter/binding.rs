// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<filterbinding>`: a filter at work on a guest's card.

use virtus_api::{ErrorDomain, Result};

use super::FilterRef;
use crate::document::Document;
use crate::domain::storage::Named;
use crate::netdev::{MacAddress, Owner};
use crate::reader::Node;

element! {
    /// `<filterbinding>`.
    pub struct NwfilterBinding {
        child owner: Owner = "owner",
        /// The device on the host.
        child portdev: Named = "portdev",
        /// The device of the host that the card is on, for macvtap.
        child linkdev: Option<Named> = "linkdev",
        child mac: Option<MacAddress> = "mac",
        child filterref: FilterRef = "filterref"
    }
    schema { one Owner = "owner", one Named = "portdev", one MacAddress = "mac", one FilterRef = "filterref" }
    then Self::check
}

impl NwfilterBinding {
    fn check(&mut self, node: Node<'_>) -> Result<()> {
        for name in ["owner", "portdev", "mac", "filterref"] {
            if node.find(name).is_none() {
                return Err(node.missing_child(name));
            }
        }
        if self.portdev.name.is_empty() || self.filterref.filter.is_empty() {
            return Err(node.error("the names of the device and of the filter must not be empty"));
        }
        Ok(())
    }
}

impl Document for NwfilterBinding {
    const ROOT: &'static str = "filterbinding";
    const SCHEMA: &'static str = "nwfilterbinding";
    const WHAT: &'static str = "(nwfilterbinding_definition)";
    const DOMAIN: ErrorDomain = ErrorDomain::Nwfilter;
}
