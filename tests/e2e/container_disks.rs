// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Files that are disks of containers: loop devices, of which none ever stays.

use std::path::{Path, PathBuf};

use virtus_tests::{Container, DEADLINE, Outcome, Testbed, wait_for};

use crate::{Case, Skip, contains, equal};

pub(crate) const CASES: &[Case] = &[
    ("a_file_is_a_disk_of_a_container", file),
    ("a_file_is_plugged_in_and_out", plugged),
    ("no_loop_device_stays", none_stays),
];

/// In place of its configuration a loop device takes one that does not go with its last user.
const STICKY: &str = "
import fcntl, sys
GET_STATUS64, SET_STATUS64, FLAGS = 0x4c05, 0x4c04, 52
with open(sys.argv[1], 'rb+') as device:
    info = bytearray(232)
    fcntl.ioctl(device, GET_STATUS64, info)
    assert info[FLAGS] & 4, 'it would have stayed'
    info[FLAGS] &= ~4
    fcntl.ioctl(device, SET_STATUS64, info)
    fcntl.ioctl(device, GET_STATUS64, info)
    assert not info[FLAGS] & 4, 'it goes all the same'
";

/// A daemon on a host with loop devices.
fn host() -> Outcome<Testbed> {
    if !Path::new("/sys/module/loop").is_dir() {
        return Err(Skip("this kernel has no loop devices".to_owned()).into());
    }
    let bed = Testbed::of_containers()?;
    let nodes = "mknod /dev/loop-control c 10 237
                 for n in $(seq 0 255); do mknod /dev/loop$n b 7 $n; done";
    equal("making device files", bed.run("sh", &["-ec", nodes])?.ok(), true)?;
    if !bed.run("sh", &["-c", ": < /dev/loop-control"])?.ok() {
        return Err(Skip("loop devices may not be used here".to_owned()).into());
    }
    Ok(bed)
}

/// A file of 1 MiB that begins with `text`, and the disk that it is.
fn disk(bed: &Testbed, target: &str, text: &str, more: &str) -> Outcome<String> {
    let path = bed.write(&format!("{target}.img"), text)?;
    std::fs::File::options().write(true).open(&path)?.set_len(1 << 20)?;
    Ok(format!("<disk type='file'><source file='{path}'/><target dev='{target}'/>{more}</disk>"))
}

/// The loop devices of the file that is the disk `target`.
fn loops(bed: &Testbed, target: &str) -> Outcome<Vec<PathBuf>> {
    let file = bed.path(&format!("{target}.img"));
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/sys/block")? {
        let device = entry?.path();
        let of = std::fs::read_to_string(device.join("loop/backing_file"));
        if of.is_ok_and(|path| Path::new(path.trim_end()) == file) {
            found.push(Path::new("/dev").join(device.file_name().unwrap_or_default()));
        }
    }
    Ok(found)
}

fn gone(bed: &Testbed, target: &str) -> Outcome {
    wait_for("the loop device to go", DEADLINE, || Ok(loops(bed, target)?.is_empty()))
}

/// What a command in the container 'box' says.
fn inside(bed: &Testbed, command: &str) -> Outcome<String> {
    let line = ["lxc-enter-namespace", "box", "--noseclabel", "--", "/bin/sh", "-c", command];
    let done = bed.virsh_words(&line.map(str::to_owned))?;
    Ok(done.out + &done.err)
}

fn first_line(bed: &Testbed, device: &str) -> Outcome<String> {
    inside(bed, &format!("read line </dev/{device}; echo $line"))
}

fn file() -> Outcome {
    let mut bed = host()?;
    let disks = [
        disk(&bed, "sda", "of the host\n", "")?,
        disk(&bed, "sdb", "only to be read\n", "<readonly/>")?,
    ];
    bed.define_container(&Container::busybox(&bed, "box")?.device(&disks.concat()))?;
    bed.virsh("start box")?;
    contains(&first_line(&bed, "sda")?, "of the host")?;
    contains(&first_line(&bed, "sdb")?, "only to be read")?;
    contains(&inside(&bed, "echo x >/dev/sdb")?, "Operation not permitted")?;
    inside(&bed, "echo of the container | dd of=/dev/sda bs=512 conv=sync && sync")?;
    let written = std::fs::read_to_string(bed.path("sda.img"))?;
    contains(&written, "of the container\n")?;
    let read = std::fs::read_to_string(bed.path("sdb.img"))?;
    equal("what can only be read", read.trim_end_matches('\0'), "only to be read\n")?;

    let shown = bed.virsh("dumpxml box")?;
    contains(&shown, &format!("<source file='{}'/>", bed.path("sda.img").display()))?;
    equal("what is the daemon's", shown.contains("loop"), false)?;
    contains(&bed.virsh("domblklist box")?, "sdb.img")?;
    // Version 1 of control groups counts only what may be limited.
    let before = loops(&bed, "sda")?;
    let device = before.first().ok_or("there is no loop device")?.display();
    bed.virsh(&format!("blkiotune box --live --device-read-bytes-sec {device},1000000000"))?;
    counted(&bed)?;
    bed.kill9()?;
    bed.start()?;
    counted(&bed)?;

    let number = bed.virsh("domid box")?;
    bed.virsh("reboot box --mode signal")?;
    wait_for("the next boot", DEADLINE, || Ok(bed.virsh("domid box")? != number))?;
    equal("loop devices", loops(&bed, "sda")?, before)?;
    contains(&first_line(&bed, "sda")?, "of the container")?;
    bed.virsh("destroy box")?;
    gone(&bed, "sda")?;
    gone(&bed, "sdb")
}

