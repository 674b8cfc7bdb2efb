// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The tests themselves leave nothing on the machine, even if they end in the middle of everything.

use std::path::Path;

use virtus_tests::{Guest, Outcome, Testbed};

use crate::{Case, equal};

pub(crate) const CASES: &[Case] = &[("a_testbed_takes_everything_with_it", testbed_leaves_nothing)];

fn testbed_leaves_nothing() -> Outcome {
    let bed = Testbed::new()?;
    bed.define(&Guest::firmware("orphan"))?;
    bed.virsh("start orphan")?;
    let folder = bed.path("");
    let name = folder.file_name().ok_or("the folder has no name")?.to_owned();
    let processes = bed.processes()?;
    equal("daemon and guest", processes.len() >= 2, true)?;
    drop(bed);
    for process in processes {
        let there = Path::new(&format!("/proc/{}", process.host_pid)).join("root").exists();
        equal(&format!("life of {:?}", process.words), there, false)?;
    }
    equal("folder", folder.exists(), false)?;
    let mounts = std::fs::read_to_string("/proc/self/mounts")?;
    equal("mounts", mounts.contains(&*name.to_string_lossy()), false)?;
    for hierarchy in std::fs::read_dir("/sys/fs/cgroup")? {
        equal("cgroup", hierarchy?.path().join(&name).exists(), false)?;
    }
    equal("cgroup", Path::new("/sys/fs/cgroup").join(&name).exists(), false)
}
