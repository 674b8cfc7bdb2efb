// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One guest that does not answer holds up nobody but who asks it, and those not for ever.

use virtus_tests::{DEADLINE, Guest, Outcome, Testbed, promptly};

use crate::{Case, Skip, contains, equal};

pub(crate) const CASES: &[Case] = &[
    ("a_stopped_qemu_does_not_delay_queries", queries_stay_fast),
    ("a_call_to_a_stopped_qemu_fails_at_its_deadline", call_fails_at_its_deadline),
    ("a_stopped_qemu_can_be_destroyed", can_be_destroyed),
];

fn with_a_stopped_guest() -> Outcome<Testbed> {
    let bed = Testbed::new()?;
    for name in ["deaf", "well"] {
        bed.define(&Guest::firmware(name))?;
        bed.virsh(&format!("start {name}"))?;
    }
    bed.freeze(bed.qemu_pid("deaf")?)?;
    Ok(bed)
}

/// What `virsh` prints at once, beside a call that waits for the guest.
fn quick(bed: &Testbed, line: &str) -> Outcome<String> {
    let done = promptly(|| {
        let _waiting =
            bed.virsh_lines("qemu-monitor-command deaf '{\"execute\":\"query-status\"}'")?;
        bed.try_virsh(line)
    })?;
    if done.ok() { Ok(done.out) } else { Err(format!("virsh {line}: {}", done.err).into()) }
}

fn queries_stay_fast() -> Outcome {
    let bed = with_a_stopped_guest()?;
    if !bed.is_ours() {
        return Err(Skip("stock libvirtd waits for the guest".to_owned()).into());
    }
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
    quick(&bed, "'suspend well; resume well'")?;
    quick(&bed, "'destroy well; start well'").map(drop)
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
