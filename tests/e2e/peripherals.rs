// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a person does to a guest from outside its software: look at its screen, press its keys, connect to its ports.

use virtus_tests::{DEADLINE, Guest, Outcome, Testbed, wait_for};

use crate::{Case, contains, equal};

pub(crate) const CASES: &[Case] = &[
    ("a_screenshot_is_a_picture", screenshot),
    ("keys_reach_the_guest", keys),
    ("nmi_is_delivered", nmi),
    ("graphics_tell_their_address", graphics),
    ("serial_ports_to_file_and_socket", serial_ports),
    ("devices_of_an_ordinary_guest", ordinary_guest),
    ("a_console_is_not_shared_unless_forced", console_is_exclusive),
    ("a_tpm_is_emulated", tpm),
];

fn screenshot() -> Outcome {
    let bed = Testbed::new()?;
    bed.define(
        &Guest::firmware("shown")
            .device("<graphics type='vnc' listen='127.0.0.1'/><video><model type='vga'/></video>"),
    )?;
    bed.virsh("start shown")?;
    let picture = bed.path("shown.png");
    let said = bed.virsh(&format!("screenshot shown {}", picture.display()))?;
    contains(&said, "Screenshot saved to")?;
    let bytes = std::fs::read(&picture)?;
    let is_picture = bytes.starts_with(b"\x89PNG") || bytes.starts_with(b"P6");
    equal(
        &format!("{said}: a picture of {} bytes", bytes.len()),
        is_picture && bytes.len() > 500,
        true,
    )
}

fn keys() -> Outcome {
    let bed = Testbed::new()?;
    bed.define(&Guest::linux("typed")?)?;
    bed.virsh("start typed")?;
    let mut console = bed.terminal("console typed")?;
    console.expect("guest# ", DEADLINE)?;
    bed.virsh("send-key typed KEY_A")?;
    console.expect("virtus-guest: key 30", DEADLINE)?;
    bed.virsh("send-key typed --codeset xt 48")?;
    console.expect("virtus-guest: key 48", DEADLINE)?;
    bed.virsh("send-key typed KEY_LEFTCTRL KEY_X")?;
    console.expect("virtus-guest: key 29", DEADLINE)?;
    console.expect("virtus-guest: key 45", DEADLINE).map(drop)
}

fn nmi() -> Outcome {
    let bed = Testbed::new()?;
    bed.define(&Guest::firmware("poked"))?;
    bed.virsh("start poked")?;
    contains(&bed.virsh("inject-nmi poked")?, "")?;
    equal("state", bed.virsh("domstate poked")?, "running".to_owned())
}

fn graphics() -> Outcome {
    let bed = Testbed::new()?;
    let vnc = "<graphics type='vnc' port='-1' autoport='yes' listen='127.0.0.1' passwd='secret'/>";
    bed.define(&Guest::firmware("screen").device(vnc))?;
    equal("password in the open", bed.virsh("dumpxml screen")?.contains("secret"), false)?;
    contains(&bed.virsh("dumpxml screen --security-info")?, "passwd='secret'")?;
    bed.virsh("start screen")?;
    contains(&bed.virsh("domdisplay screen")?, "vnc://127.0.0.1:")?;
    contains(&bed.virsh("vncdisplay screen")?, "127.0.0.1:0")?;
    contains(&bed.virsh("dumpxml screen")?, "port='5900'")?;
    let text = "import socket; print(socket.create_connection(('127.0.0.1', 5900), 5).recv(4))";
    contains(&bed.run("/usr/bin/python3", &["-c", text])?.out, "RFB ")
}

fn serial_ports() -> Outcome {
    let bed = Testbed::new()?;
    let file = bed.path("serial.log");
    let socket = bed.path("serial.sock");
    let guest = Guest::linux("wired")?
        .device(&format!(
            "<serial type='file'><source path='{}'/><target port='1'/></serial>",
            file.display()
        ))
        .device(&format!(
            "<serial type='unix'><source mode='bind' path='{}'/><target port='2'/></serial>",
            socket.display()
        ))
        .device("<channel type='unix'><target type='virtio' name='test.port.0'/></channel>");
    bed.define(&guest)?;
    bed.virsh("start wired")?;
    equal("socket", socket.exists(), true)?;
    let mut console = bed.terminal("console wired")?;
    console.expect("guest# ", DEADLINE)?;
    console.ask("echo to-the-file >/dev/ttyS1; echo done-$((5 + 5))", "done-10", DEADLINE)?;
    wait_for("the text in the file", DEADLINE, || {
        Ok(std::fs::read_to_string(&file)?.contains("to-the-file"))
    })?;
    let sources = bed.virsh("dumpxml wired")?;
    contains(&sources, "name='test.port.0' state='disconnected'")
}

