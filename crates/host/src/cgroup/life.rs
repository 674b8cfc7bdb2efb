// SPDX-License-Identifier: Apache-2.0 OR MIT
//! All processes of a group at once: stopping, continuing, ending them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};
use virtus_api::Result;

use super::group::Part;
use super::{Controller, Group, not_mounted};

impl Group {
    /// Begins to stop every process in it and below it; [`Self::is_frozen`] tells when all have stopped.
    ///
    /// # Errors
    /// Where nothing on this host can.
    pub fn freeze(&self) -> Result<()> {
        self.set_frozen(true)
    }

    /// Lets them continue.
    ///
    /// # Errors
    /// As [`Self::freeze`].
    pub fn thaw(&self) -> Result<()> {
        self.set_frozen(false)
    }

    fn set_frozen(&self, frozen: bool) -> Result<()> {
        let part = self.freezer()?;
        if part.unified {
            return part.write("cgroup.freeze", if frozen { "1" } else { "0" });
        }
        part.write("freezer.state", if frozen { "FROZEN" } else { "THAWED" })
    }

    /// Whether every process in it stands still.
    ///
    /// # Errors
    /// As [`Self::freeze`].
    pub fn is_frozen(&self) -> Result<bool> {
        let part = self.freezer()?;
        if part.unified {
            return Ok(part.read("cgroup.events")?.lines().any(|line| line == "frozen 1"));
        }
        Ok(part.read("freezer.state")? == "FROZEN")
    }

    /// Version 2 has it in every group, version 1 where the controller is mounted.
    fn freezer(&self) -> Result<&Part> {
        let unified = || self.parts.iter().find(|part| part.unified);
        let first = self.part(Controller::Freezer).ok();
        first.or_else(unified).ok_or_else(|| not_mounted(Controller::Freezer))
    }

    /// The processes in it and below it.
    #[must_use]
    pub fn processes(&self) -> BTreeSet<u32> {
        let mut found = BTreeSet::new();
        self.parts.iter().for_each(|part| collect(&part.folder, 4, &mut found));
        found
    }

    /// Kills every process in it and below it. They are gone when [`Self::processes`] is empty; while it is not,
    /// call it again: without version 2, a process can be born meanwhile.
    pub fn kill(&self) {
        let unified = self.parts.iter().find(|part| part.unified);
        if unified.is_none_or(|part| part.write("cgroup.kill", "1").is_err()) {
            for pid in self.processes() {
                if let Some(pid) = Pid::from_raw(pid.cast_signed()) {
                    // It may have ended already.
                    let _ = kill_process(pid, Signal::KILL);
                }
            }
        }
        if self.part(Controller::Freezer).is_ok() {
            // In version 1 what stands still cannot even end. A group that is gone needs nothing.
            let _ = self.thaw();
        }
    }
}

fn collect(folder: &Path, depth: u8, found: &mut BTreeSet<u32>) {
    let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    found.extend(text.lines().filter_map(|line| line.parse::<u32>().ok()));
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if depth > 0 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect(&entry.path(), depth - 1, found);
        }
    }
}
