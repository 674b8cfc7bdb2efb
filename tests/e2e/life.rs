// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The whole life of a guest, as a person at a terminal lives it.

use virtus_tests::{DEADLINE, Guest, Outcome, Testbed, wait_for};

use crate::{Case, contains, equal};

pub(crate) const CASES: &[Case] = &[
    ("a_guest_from_define_to_undefine", from_define_to_undefine),
    ("a_transient_guest_leaves_no_trace", transient),
    ("a_guest_starts_paused_and_is_resumed", starts_paused),
    ("definitions_outlive_the_daemon", definitions_outlive_the_daemon),
];

fn from_define_to_undefine() -> Outcome {
    let bed = Testbed::new()?;
    let guest = Guest::linux("life")?;
    contains(&bed.define(&guest)?, "Domain 'life' defined from ")?;
    equal("state", bed.virsh("domstate life")?, "shut off".to_owned())?;
    equal("running", bed.virsh("list --name")?, String::new())?;
    equal("defined", bed.virsh("list --all --name")?, "life".to_owned())?;

    equal("start", bed.virsh("start life")?, "Domain 'life' started".to_owned())?;
    let mut console = bed.terminal("console life")?;
    console.expect("Connected to domain 'life'", DEADLINE)?;
    console.expect("virtus-guest: up", DEADLINE)?;
    console.expect("guest# ", DEADLINE)?;
    console.ask("echo six-$((2 * 3))", "six-6", DEADLINE)?;

    let list = bed.virsh("list")?;
    contains(&list, " Id   Name   State")?;
    contains(&list, " 1    life   running")?;
    let info = bed.virsh("dominfo life")?;
    for line in [
        "Id:             1",
        "Name:           life",
        "OS Type:        hvm",
        "State:          running",
        "CPU(s):         1",
        "Max memory:     131072 KiB",
        "Used memory:    131072 KiB",
        "Persistent:     yes",
        "Autostart:      disable",
        "Managed save:   no",
    ] {
        contains(&info, line)?;
    }
    let xml = bed.virsh("dumpxml life")?;
    for part in [
        "<domain type='qemu' id='1'",
        "<name>life</name>",
        "<source path='/dev/pts/",
        "<address type='pci'",
    ] {
        contains(&xml, part)?;
    }
    let inactive = bed.virsh("dumpxml --inactive life")?;
    contains(&inactive, "<domain type='qemu'>")?;

    equal("suspend", bed.virsh("suspend life")?, "Domain 'life' suspended".to_owned())?;
    equal("state", bed.virsh("domstate --reason life")?, "paused (user)".to_owned())?;
    equal("resume", bed.virsh("resume life")?, "Domain 'life' resumed".to_owned())?;
    equal("state", bed.virsh("domstate --reason life")?, "running (unpaused)".to_owned())?;
    console.ask("echo nine-$((3 * 3))", "nine-9", DEADLINE)?;

    equal("reset", bed.virsh("reset life")?, "Domain 'life' was reset".to_owned())?;
    console.expect("virtus-guest: up", DEADLINE)?;
    // The guest answers the power button by powering off; it must come up again, with the same QEMU.
    let qemu = bed.qemu_pid("life")?;
    contains(&bed.virsh("reboot life --mode acpi")?, "Domain 'life' is being rebooted")?;
    console.expect("virtus-guest: power button", DEADLINE)?;
    console.expect("virtus-guest: up", DEADLINE)?;
    equal("QEMU after the reboot", bed.qemu_pid("life")?, qemu)?;
    equal("state", bed.virsh("domstate life")?, "running".to_owned())?;

    contains(&bed.virsh("shutdown life --mode acpi")?, "Domain 'life' is being shutdown")?;
    wait_for("the guest's end", DEADLINE, || Ok(bed.virsh("domstate life")? == "shut off"))?;
    equal("state", bed.virsh("domstate --reason life")?, "shut off (shutdown)".to_owned())?;
    console.end(DEADLINE)?;

    bed.virsh("start life")?;
    equal("second id", bed.virsh("domid life")?, "2".to_owned())?;
    equal("destroy", bed.virsh("destroy life")?, "Domain 'life' destroyed".to_owned())?;
    equal("state", bed.virsh("domstate --reason life")?, "shut off (destroyed)".to_owned())?;
    equal("undefine", bed.virsh("undefine life")?, "Domain 'life' has been undefined".to_owned())?;
    equal("nothing", bed.virsh("list --all --name")?, String::new())?;
    contains(&bed.virsh_fails("dominfo life")?, "failed to get domain 'life'")
}

fn transient() -> Outcome {
    let bed = Testbed::new()?;
    let file = bed.write("brief.xml", &Guest::firmware("brief").xml())?;
    contains(&bed.virsh(&format!("create {file}"))?, "Domain 'brief' created from ")?;
    contains(&bed.virsh("dominfo brief")?, "Persistent:     no")?;
    equal("no definition", bed.path("etc/libvirt/qemu/brief.xml").exists(), false)?;
    bed.virsh("destroy brief")?;
    equal("domains", bed.virsh("list --all --name")?, String::new())?;
    equal("status file", bed.path("run/libvirt/qemu/brief.xml").exists(), false)
}

fn starts_paused() -> Outcome {
    let bed = Testbed::new()?;
    bed.define(&Guest::firmware("still"))?;
    bed.virsh("start still --paused")?;
    equal("state", bed.virsh("domstate --reason still")?, "paused (user)".to_owned())?;
    contains(&bed.virsh("list --state-paused")?, "still")?;
    equal("running ones", bed.virsh("list --state-running --name")?, String::new())?;
    bed.virsh("resume still")?;
    equal("state", bed.virsh("domstate still")?, "running".to_owned())
}

fn definitions_outlive_the_daemon() -> Outcome {
    let mut bed = Testbed::new()?;
    let guest = Guest::firmware("lasting").head("<title>One that stays</title>");
    bed.define(&guest)?;
    let before = bed.virsh("dumpxml lasting")?;
    contains(&before, "<title>One that stays</title>")?;
    equal("file", bed.path("etc/libvirt/qemu/lasting.xml").exists(), true)?;
    bed.restart()?;
    equal("XML after a restart", bed.virsh("dumpxml lasting")?, before.clone())?;
    bed.kill9()?;
    bed.start()?;
    equal("XML after a kill", bed.virsh("dumpxml lasting")?, before)?;
    bed.virsh("undefine lasting")?;
    equal("file", bed.path("etc/libvirt/qemu/lasting.xml").exists(), false)
}
