// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Devices of the host that are there only as long as somebody has them open, over all boots of a container.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use crate::blueprint::DeviceNode;
use crate::failure::{Attempt, Step};

/// They are held as long as this is there, each under its path in the container.
#[derive(Default)]
pub(super) struct Held(BTreeMap<PathBuf, File>);

impl Held {
    /// Those of these devices that have to be.
    pub(super) fn of(devices: &[DeviceNode]) -> Step<Self> {
        let mut held = Self::default();
        devices.iter().try_for_each(|device| held.hold(device))?;
        Ok(held)
    }

    /// Holds a device, if it has to be.
    pub(super) fn hold(&mut self, device: &DeviceNode) -> Step<()> {
        if let Some(path) = &device.held {
            let file = File::open(path).attempt(|| format!("open '{}'", path.display()))?;
            self.0.insert(device.path.clone(), file);
        }
        Ok(())
    }

    /// Lets the container's device at `path` go.
    pub(super) fn release(&mut self, path: &Path) {
        self.0.remove(path);
    }
}
