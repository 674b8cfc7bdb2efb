// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a container is given by its host and by the client that starts it: descriptors, USB devices, memory to see.

use virtus_tests::{Container, DEADLINE, Outcome, Testbed, wait_for};

use crate::{Case, Skip, contains, equal};

pub(crate) const CASES: &[Case] = &[
    ("descriptors_are_passed_to_the_first_process", descriptors),
    ("a_usb_device_is_there", usb),
    ("a_host_without_fuse_runs_containers", without_fuse),
    ("a_container_may_do_without_its_meminfo", unmounted),
    ("the_hosts_memory_can_be_tuned", memory),
];

fn descriptors() -> Outcome {
    let bed = Testbed::of_containers()?;
    let init = "<init>/bin/sh</init><initarg>-c</initarg>\
                <initarg>cat &lt;&amp;3 >/passed; cat &lt;&amp;4 >>/passed; exec sleep 1000</initarg>";
    bed.define_container(&Container::busybox(&bed, "heir")?.init(init))?;
    let (one, two) = (bed.write("one", "one\n")?, bed.write("two", "two\n")?);
    let line = format!(
        "exec 7<{one} 8<{two}; exec virsh --connect '{}' start heir --pass-fds 7,8",
        bed.uri()
    );
    let done = bed.run("bash", &["-c", &line])?;
    equal(&format!("success of {done:?}"), done.ok(), true)?;
    let passed = bed.path("roots/heir/passed");
    wait_for("what was passed", DEADLINE, || {
        Ok(std::fs::read_to_string(&passed).is_ok_and(|text| text == "one\ntwo\n"))
    })
}

fn usb() -> Outcome {
    let bed = Testbed::of_containers()?;
    // Nobody needs to be behind it.
    bed.run("mkdir", &["-p", "/dev/bus/usb/001"])?;
    bed.run("mknod", &["/dev/bus/usb/001/002", "c", "189", "1"])?;
    let device = "<hostdev mode='subsystem' type='usb'><source><address bus='1' device='2'/></source></hostdev>";
    bed.define_container(&Container::busybox(&bed, "usb")?.device(device))?;
    bed.virsh("start usb")?;
    let mut console = bed.terminal("console usb")?;
    console.ask("ls -l /dev/bus/usb/001/002", "189,   1", DEADLINE)?;
    console.ask("cat /dev/bus/usb/001/002", "No such device", DEADLINE)?;
    let unknown = "<hostdev mode='subsystem' type='usb'><source><vendor id='0xdead'/><product id='0xbeef'/></source></hostdev>";
    let file = bed.write("unknown.xml", unknown)?;
    let said = bed.virsh_fails(&format!("attach-device usb {file} --live"))?;
    contains(&said, "Did not find USB device dead:beef")
}

fn without_fuse() -> Outcome {
    let bed = Testbed::of_containers()?;
    bed.run("rm", &["/dev/fuse"])?;
    bed.define_container(&Container::busybox(&bed, "plain")?)?;
    bed.virsh("start plain")?;
    let mut console = bed.terminal("console plain")?;
    console.ask("cat /proc/meminfo", "MemTotal:", DEADLINE)?;
    let log = std::fs::read_to_string(bed.path("var/log/libvirt/lxc/plain.log"))?;
    contains(&log, "there is no '/dev/fuse'")
}

fn unmounted() -> Outcome {
    let bed = Testbed::of_containers()?;
    bed.define_container(&Container::busybox(&bed, "bare")?)?;
    bed.virsh("start bare")?;
    let log = std::fs::read_to_string(bed.path("var/log/libvirt/lxc/bare.log"))?;
    if log.contains("there is no '/dev/fuse'") {
        return Err(Skip("this host has no FUSE".to_owned()).into());
    }
    let leave = "lxc-enter-namespace bare --noseclabel -- /bin/busybox umount /proc/meminfo";
    bed.virsh(leave)?;
    let controller = std::fs::read_to_string(bed.path("run/libvirt/lxc/bare.pid"))?;
    let status = format!("/proc/{}/status", controller.trim());
    // One that asks without end for what is no more never sleeps.
    wait_for("the controller to sleep", DEADLINE, || {
        Ok(bed.run("cat", &[&status])?.out.contains("State:\tS"))
    })
}

fn memory() -> Outcome {
    let bed = Testbed::of_containers()?;
    if std::path::Path::new("/sys/kernel/mm/ksm").is_dir() {
        contains(&bed.virsh("node-memory-tune")?, "shm_pages_to_scan")?;
    }
    contains(&bed.virsh_fails("allocpages --pagesize 3KiB --pagecount 1")?, "pages of 3 KiB")
}
