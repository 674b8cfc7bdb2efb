// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A start that fails at any step leaves nothing behind: no process, no file, no socket, and a guest that can be started.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use virtus_tests::{Guest, Outcome, Process, Testbed};

use crate::{Case, equal};

pub(crate) const CASES: &[Case] = &[
    ("a_missing_image_leaves_nothing", missing_image),
    ("a_device_that_qemu_refuses_leaves_nothing", refused_by_qemu),
    ("a_used_port_leaves_nothing", used_port),
    ("a_started_and_stopped_guest_leaves_nothing", started_and_stopped),
];

/// Everything in the folders of running things; logs and caches may grow.
fn things(bed: &Testbed) -> Outcome<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    for folder in ["run/libvirt", "var/lib/libvirt", "etc/libvirt"] {
        collect(&bed.path(folder), &mut found)?;
    }
    Ok(found)
}

fn collect(folder: &Path, found: &mut BTreeSet<PathBuf>) -> Outcome {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        found.insert(entry.path());
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), found)?;
        }
    }
    Ok(())
}

/// Compares files and processes before and after `doing`, which must leave none. A first start and stop has made what
/// is made once and kept.
fn leaves_nothing(bed: &Testbed, doing: impl FnOnce() -> Outcome) -> Outcome {
    bed.define(&Guest::firmware("first"))?;
    bed.virsh("start first")?;
    bed.virsh("destroy first")?;
    bed.virsh("undefine first")?;
    let qemus = || -> Outcome<Vec<Process>> {
        Ok(bed.processes()?.into_iter().filter(|process| process.is_qemu(None)).collect())
    };
    let before = things(bed)?;
    doing()?;
    let new: Vec<PathBuf> = things(bed)?.difference(&before).cloned().collect();
    equal("files left", new, Vec::new())?;
    equal("QEMUs left", qemus()?, Vec::new())
}

/// The guest must fail to start, be shut off, and undefine cleanly.
fn fails_to_start(bed: &Testbed, guest: &Guest) -> Outcome {
    leaves_nothing(bed, || {
        bed.define(guest)?;
        for _ in 0..2 {
            bed.virsh_fails(&format!("start {}", guest.name()))?;
            equal(
                "state",
                bed.virsh(&format!("domstate {}", guest.name()))?,
                "shut off".to_owned(),
            )?;
        }
        bed.virsh(&format!("undefine {}", guest.name())).map(drop)
    })
}

fn missing_image() -> Outcome {
    let bed = Testbed::new()?;
    let image = bed.path("nowhere.img");
    let disk = format!(
        "<disk type='file'><driver name='qemu' type='raw'/><source file='{}'/><target dev='vda' bus='virtio'/></disk>",
        image.display()
    );
    fails_to_start(&bed, &Guest::firmware("imageless").device(&disk))
}

fn refused_by_qemu() -> Outcome {
    let bed = Testbed::new()?;
    // QEMU finds out itself that this is not a qcow2 image, after it has made its sockets.
    let image = bed.write("not-qcow2.img", &"not an image\n".repeat(100))?;
    let disk = format!(
        "<disk type='file'><driver name='qemu' type='qcow2'/><source file='{image}'/><target dev='vda' bus='virtio'/></disk>"
    );
    fails_to_start(&bed, &Guest::firmware("refused").device(&disk))
}

fn used_port() -> Outcome {
    let bed = Testbed::new()?;
    leaves_nothing(&bed, || {
        let vnc = "<graphics type='vnc' port='5988' autoport='no' listen='127.0.0.1'/>";
        bed.define(&Guest::firmware("holder").device(vnc))?;
        bed.virsh("start holder")?;
        bed.define(&Guest::firmware("late").device(vnc))?;
        bed.virsh_fails("start late")?;
        bed.virsh("undefine late")?;
        bed.virsh("destroy holder")?;
        bed.virsh("undefine holder").map(drop)
    })
}

fn started_and_stopped() -> Outcome {
    let bed = Testbed::new()?;
    leaves_nothing(&bed, || {
        bed.define(&Guest::firmware("brief").agent())?;
        for _ in 0..3 {
            bed.virsh("start brief")?;
            bed.virsh("destroy brief")?;
        }
        bed.virsh("undefine brief").map(drop)
    })
}
