// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which devices the processes of a group may open: by the `devices` controller of version 1, or by a
//! program that version 2 asks at each access.

mod program;

use std::fmt;
use std::fs::File;

use serde::{Deserialize, Serialize};
use virtus_api::Result;

use super::group::{Part, failed};
use super::{Controller, Group, not_mounted};

/// Devices that may be used, and for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRule {
    /// Block devices; otherwise character devices.
    pub block: bool,
    /// The major number, or all of them.
    pub major: Option<u32>,
    /// The minor number, or all of them.
    pub minor: Option<u32>,
    /// May be read.
    pub read: bool,
    /// May be written to.
    pub write: bool,
    /// Device files for it may be made.
    pub make: bool,
}

impl fmt::Display for DeviceRule {
    /// As version 1 reads it: `c 136:* rw`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |number: Option<u32>| number.map_or_else(|| "*".to_owned(), |n| n.to_string());
        let access = [(self.read, "r"), (self.write, "w"), (self.make, "m")];
        let access: String =
            access.into_iter().filter(|(allowed, _)| *allowed).map(|(_, name)| name).collect();
        let kind = if self.block { 'b' } else { 'c' };
        write!(f, "{kind} {}:{} {access}", number(self.major), number(self.minor))
    }
}

impl Group {
    /// Allows these devices and no others. In version 1 the group must have no groups below it yet.
    ///
    /// # Errors
    /// Where nothing on this host can, or the kernel refuses.
    pub fn set_devices(&self, rules: &[DeviceRule]) -> Result<()> {
        let part = self.devices_part()?;
        if part.unified {
            return File::open(&part.folder)
                .and_then(|group| program::replace(&group, rules))
                .map_err(|cause| failed("set the allowed devices of", &part.folder, &cause));
        }
        part.write("devices.deny", "a")?;
        rules.iter().try_for_each(|rule| part.write("devices.allow", &rule.to_string()))
    }

    /// Whether a program is asked at each use of a device, so that all rules are set at once.
    #[must_use]
    pub fn asks_for_devices(&self) -> bool {
        self.devices_part().is_ok_and(|part| part.unified)
    }

    /// Allows one more (version 1). What lies below the group does not follow.
    ///
    /// # Errors
    /// Where the controller is not there: version 2 takes all rules at once.
    pub fn allow_device(&self, rule: &DeviceRule) -> Result<()> {
        self.part(Controller::Devices)?.write("devices.allow", &rule.to_string())
    }

    /// Allows one less (version 1), in all that lies below too.
    ///
    /// # Errors
    /// As [`Self::allow_device`].
    pub fn deny_device(&self, rule: &DeviceRule) -> Result<()> {
        self.part(Controller::Devices)?.write("devices.deny", &rule.to_string())
    }

    fn devices_part(&self) -> Result<&Part> {
        let unified = || self.parts.iter().find(|part| part.unified);
        let first = self.part(Controller::Devices).ok();
        first.or_else(unified).ok_or_else(|| not_mounted(Controller::Devices))
    }
}
