// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What systemd's managers do for a daemon: they know the host's machines. All are the test's own.

use virtus_tests::{Container, DEADLINE, Lines, Outcome, Testbed};

use crate::{Case, equal};

pub(crate) const CASES: &[Case] = &[("a_machine_that_is_made_too_late_is_forgotten", late)];

/// A bus with one of systemd's managers.
fn manager(bed: &Testbed, script: &str, words: &[&str]) -> Outcome<Lines> {
    let path = bed.path("bus");
    let path = path.to_str().ok_or("the path is not text")?;
    let mut manager = bed.python(script, &[&[path], words].concat())?;
    manager.expect("ready", DEADLINE)?;
    Ok(manager)
}

fn late() -> Outcome {
    let bed = Testbed::of_containers()?;
    let mut machined = manager(&bed, "machined.py", &[])?;
    // As if systemd ran this host.
    bed.run("sh", &["-ec", "mount -t tmpfs run /run; mkdir -p /run/systemd/system"])?;
    bed.define_container(&Container::busybox(&bed, "late")?)?;
    bed.virsh("start late")?;
    let created = machined.expect("CreateMachine lxc-", DEADLINE)?;
    machined.say("made")?;
    machined.expect(&created.replace("Create", "Unregister"), DEADLINE)?;
    equal("its state", bed.virsh("domstate late")?, "running".to_owned())
}