/// The devices that virt-install gives an ordinary Linux guest.
fn ordinary_guest() -> Outcome {
    let bed = Testbed::new()?;
    let disk = bed.path("system.qcow2").display().to_string();
    bed.run("qemu-img", &["create", "-q", "-f", "qcow2", &disk, "64M"])?;
    let image = bed.write("install.iso", &"x".repeat(4096))?;
    let guest = Guest::linux("ordinary")?
        .memory(192)
        .vcpus("<vcpu placement='static'>2</vcpu>")
        .with("<cpu mode='maximum'/><clock offset='utc'><timer name='rtc' tickpolicy='catchup'/><timer name='pit' tickpolicy='delay'/><timer name='hpet' present='no'/></clock>")
        .with("<on_poweroff>destroy</on_poweroff><on_reboot>restart</on_reboot><on_crash>destroy</on_crash>")
        .with("<pm><suspend-to-mem enabled='no'/><suspend-to-disk enabled='no'/></pm>")
        .device(&format!("<disk type='file' device='disk'><driver name='qemu' type='qcow2' discard='unmap'/><source file='{disk}'/><target dev='vda' bus='virtio'/><boot order='1'/></disk>"))
        .device(&format!("<disk type='file' device='cdrom'><driver name='qemu' type='raw'/><source file='{image}'/><target dev='sda' bus='sata'/><readonly/></disk>"))
        .device("<disk type='file' device='cdrom'><target dev='sdb' bus='scsi'/></disk><controller type='scsi' model='virtio-scsi'/>")
        .device("<controller type='usb' model='qemu-xhci' ports='15'/><controller type='virtio-serial'/>")
        .device("<interface type='user'><mac address='52:54:00:ab:cd:ef'/><model type='virtio'/></interface>")
        .device("<input type='tablet' bus='usb'/><input type='keyboard' bus='usb'/>")
        .device("<graphics type='vnc' autoport='yes' listen='127.0.0.1'/><video><model type='virtio'/></video>")
        .device("<memballoon model='virtio'><stats period='5'/></memballoon>")
        .device("<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>")
        .device("<watchdog model='i6300esb' action='reset'/>")
        .agent();
    bed.define(&guest)?;
    bed.virsh("start ordinary")?;
    let mut console = bed.terminal("console ordinary")?;
    console.expect("virtus-guest: cpus 2", DEADLINE)?;
    console.expect("virtus-guest: disk vda 131072 sectors", DEADLINE)?;
    console.expect("virtus-guest: up", DEADLINE)?;
    console.expect("virtus-guest: address 10.0.2.", DEADLINE)?;
    wait_for("the agent's channel", DEADLINE, || {
        Ok(bed.virsh("dumpxml ordinary")?.contains("state='connected'"))
    })?;
    let xml = bed.virsh("dumpxml ordinary")?;
    for part in [
        "<controller type='pci' index='0' model='pcie-root'>",
        "model='pcie-root-port'",
        "<alias name='virtio-disk0'/>",
        "<address type='usb'",
    ] {
        contains(&xml, part)?;
    }
    // What is written once is read the same again.
    let inactive = bed.virsh("dumpxml --inactive ordinary")?;
    bed.write("again.xml", &inactive)?;
    bed.virsh(&format!("define {}", bed.path("again.xml").display()))?;
    equal("the definition, defined again", bed.virsh("dumpxml --inactive ordinary")?, inactive)?;
    bed.virsh("change-media ordinary sda --eject").map(drop).or_else(|error| {
        if error.to_string().contains("not supported") { Ok(()) } else { Err(error) }
    })?;
    bed.virsh("destroy ordinary --graceful").map(drop)
}

fn console_is_exclusive() -> Outcome {
    let bed = Testbed::new()?;
    bed.define(&Guest::linux("single")?)?;
    bed.virsh("start single")?;
    let mut first = bed.terminal("console single")?;
    first.expect("guest# ", DEADLINE)?;
    let mut second = bed.terminal("console single")?;
    second.expect("Active console session exists for this domain", DEADLINE)?;
    let mut forced = bed.terminal("console single --force")?;
    forced.expect("Connected to domain 'single'", DEADLINE)?;
    forced.ask("echo mine-$((7 * 7))", "mine-49", DEADLINE)?;
    // The escape character ends virsh, not the guest.
    forced.keys("\x1d")?;
    equal("exit code", forced.end(DEADLINE)?, Some(0))?;
    equal("state", bed.virsh("domstate single")?, "running".to_owned())
}

fn tpm() -> Outcome {
    let bed = Testbed::new()?;
    bed.define(
        &Guest::linux("sealed")?
            .device("<tpm model='tpm-tis'><backend type='emulator' version='2.0'/></tpm>"),
    )?;
    bed.virsh("start sealed")?;
    let mut console = bed.terminal("console sealed")?;
    console.expect("guest# ", DEADLINE)?;
    console.ask("ls /sys/class/tpm; echo listed-$((2 + 2))", "tpm0", DEADLINE)?;
    equal(
        "swtpm runs",
        bed.processes()?.iter().any(|process| process.words[0].contains("swtpm")),
        true,
    )?;
    bed.virsh("destroy sealed")?;
    wait_for("swtpm's end", DEADLINE, || {
        Ok(!bed.processes()?.iter().any(|process| process.words[0].contains("swtpm")))
    })?;
    bed.virsh("undefine sealed --tpm").map(drop)
}
