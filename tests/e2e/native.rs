// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a start would do, without a start: `virsh domxml-to-native` and `virtus plan`.

use virtus_tests::{Guest, Outcome, Testbed};

use crate::{Case, contains, equal};

pub(crate) const CASES: &[Case] = &[
    ("a_definition_becomes_a_command_line", to_native),
    ("what_is_no_such_format_is_refused", refused),
    ("a_plan_changes_nothing", plan),
];

/// One of each device whose start would make something on the host.
fn guest() -> Guest {
    Guest::firmware("paper")
        .device("<interface type='bridge'><mac address='52:54:00:12:34:56'/><source bridge='no-such-br'/><model type='virtio'/></interface>")
        .device("<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>")
        .device("<graphics type='vnc' port='-1' autoport='yes'/>")
        .device("<serial type='pty'><target port='0'/></serial>")
        .device("<disk type='file'><driver name='qemu' type='raw'/><source file='/no such/disk.img'/><target dev='vda' bus='virtio'/></disk>")
}

fn to_native() -> Outcome {
    let bed = Testbed::new()?;
    bed.define(&guest())?;
    let file = bed.path("paper.xml").display().to_string();
    let of_file = bed.virsh(&format!("domxml-to-native qemu-argv --xml {file}"))?;
    let of_domain = bed.virsh("domxml-to-native qemu-argv --domain paper")?;
    for native in [of_file, of_domain] {
        equal("lines", native.lines().count(), 1)?;
        contains(&native, "LC_ALL=C PATH=")?;
        for part in [
            "qemu-system-x86_64 -name guest=paper,debug-threads=on -S -object '{\"qom-type\":\"secret\"",
            "/domain--1-paper/monitor.sock,server=on,wait=off -mon chardev=charmonitor",
            "\"filename\":\"/no such/disk.img\"",
            "-netdev '{\"type\":\"tap\",\"fd\":",
            "channel/-1-paper/org.qemu.guest_agent.0,server=on,wait=off",
            "-vnc 127.0.0.1:0,",
        ] {
            contains(&native, part)?;
        }
    }
    Ok(())
}

fn refused() -> Outcome {
    let bed = Testbed::new()?;
    bed.define(&guest())?;
    let error = bed.virsh_fails("domxml-to-native xen-xl --domain paper")?;
    contains(&error, "invalid argument: unsupported config type xen-xl")?;
    let file = bed.path("paper.xml").display().to_string();
    contains(
        &bed.virsh_fails(&format!("domxml-from-native qemu-argv {file}"))?,
        "this function is not supported by the connection driver: virConnectDomainXMLFromNative",
    )
}

fn plan() -> Outcome {
    let bed = Testbed::without_daemon(&Default::default())?;
    if !bed.is_ours() {
        return Ok(());
    }
    let file = bed.write("paper.xml", &guest().xml())?;
    let folder = bed.path("").display().to_string();
    let files = || bed.run("find", &[&folder, "-newer", &file]);
    let before = files()?.out;
    let said = bed.virtus(&["plan", &file])?;
    equal(&said.err, said.ok(), true)?;
    for part in [
        "domain 'paper'",
        "etc/libvirt/qemu/paper.xml",
        "folder  ",
        "/domain-1-paper  (mode 0750",
        "link    vnet0 or the next free  (tap, port of 'no-such-br')",
        "port    5900  (vnc on 127.0.0.1)",
        "there is no bridge 'no-such-br' on this host",
        "Cannot access storage file '/no such/disk.img'",
        "-name guest=paper,debug-threads=on",
    ] {
        contains(&said.out, part)?;
    }
    let json = bed.virtus(&["plan", "--json", &file])?;
    contains(&json.out, "\"act\": \"cgroup\"")?;
    equal("files that are new", files()?.out, before)?;

    let card = "<interface type='bridge'><source bridge='ovs0'/><virtualport type='openvswitch'/></interface>";
    let container = format!(
        "<domain type='lxc'><name>box</name><memory>1024</memory><os><type>exe</type></os>\
         <devices>{card}</devices></domain>"
    );
    for switched in [guest().device(card).xml(), container] {
        let said = bed.virtus(&["plan", &bed.write("switched.xml", &switched)?])?;
        contains(&said.out, "run     ovs-vsctl  (plugs it in)")?;
    }

    let wrong = bed.write(
        "wrong.xml",
        "<domain type='qemu'>\n  <name>x</name>\n  <vcpu>y</vcpu>\n</domain>\n",
    )?;
    let said = bed.virtus(&["plan", &wrong])?;
    equal("exit code", said.code, Some(1))?;
    contains(&said.err, "line 3")
}
