// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a hypervisor must do itself so that devices come, change and go while its machines run. What calls may ask for,
//! and what becomes of definitions, is shared.

use std::future::Future;

use virtus_api::{DomainDeviceModifyFlags, Result};
use virtus_xml::domain::any_device::AnyDevice;

use crate::context::Context;
use crate::machine::Machine;

/// What becomes of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceChange {
    /// It comes.
    Attach,
    /// It goes.
    Detach,
    /// It takes another form.
    Update {
        /// Whether the guest is not asked: a locked tray is opened.
        force: bool,
    },
}

/// A hypervisor that changes devices of machines that run.
pub trait Hotplug: Machine {
    /// What it understands of the flags of an update.
    const UPDATE_FLAGS: DomainDeviceModifyFlags;

    /// Changes a device of the machine that runs, and writes what came of it into the live definition.
    fn change_device(
        context: &Context<Self>,
        change: DeviceChange,
        device: AnyDevice,
    ) -> impl Future<Output = Result<()>> + Send;
}
