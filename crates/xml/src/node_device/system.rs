// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The computer itself, and the interfaces of its graphics cards.

use uuid::Uuid;

use super::capability::Kind;

part! {
    /// The computer.
    pub struct System {
        leaf product: Option<String> = "product",
        frame hardware: Hardware = "hardware",
        frame firmware: Firmware = "firmware"
    }
}

element! {
    /// `<hardware>`.
    pub struct Hardware {
        leaf vendor: Option<String> = "vendor",
        leaf version: Option<String> = "version",
        leaf serial: Option<String> = "serial",
        needed uuid: Uuid = "uuid"
    }
}

element! {
    /// `<firmware>`.
    pub struct Firmware {
        leaf vendor: Option<String> = "vendor",
        leaf version: Option<String> = "version",
        leaf release_date: Option<String> = "release_date"
    }
}

part! {
    /// An interface of a graphics card.
    pub struct DrmDevice { needed kind: DrmType = "type" }
}

spellings! {
    /// What an interface of a graphics card is for.
    pub enum DrmType { Primary = "primary", Control = "control", Render = "render" }
}

impl Kind for System {
    const KIND: &'static str = "system";
}

impl Kind for DrmDevice {
    const KIND: &'static str = "drm";
}
