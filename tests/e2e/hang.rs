// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One guest that does not answer holds up nobody but who asks it, and those not for ever.

use std::time::Duration;

use virtus_tests::{DEADLINE, Guest, Outcome, Testbed};

use crate::{Case, Skip, contains, equal};

pub(crate) const CASES: &[Case] = &[
    ("a_stopped_qemu_does_not_delay_queries", queries_stay_fast),
    ("a_call_to_a_stopped_qemu_fails_at_its_deadline", call_fails_at_its_deadline),
    ("a_stopped_qemu_can_be_destroyed", can_be_destroyed),
];

/// Far above what a loaded machine needs for a query, far below any deadline of a monitor.
const QUICK: Duration = Duration::from_secs(3);

fn with_a_stopped_guest() -> Outcome<Testbed> {
    let bed = Testbed::new()?;
    for name in ["deaf", "well"] {
        bed.define(&Guest::firmware(name))?;
        bed.virsh(&format!("start {name}"))?;
    }
    bed.freeze(bed.qemu_pid("deaf")?)?;
    Ok(bed)
}

fn quick(bed: &Testbed, line: &str) -> Outcome<String> {
    let done = bed.try_virsh(line)?;
    if !done.ok() {
        return Err(format!("virsh {line}: {}", done.err).into());
    }
    if done.took > QUICK {
        return Err(format!(
            "virsh {line} took {:?} beside a guest that does not answer",
            done.took
        )
        .into());
    }
    Ok(done.out)
}

fn queries_stay_fast() -> Outcome {
    let bed = with_a_stopped_guest()?;
    if !bed.is_ours() {
        return Err(Skip("stock libvirtd waits for the guest".to_owned()).into());
    }
    // A call that waits for the guest is under way all the time.
    let waiting = bed.virsh_lines("qemu-monitor-command deaf '{\"execute\":\"query-status\"}'")?;
    for line in [
        "list --all",
        "dominfo deaf",
        "dominfo well",
        "domstate deaf",
        "dumpxml deaf",
        "domstats",
        "domstats deaf",
    ] {
        quick(&bed, line)?;
    }
    contains(&quick(&bed, "list --all")?, "deaf")?;
    quick(&bed, "suspend well")?;
    quick(&bed, "resume well")?;
    quick(&bed, "destroy well")?;
    quick(&bed, "start well")?;
    drop(waiting);
    Ok(())
}

fn call_fails_at_its_deadline() -> Outcome {
    let bed = with_a_stopped_guest()?;
    if !bed.is_ours() {
        return Err(Skip("stock libvirtd waits for ever".to_owned()).into());
    }
    let text = bed.virsh_fails("suspend deaf")?;
    contains(&text, "'deaf'")?;
    equal("internal error in it", text.contains("internal error"), false)?;
    bed.signal("CONT", bed.qemu_pid("deaf")?)?;
    // It is not lost: once QEMU goes on, so do calls to it.
    virtus_tests::wait_for("the guest to answer again", DEADLINE, || {
        Ok(bed.try_virsh("suspend deaf")?.ok())
    })?;
    bed.virsh("resume deaf")?;
    equal("state", bed.virsh("domstate deaf")?, "running".to_owned())
}

fn can_be_destroyed() -> Outcome {
    let bed = with_a_stopped_guest()?;
    bed.virsh("destroy deaf")?;
    equal("state", bed.virsh("domstate deaf")?, "shut off".to_owned())?;
    equal("its QEMU is gone", bed.qemu_pid("deaf").is_err(), true)
}
