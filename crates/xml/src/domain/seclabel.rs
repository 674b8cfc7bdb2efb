// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<seclabel>`: how a guest, or one of its devices, is confined.

use crate::value::YesNo;

spellings! {
    /// Who chooses the label.
    pub enum SeclabelType { Dynamic = "dynamic", Static = "static", None = "none" }
}

element! {
    /// `<seclabel>` of a domain.
    pub struct Seclabel {
        attr kind: Option<SeclabelType> = "type",
        attr model: Option<String> = "model",
        attr relabel: Option<YesNo> = "relabel",
        leaf label: Option<String> = "label",
        leaf imagelabel: Option<String> = "imagelabel",
        leaf baselabel: Option<String> = "baselabel"
    }
}

element! {
    /// `<seclabel>` of a device's source.
    pub struct DeviceSeclabel {
        attr model: Option<String> = "model",
        attr labelskip: Option<YesNo> = "labelskip",
        attr relabel: Option<YesNo> = "relabel",
        leaf label: Option<String> = "label"
    }
}
