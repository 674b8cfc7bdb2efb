// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What systemd's managers do for a daemon: they put the host to sleep, and know its machines. All are the test's own:
//! nothing sleeps.

use virtus_tests::{Container, DEADLINE, Lines, Outcome, Testbed, wait_for};

use crate::{Case, Skip, contains, equal};

pub(crate) const CASES: &[Case] = &[
    ("a_host_sleeps_as_it_can", sleep),
    ("a_host_sleeps_once_at_a_time", sleep_once),
    ("pm_utils_put_a_host_without_logind_to_sleep", pm_utils),
    ("a_machine_without_a_scope_or_made_too_late_is_forgotten", late),
];

/// A bus with one of systemd's managers.
fn manager(bed: &Testbed, script: &str, words: &[&str]) -> Outcome<Lines> {
    let path = bed.path("bus");
    let path = path.to_str().ok_or("the path is not text")?;
    let mut manager = bed.python(script, &[&[path], words].concat())?;
    manager.expect("ready", DEADLINE)?;
    Ok(manager)
}

/// Puts a program where the daemon finds it first; it writes down how it is called.
fn stand_in(bed: &Testbed, name: &str, script: &str) -> Outcome {
    let notes = bed.path("notes");
    let note = format!("echo \"{name} $*\" >>{}", notes.display());
    bed.install(&format!("stand-ins/{name}"), &format!("{note}\n{script}"))
}

fn notes(bed: &Testbed) -> String {
    std::fs::read_to_string(bed.path("notes")).unwrap_or_default()
}

/// A daemon of ours on a host whose clock has an alarm.
fn sleepy(bed: Testbed) -> Outcome<Testbed> {
    if !bed.is_ours() {
        return Err(Skip("stock libvirtd looks for the bus once, when it starts".to_owned()).into());
    }
    stand_in(&bed, "rtcwake", "")?;
    Ok(bed)
}

fn sleep() -> Outcome {
    for bed in [sleepy(Testbed::new()?)?, sleepy(Testbed::of_containers()?)?] {
        contains(&bed.virsh("capabilities")?, "<power_management/>")?;
        let refused = bed.virsh_fails("nodesuspend --target mem --duration 60")?;
        contains(&refused, "argument unsupported: Suspend-to-RAM")?;
        let mut logind = manager(&bed, "logind.py", &["yes", "na", "challenge"])?;
        let capabilities = bed.virsh("capabilities")?;
        contains(&capabilities, "<suspend_mem/>")?;
        contains(&capabilities, "<suspend_hybrid/>")?;
        equal("sleep on disk", capabilities.contains("<suspend_disk/>"), false)?;
        for (words, text) in [
            ("--target disk --duration 60", "argument unsupported: Suspend-to-Disk"),
            ("--target mem --duration 59", "too short, must be at least 60 seconds"),
        ] {
            contains(&bed.virsh_fails(&format!("nodesuspend {words}"))?, text)?;
        }
        equal("an alarm", notes(&bed), String::new())?;
        stand_in(&bed, "rtcwake", "echo no clock >&2; exit 1")?;
        let refused = bed.virsh_fails("nodesuspend --target mem --duration 60")?;
        contains(&refused, "'rtcwake' failed (exit status 1): no clock")?;
        equal("what logind has heard", logind.seen().join(" "), "ready".to_owned())?;
    }
    Ok(())
}

fn sleep_once() -> Outcome {
    let bed = sleepy(Testbed::new()?)?;
    let mut logind = manager(&bed, "logind.py", &["yes", "yes", "no"])?;
    bed.virsh("nodesuspend --target mem --duration 60")?;
    logind.expect("Suspend False", DEADLINE)?;
    let refused = bed.virsh_fails("nodesuspend --target disk --duration 90")?;
    contains(&refused, "Suspend operation already in progress")?;
    logind.say("awake")?;
    wait_for("the host to be awake", DEADLINE, || {
        Ok(bed.try_virsh("nodesuspend --target disk --duration 90")?.ok())
    })?;
    logind.expect("Hibernate False", DEADLINE)?;
    equal("alarms", notes(&bed), "rtcwake -m no -s 60\nrtcwake -m no -s 90\n".to_owned())
}

fn pm_utils() -> Outcome {
    let bed = sleepy(Testbed::of_containers()?)?;
    stand_in(&bed, "pm-is-supported", "[ $1 = --suspend-hybrid ]")?;
    stand_in(&bed, "pm-suspend-hybrid", "")?;
    let capabilities = bed.virsh("capabilities")?;
    contains(&capabilities, "<power_management>\n      <suspend_hybrid/>\n")?;
    bed.virsh("nodesuspend --target hybrid --duration 60")?;
    wait_for("the host to be put to sleep", DEADLINE, || {
        Ok(notes(&bed).ends_with("rtcwake -m no -s 60\npm-suspend-hybrid \n"))
    })
}

fn late() -> Outcome {
    let bed = Testbed::of_containers()?;
    let mut machined = manager(&bed, "machined.py", &[])?;
    // As if systemd ran this host.
    bed.run("sh", &["-ec", "mount -t tmpfs run /run; mkdir -p /run/systemd/system"])?;
    bed.define_container(&Container::busybox(&bed, "late")?)?;
    bed.define_container(&Container::busybox(&bed, "bare")?)?;
    let mut start = bed.terminal("start bare")?;
    let created = machined.expect("CreateMachine lxc-", DEADLINE)?;
    machined.say("made")?;
    // There is no scope of it.
    machined.expect(&created.replace("Create", "Unregister"), DEADLINE)?;
    equal("start", start.end(DEADLINE)?, Some(0))?;

    bed.virsh("start late")?;
    let created = machined.expect("CreateMachine lxc-", DEADLINE)?;
    machined.say("made")?;
    machined.expect(&created.replace("Create", "Unregister"), DEADLINE)?;
    for name in ["bare", "late"] {
        equal(name, bed.virsh(&format!("domstate {name}"))?, "running".to_owned())?;
    }
    Ok(())
}
