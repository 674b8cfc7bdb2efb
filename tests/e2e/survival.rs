// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The daemon's death is not the guest's: the next daemon takes the guest over as it is.

use std::time::Duration;

use virtus_tests::{DEADLINE, Guest, Outcome, Testbed, wait_for};

use crate::events::next;
use crate::{Case, contains, equal};

pub(crate) const CASES: &[Case] = &[
    ("a_killed_daemon_is_followed_by_one_that_takes_over", killed_and_followed),
    ("a_guest_that_ended_meanwhile_is_shut_off", ended_meanwhile),
    ("a_paused_guest_stays_paused_and_keeps_its_id", paused_stays_paused),
    ("killed_during_starts_nothing_is_lost", killed_during_starts),
];

fn killed_and_followed() -> Outcome {
    let mut bed = Testbed::new()?;
    bed.define(&Guest::linux("survivor")?)?;
    bed.virsh("start survivor")?;
    let mut console = bed.terminal("console survivor")?;
    console.expect("guest# ", DEADLINE)?;
    let qemu = bed.qemu_pid("survivor")?;
    let before = bed.virsh("dumpxml survivor")?;

    bed.kill9()?;
    equal("QEMU without a daemon", bed.qemu_pid("survivor")?, qemu)?;
    drop(console);
    bed.start()?;
    equal("QEMU under the next daemon", bed.qemu_pid("survivor")?, qemu)?;
    wait_for("the guest to be running again", DEADLINE, || {
        Ok(bed.virsh("domstate survivor")? == "running")
    })?;
    equal("id", bed.virsh("domid survivor")?, "1".to_owned())?;
    equal("live XML", bed.virsh("dumpxml survivor")?, before)?;

    let mut events = bed.python("events.py", &[])?;
    events.expect("ready", DEADLINE)?;
    let mut console = bed.terminal("console survivor")?;
    console.expect("Connected to domain 'survivor'", DEADLINE)?;
    console.ask("echo still-$((4 + 4))", "still-8", DEADLINE)?;
    bed.virsh("suspend survivor")?;
    next(&mut events, "survivor", "suspended 0")?;
    bed.virsh("resume survivor")?;
    next(&mut events, "survivor", "resumed 0")?;
    console.keys("poweroff -f\n")?;
    events.expect("lifecycle survivor stopped 0", DEADLINE)?;
    equal("state", bed.virsh("domstate survivor")?, "shut off".to_owned())?;
    // A guest that was adopted leaves as little behind as any other.
    equal("status file", bed.path("run/libvirt/qemu/survivor.xml").exists(), false)
}

fn ended_meanwhile() -> Outcome {
    let mut bed = Testbed::new()?;
    bed.define(&Guest::firmware("gone"))?;
    bed.virsh("start gone")?;
    let qemu = bed.qemu_pid("gone")?;
    bed.kill9()?;
    bed.signal("KILL", qemu)?;
    wait_for("QEMU's end", DEADLINE, || Ok(bed.qemu_pid("gone").is_err()))?;
    bed.start()?;
    wait_for("the guest to be shut off", DEADLINE, || {
        Ok(bed.virsh("domstate gone")? == "shut off")
    })?;
    equal("status file", bed.path("run/libvirt/qemu/gone.xml").exists(), false)?;
    bed.virsh("start gone")?;
    equal("state", bed.virsh("domstate gone")?, "running".to_owned())
}

fn paused_stays_paused() -> Outcome {
    let mut bed = Testbed::new()?;
    bed.define(&Guest::firmware("first"))?;
    bed.define(&Guest::firmware("second"))?;
    bed.virsh("start first")?;
    bed.virsh("start second")?;
    bed.virsh("suspend second")?;
    bed.restart()?;
    wait_for("the guests to be known", DEADLINE, || {
        Ok(bed.virsh("list --name")?.lines().count() == 2)
    })?;
    contains(&bed.virsh("domstate --reason second")?, "paused (user)")?;
    equal("id", bed.virsh("domid second")?, "2".to_owned())?;
    // Numbers are not given out twice.
    bed.define(&Guest::firmware("third"))?;
    bed.virsh("start third")?;
    equal("next id", bed.virsh("domid third")?, "3".to_owned())?;
    bed.virsh("resume second")?;
    equal("state", bed.virsh("domstate second")?, "running".to_owned())
}

/// The daemon is killed at different moments of a start. Whatever it had reached, the next daemon must know the
/// definition, and the guest either runs under it or is shut off and can be started; no QEMU may be left that it does not know.
fn killed_during_starts() -> Outcome {
    let mut bed = Testbed::new()?;
    bed.define(&Guest::firmware("cut"))?;
    for delay in [0, 20, 35, 50, 65, 80, 95, 110, 130, 150, 200, 300] {
        if let Err(error) = cut_a_start(&mut bed, Duration::from_millis(delay)) {
            return Err(format!("killed after {delay} ms: {error}\n{}", traces(&bed)).into());
        }
    }
    Ok(())
}

fn cut_a_start(bed: &mut Testbed, delay: Duration) -> Outcome {
    let start = bed.virsh_lines("start cut")?;
    std::thread::sleep(delay);
    bed.kill9()?;
    drop(start);
    // One that had not come to its call yet would make it at the next daemon.
    bed.end_clients()?;
    bed.start()?;
    equal("definition", bed.virsh("list --all --name")?, "cut".to_owned())?;
    let mut seen = (String::new(), None);
    let agreed = wait_for("agreement on the guest", DEADLINE, || {
        seen = (bed.virsh("domstate cut")?, bed.qemu_pid("cut").ok());
        Ok(matches!((seen.0.as_str(), seen.1), ("running", Some(_)) | ("shut off", None)))
    });
    let (state, qemu) = seen;
    agreed.map_err(|error| format!("{error}: domstate says '{state}', QEMU is {qemu:?}"))?;
    if state == "shut off" {
        bed.virsh("start cut")?;
    }
    bed.virsh("destroy cut")?;
    let daemon = bed.daemon_pid()?;
    wait_for("the daemon to be alone", DEADLINE, || {
        Ok(bed.processes()?.iter().all(|process| process.pid == daemon))
    })
}

/// What is there to explain why a start that was cut did not come out right.
fn traces(bed: &Testbed) -> String {
    let show = |file: &str| {
        let text = std::fs::read_to_string(bed.path(file));
        format!("--- {file}\n{}\n", text.unwrap_or_else(|cause| cause.to_string()))
    };
    let files = ["run/libvirt/qemu/cut.pid", "run/libvirt/qemu/cut.xml", "daemon.log"];
    let shown: String = files.into_iter().map(show).collect();
    format!("--- processes\n{:#?}\n{shown}", bed.processes())
}