/// What the container reads is counted, as that of its disk.
fn counted(bed: &Testbed) -> Outcome {
    inside(bed, "dd if=/dev/sda of=/dev/null iflag=direct")?;
    let stats = bed.virsh("domblkstat box sda")?;
    contains(&stats, "rd_bytes")?;
    equal(&format!("nothing read: {stats}"), stats.contains("rd_bytes 0\n"), false)?;
    contains(&bed.virsh("domblkstat box sdb")?, "rd_bytes")
}

fn plugged() -> Outcome {
    let bed = host()?;
    bed.define_container(&Container::busybox(&bed, "box")?)?;
    bed.virsh("start box")?;
    let file = bed.write("sdc.xml", &disk(&bed, "sdc", "plugged in\n", "<readonly/>")?)?;
    bed.virsh(&format!("attach-device box {file} --live"))?;
    contains(&first_line(&bed, "sdc")?, "plugged in")?;
    contains(&inside(&bed, "echo x >/dev/sdc")?, "Operation not permitted")?;
    contains(&bed.virsh_fails(&format!("attach-device box {file} --live"))?, "sdc")?;
    let other = "<hostdev mode='capabilities' type='storage'><source><block>/dev/sdc</block></source></hostdev>";
    let other = bed.write("other.xml", other)?;
    equal("a device", bed.run("mknod", &["/dev/sdc", "b", "7", "31"])?.ok(), true)?;
    contains(&bed.virsh_fails(&format!("attach-device box {other} --live"))?, "File exists")?;
    equal("loop devices", loops(&bed, "sdc")?.len(), 1)?;

    // The container's root can have its device files elsewhere.
    inside(&bed, "mv /dev/sdc /dev/mine && mkdir /dev/sdc")?;
    contains(&bed.virsh_fails("detach-disk box sdc --live")?, "cannot remove")?;
    equal("loop devices", loops(&bed, "sdc")?.len(), 1)?;
    inside(&bed, "rmdir /dev/sdc")?;
    bed.virsh("detach-disk box sdc --live")?;
    gone(&bed, "sdc")?;
    contains(&inside(&bed, "cat /dev/sdc")?, "No such file")?;
    contains(&bed.virsh("domblklist box")?, "Target")?;
    equal("disks", bed.virsh("domblklist box")?.contains("sdc"), false)
}

fn none_stays() -> Outcome {
    let bed = host()?;
    let disk = disk(&bed, "sda", "", "")?;
    let container = Container::busybox(&bed, "box")?.device(&disk);
    bed.define_container(&container)?;
    let missing = disk.replace("sda.img", "missing.img").replace("'sda'", "'sdb'");
    let bridge = "<interface type='bridge'><source bridge='nobr'/></interface>";
    for (name, device, said) in [("file", &*missing, "missing.img"), ("bridge", bridge, "nobr")] {
        bed.define_container(&container.clone().called(name).device(device))?;
        contains(&bed.virsh_fails(&format!("start {name}"))?, said)?;
        gone(&bed, "sda")?;
    }
    let copy = disk.replace("<target", "<driver type='qcow2'/><target").replace("'sda'", "'sdb'");
    let copy = bed.write("copy.xml", &container.called("copy").device(&copy).xml())?;
    contains(&bed.virsh_fails(&format!("define {copy}"))?, "disk format qcow2 is not supported")?;

    bed.virsh("start box")?;
    let device = loops(&bed, "sda")?.pop().ok_or("there is no loop device")?;
    // Whoever can write to it can do that.
    let done = bed.run("python3", &["-c", STICKY, device.to_str().unwrap_or_default()])?;
    equal(&format!("success of {done:?}"), done.ok(), true)?;
    let controller = std::fs::read_to_string(bed.path("run/libvirt/lxc/box.pid"))?;
    bed.signal("KILL", controller.trim().parse()?)?;
    gone(&bed, "sda")
}
