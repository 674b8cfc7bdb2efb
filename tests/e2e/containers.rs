// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Containers: busybox under `virtlxcd`, driven by the stock `virsh`.

use std::time::Duration;

use virtus_tests::{
    Container, DEADLINE, Options, Outcome, Terminal, Testbed, built_program, wait_for,
};

use crate::events::next;
use crate::{Case, Skip, contains, equal};

pub(crate) const CASES: &[Case] = &[
    ("a_container_lives", lives),
    ("a_container_is_told_of_in_order", told),
    ("a_paused_container_stands_still", pauses),
    ("a_console_is_a_shell_inside", console),
    ("a_reboot_keeps_the_container", reboots),
    ("a_killed_daemon_is_followed_by_one_that_takes_over", taken_over),
    ("a_killed_controller_is_noticed", controller_killed),
    ("limits_bite", limits),
    ("a_network_reaches_the_host", network),
    ("a_card_is_in_a_vlan_of_a_bridge_that_tells_them_apart", tagged),
    ("namespaces_can_be_entered", namespaces),
    ("devices_come_and_go", devices),
    ("marked_containers_start_with_the_host", autostarts),
    ("only_root_runs_them", only_root),
    ("a_container_goes_with_its_owner", goes_with_owner),
    ("failed_starts_leave_nothing", failed_starts),
    ("many_starts_leave_nothing", many_starts),
];

/// A testbed with one container, which runs.
fn running(name: &str) -> Outcome<Testbed> {
    let bed = Testbed::of_containers()?;
    bed.define_container(&Container::busybox(&bed, name)?)?;
    bed.virsh(&format!("start {name}"))?;
    counts_on(&bed, name)?;
    Ok(bed)
}

/// Waits until the container counts further than it has.
fn counts_on(bed: &Testbed, name: &str) -> Outcome {
    let before = bed.count_of(name)?;
    wait_for("the container to count", DEADLINE, || Ok(bed.count_of(name)? > before))
}

fn state_is(bed: &Testbed, name: &str, state: &str) -> Outcome {
    let mut seen = String::new();
    let reached = wait_for("the state", DEADLINE, || {
        seen = bed.virsh(&format!("domstate {name}"))?;
        Ok(seen == state)
    });
    reached.map_err(|error| format!("{error} '{state}': it is '{seen}'").into())
}

/// What runs leave on the host while they last: links, control groups, files, controllers.
pub(crate) fn traces(bed: &Testbed) -> Outcome<Vec<String>> {
    let mut found = Vec::new();
    let links = bed.run("ip", &["-o", "link"])?.out;
    found.extend(links.lines().filter(|line| line.contains("vnet")).map(str::to_owned));
    let groups = bed.run("find", &["/sys/fs/cgroup", "-name", "*.libvirt-lxc"])?.out;
    found.extend(groups.lines().map(str::to_owned));
    for entry in std::fs::read_dir(bed.path("run/libvirt/lxc"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name != "autostarted" {
            found.push(name);
        }
    }
    let controllers = bed.processes()?.into_iter().filter(|process| {
        process.words.first().is_some_and(|program| program.ends_with("libvirt_lxc"))
    });
    found.extend(controllers.map(|process| process.words.join(" ")));
    let mounts = bed.run("cat", &["/proc/self/mounts"])?.out;
    found.extend(mounts.lines().filter(|line| line.contains("/roots/")).map(str::to_owned));
    Ok(found)
}

fn lives() -> Outcome {
    let bed = running("box")?;
    contains(&bed.virsh("list")?, "box")?;
    contains(&bed.virsh("dominfo box")?, "OS Type:        exe")?;
    contains(&bed.virsh("dumpxml box")?, "<partition>/machine</partition>")?;
    contains(&bed.virsh("version")?, "Using API: LXC")?;
    contains(&bed.virsh("capabilities")?, "<os_type>exe</os_type>")?;
    contains(&bed.virsh_fails("start box")?, "already active")?;
    contains(&bed.virsh_fails("setvcpus box 1 --live")?, "virtual CPUs")?;
    contains(&bed.virsh_fails("reset box")?, "reset button")?;
    bed.virsh("shutdown box")?;
    state_is(&bed, "box", "shut off")?;
    contains(&bed.virsh("domstate --reason box")?, "shut off (shutdown)")?;
    equal("traces", traces(&bed)?, Vec::new())?;
    bed.virsh("start box")?;
    let destroyed = bed.try_virsh("destroy box")?;
    equal("destroy", destroyed.ok(), true)?;
    contains(&bed.virsh("domstate --reason box")?, "shut off (destroyed)")?;
    equal("traces", traces(&bed)?, Vec::new())?;
    bed.virsh("undefine box").map(drop)
}

fn told() -> Outcome {
    let bed = Testbed::of_containers()?;
    let mut events = bed.python("events.py", &[])?;
    events.expect("ready", DEADLINE)?;
    bed.define_container(&Container::busybox(&bed, "told")?)?;
    next(&mut events, "told", "defined 0")?;
    bed.virsh("start told")?;
    next(&mut events, "told", "started 0")?;
    counts_on(&bed, "told")?;
    bed.virsh("suspend told")?;
    next(&mut events, "told", "suspended 0")?;
    bed.virsh("resume told")?;
    next(&mut events, "told", "resumed 0")?;
    bed.virsh("shutdown told")?;
    next(&mut events, "told", "stopped 0")?;
    bed.virsh("start told")?;
    next(&mut events, "told", "started 0")?;
    bed.virsh("destroy told")?;
    next(&mut events, "told", "stopped 1")?;
    bed.virsh("undefine told")?;
    next(&mut events, "told", "undefined 0")
}

fn pauses() -> Outcome {
    let bed = running("still")?;
    bed.virsh("suspend still")?;
    contains(&bed.virsh("domstate --reason still")?, "paused (user)")?;
    let before = bed.count_of("still")?;
    std::thread::sleep(Duration::from_millis(500));
    equal("count of a paused container", bed.count_of("still")?, before)?;
    bed.virsh("resume still")?;
    counts_on(&bed, "still")?;
    bed.virsh("suspend still")?;
    bed.virsh("destroy still")?;
    equal("traces", traces(&bed)?, Vec::new())
}

fn console() -> Outcome {
    let bed = running("talk")?;
    let mut console = bed.terminal("console talk")?;
    console.expect("Connected to domain 'talk'", DEADLINE)?;
    console.ask("echo sum-$((4 + 4))", "sum-8", DEADLINE)?;
    console.ask("echo first-$(cat /proc/1/comm)", "first-init", DEADLINE)?;
    let mut other = bed.terminal("console talk --devname console7")?;
    other.expect("cannot find console device 'console7'", DEADLINE)?;
    let mut second = bed.terminal("console talk")?;
    second.expect("Active console session exists for this domain", DEADLINE)?;
    bed.virsh("destroy talk")?;
    equal("virsh console", console.end(DEADLINE)?, Some(0))
}

fn reboots() -> Outcome {
    let bed = running("again")?;
    let mut events = bed.python("events.py", &[])?;
    events.expect("ready", DEADLINE)?;
    let id = bed.virsh("domid again")?;
    contains(&bed.virsh_fails("reboot again --mode initctl")?, "initctl")?;
    bed.virsh("reboot again --mode signal")?;
    events.expect("reboot again", DEADLINE)?;
    counts_on(&bed, "again")?;
    wait_for("the new number", DEADLINE, || Ok(bed.virsh("domid again")? != id))?;
    bed.virsh("shutdown again")?;
    next(&mut events, "again", "stopped 0")
}

fn taken_over() -> Outcome {
    let mut bed = running("first")?;
    for name in ["second", "third"] {
        bed.define_container(&Container::busybox(&bed, name)?)?;
        bed.virsh(&format!("start {name}"))?;
        counts_on(&bed, name)?;
    }
    bed.virsh("suspend third")?;
    let before = bed.virsh("dumpxml first")?;
    bed.kill9()?;
    counts_on(&bed, "first")?;
    // One ends while nobody looks, and another process has its number then.
    let number =
        |name: &str| std::fs::read_to_string(bed.path(&format!("run/libvirt/lxc/{name}.pid")));
    let (first, second) = (number("first")?, number("second")?);
    bed.signal("KILL", second.trim().parse()?)?;
    let file = bed.path("run/libvirt/lxc/second.xml");
    let pid = |number: &str| format!(" pid='{}'", number.trim());
    let status = std::fs::read_to_string(&file)?;
    contains(&status, &pid(&second))?;
    std::fs::write(&file, status.replace(&pid(&second), &pid(&first)))?;
    bed.start()?;
    state_is(&bed, "first", "running")?;
    state_is(&bed, "second", "shut off")?;
    state_is(&bed, "third", "paused")?;
    equal("live XML", bed.virsh("dumpxml first")?, before)?;
    counts_on(&bed, "first")?;
    let mut events = bed.python("events.py", &[])?;
    events.expect("ready", DEADLINE)?;
    bed.virsh("resume third")?;
    next(&mut events, "third", "resumed 0")?;
    let mut console = bed.terminal("console first")?;
    console.ask("echo still-$((4 + 4))", "still-8", DEADLINE)?;
    bed.virsh("shutdown first")?;
    next(&mut events, "first", "stopped 0")?;
    bed.virsh("destroy third")?;
    next(&mut events, "third", "stopped 1")?;
    equal("traces", traces(&bed)?, Vec::new())
}

fn controller_killed() -> Outcome {
    let bed = running("orphan")?;
    let mut events = bed.python("events.py", &[])?;
    events.expect("ready", DEADLINE)?;
    let pid = std::fs::read_to_string(bed.path("run/libvirt/lxc/orphan.pid"))?;
    bed.signal("KILL", pid.trim().parse()?)?;
    next(&mut events, "orphan", "stopped 5")?;
    state_is(&bed, "orphan", "shut off")?;
    contains(&bed.virsh("domstate --reason orphan")?, "crashed")?;
    wait_for("the traces to go", DEADLINE, || Ok(traces(&bed)?.is_empty()))?;
    let before = bed.count_of("orphan")?;
    std::thread::sleep(Duration::from_millis(300));
    equal("count of what is no more", bed.count_of("orphan")?, before)?;
    bed.virsh("start orphan")?;
    counts_on(&bed, "orphan")
}

fn limits() -> Outcome {
    let bed = running("hog")?;
    bed.define_container(&Container::busybox(&bed, "neighbour")?)?;
    bed.virsh("start neighbour")?;
    bed.virsh("memtune hog --hard-limit 32768 --live")?;
    contains(&bed.virsh("memtune hog")?, "hard_limit     : 32768")?;
    let mut console = bed.terminal("console hog")?;
    console.ask(
        "dd if=/dev/zero of=/dev/null bs=100M count=1; echo code-$?",
        "code-137",
        DEADLINE,
    )?;
    // Who took too much is killed, and nobody else, inside or beside.
    counts_on(&bed, "hog")?;
    counts_on(&bed, "neighbour")?;
    bed.virsh("schedinfo hog --set cpu_shares=512")?;
    contains(&bed.virsh("schedinfo hog")?, "cpu_shares     : 512")?;
    contains(&bed.virsh("schedinfo hog")?, "vcpu_quota")?;
    contains(&bed.virsh("dommemstat hog")?, "rss")?;
    contains(&bed.virsh("cpu-stats hog --total")?, "cpu_time")?;
    contains(&bed.virsh("blkiotune hog")?, "weight")
}

fn network() -> Outcome {
    let bed = Testbed::of_containers()?;
    bed.bridge("br7", "192.168.77.1/24")?;
    let card = "<interface type='bridge'><mac address='52:54:00:11:22:33'/><source bridge='br7'/>\
                <ip address='192.168.77.2' family='ipv4' prefix='24'/>\
                <route family='ipv4' address='0.0.0.0' gateway='192.168.77.1'/></interface>";
    bed.define_container(&Container::busybox(&bed, "net")?.device(card))?;
    bed.virsh("start net")?;
    counts_on(&bed, "net")?;
    let mut console = bed.terminal("console net")?;
    console.ask("ping -c 1 -W 5 192.168.77.1", "1 packets received", DEADLINE)?;
    console.ask("cat /sys/class/net/eth0/address", "52:54:00:11:22:33", DEADLINE)?;
    contains(&bed.virsh("domiflist net")?, "br7")?;
    let stats = bed.virsh("domifstat net 52:54:00:11:22:33")?;
    equal("bytes that came", stats.contains("rx_bytes 0\n"), false)?;
    let second = card.replace("11:22:33", "44:55:66").replace("77.2'", "78.2'");
    let second = second.replace("192.168.77.1'/></i", "192.168.78.1' metric='9'/></i");
    let file = bed.write("second.xml", &second)?;
    bed.virsh(&format!("attach-device net {file} --live"))?;
    console.ask("ip address show eth1", "192.168.78.2/24", DEADLINE)?;
    update(&bed, &mut console)?;
    bed.virsh("detach-interface net bridge --mac 52:54:00:44:55:66 --live")?;
    console.ask("ip address show eth1; echo over", "can't find device", DEADLINE)?;
    equal("second card", bed.virsh("domiflist net")?.contains("44:55:66"), false)?;
    bed.virsh("destroy net")?;
    equal("traces", traces(&bed)?, Vec::new())
}

/// The second card is unplugged, plugged in again, put into another bridge and limited while the container runs.
fn update(bed: &Testbed, console: &mut Terminal) -> Outcome {
    let ping = "ping -c 1 -W 1 192.168.78.1 | tail -n 2";
    bed.run("ip", &["address", "add", "192.168.78.1/24", "dev", "br7"])?;
    console.ask(ping, "1 packets received", DEADLINE)?;
    bed.virsh("domif-setlink net 52:54:00:44:55:66 down")?;
    contains(&bed.virsh("domif-getlink net 52:54:00:44:55:66")?, "down")?;
    // Whoever is inside can switch the device on, but it is not plugged in.
    let carrier = "echo carrier-$(cat /sys/class/net/eth1/carrier)";
    console.ask(&format!("ip link set eth1 up; {carrier}"), "carrier-0", DEADLINE)?;
    bed.virsh("domif-setlink net 52:54:00:44:55:66 up")?;
    let plugged = "until [ $(cat /sys/class/net/eth1/carrier) = 1 ]; do sleep 0.1; done";
    console.ask(&format!("{plugged}; {carrier}"), "carrier-1", DEADLINE)?;

    bed.bridge("br8", "192.168.79.1/24")?;
    let card = "<interface type='bridge'><mac address='52:54:00:44:55:66'/><source bridge='BR'/></interface>";
    let try_bridge = |name: &str| {
        let file = bed.write("card.xml", &card.replace("BR", name))?;
        bed.try_virsh(&format!("update-device net {file} --live"))
    };
    contains(&try_bridge("nobr")?.err, "nobr")?;
    contains(&bed.run("ip", &["-o", "link", "show", "master", "br7"])?.out, "vnet1")?;
    equal("update", try_bridge("br8")?.err.as_str(), "")?;
    contains(&bed.run("ip", &["-o", "link", "show", "master", "br8"])?.out, "vnet1")?;
    contains(&bed.virsh("domiflist net")?, "br8")?;
    let other = card.replace("BR", "br8").replace("</i", "<mtu size='1400'/></i");
    let file = bed.write("card.xml", &other)?;
    contains(&bed.virsh_fails(&format!("update-device net {file} --live"))?, "device mtu")?;

    // A device that its container has renamed cannot be switched off inside: then it is not outside either.
    console.ask(
        "ip link set eth1 down && ip link set eth1 name away; echo away-$?",
        "away-0",
        DEADLINE,
    )?;
    bed.virsh_fails("domif-setlink net 52:54:00:44:55:66 down")?;
    contains(&bed.run("ip", &["link", "show", "vnet1"])?.out, ",UP")?;
    contains(&bed.virsh("domif-getlink net 52:54:00:44:55:66")?, "up")?;
    console.ask("ip link set away name eth1; echo back-$?", "back-0", DEADLINE)
}

fn tagged() -> Outcome {
    let bed = running("tagged")?;
    bed.bridge("br8", "192.168.79.1/24")?;
    let card =
        "<interface type='bridge'><source bridge='br8'/><vlan><tag id='42'/></vlan></interface>";
    let file = bed.write("card.xml", card)?;
    let attach = format!("attach-device tagged {file} --live");
    contains(&bed.virsh_fails(&attach)?, "does not tell VLANs apart")?;
    let done = bed.run("ip", &["link", "set", "br8", "type", "bridge", "vlan_filtering", "1"])?;
    if !done.ok() {
        return Err(Skip("this kernel has no VLANs of bridges".to_owned()).into());
    }
    bed.virsh(&attach)?;
    let vlans = bed.run("bridge", &["vlan", "show", "dev", "vnet0"])?.out;
    contains(&vlans, "42 PVID Egress Untagged")?;
    equal("others", vlans.lines().filter(|line| line.contains("PVID")).count(), 1)
}

fn namespaces() -> Outcome {
    let bed = running("enter")?;
    std::fs::write(bed.path("roots/enter/etc/here"), "inside-7\n")?;
    let said = bed.virsh("lxc-enter-namespace enter --noseclabel -- /bin/cat /etc/here")?;
    contains(&said, "inside-7")?;
    enters_groups(&bed, "enter")?;
    bed.virsh("reboot enter --mode signal")?;
    counts_on(&bed, "enter")?;
    wait_for("the container's new number", DEADLINE, || Ok(enters_groups(&bed, "enter").is_ok()))
}

/// Who enters a container is in its control groups, which the stock library finds by the container's number.
fn enters_groups(bed: &Testbed, name: &str) -> Outcome {
    let line = format!("lxc-enter-namespace {name} --noseclabel -- /bin/cat /proc/self/cgroup");
    contains(&bed.virsh(&line)?, ".libvirt-lxc/payload")
}

fn devices() -> Outcome {
    let bed = running("plug")?;
    let mut console = bed.terminal("console plug")?;
    console.expect("Connected to domain 'plug'", DEADLINE)?;
    let tun = "<hostdev mode='capabilities' type='misc'><source><char>/dev/net/tun</char></source></hostdev>";
    let file = bed.write("tun.xml", tun)?;
    console.ask("cat /dev/net/tun; echo code-$?", "No such file", DEADLINE)?;
    bed.virsh(&format!("attach-device plug {file} --live"))?;
    contains(&bed.virsh("dumpxml plug")?, "<char>/dev/net/tun</char>")?;
    // It can be opened, and says that it is not set up.
    console.ask("cat /dev/net/tun", "File descriptor in bad state", DEADLINE)?;
    bed.virsh(&format!("detach-device plug {file} --live"))?;
    console.ask("cat /dev/net/tun", "No such file", DEADLINE)?;
    equal("the device", bed.virsh("dumpxml plug")?.contains("/dev/net/tun"), false)?;
    let disk = "<disk type='block'><source dev='/dev/nothing'/><target dev='sdx'/></disk>";
    let file = bed.write("disk.xml", disk)?;
    contains(&bed.virsh_fails(&format!("attach-device plug {file} --live"))?, "/dev/nothing")
}

fn autostarts() -> Outcome {
    let mut bed = running("boots")?;
    bed.virsh("autostart boots")?;
    bed.virsh("destroy boots")?;
    bed.stop()?;
    // As if the host had booted.
    std::fs::remove_file(bed.path("run/libvirt/lxc/autostarted"))?;
    bed.start()?;
    state_is(&bed, "boots", "running")?;
    counts_on(&bed, "boots")
}

fn only_root() -> Outcome {
    let bed = Testbed::without_daemon(&Options { daemon: Some("virtlxcd"), ..Options::default() })?;
    // The target folder may be closed to others.
    let program = bed.path("virtlxcd");
    let program = program.to_str().ok_or("the path is not text")?;
    let built = built_program("virtlxcd")?.display().to_string();
    equal("a copy", bed.run("install", &[&built, program])?.ok(), true)?;
    let done = bed.run_as_nobody(program, &[])?;
    equal("success", done.ok(), false)?;
    contains(&done.err, "virtlxcd must be run as root")
}

fn goes_with_owner() -> Outcome {
    let bed = Testbed::of_containers()?;
    bed.define_container(&Container::busybox(&bed, "owned")?)?;
    let mut owner = bed.terminal("")?;
    owner.expect("virsh # ", DEADLINE)?;
    owner.keys("start owned --autodestroy\n")?;
    owner.expect("Domain 'owned' started", DEADLINE)?;
    counts_on(&bed, "owned")?;
    owner.keys("quit\n")?;
    equal("virsh", owner.end(DEADLINE)?, Some(0))?;
    state_is(&bed, "owned", "shut off")?;
    contains(&bed.virsh("domstate --reason owned")?, "destroyed")
}

fn failed_starts() -> Outcome {
    let bed = Testbed::of_containers()?;
    let broken = [
        ("root", Container::busybox(&bed, "root")?, "root"),
        ("init", Container::busybox(&bed, "init")?.init("<init>/no/such</init>"), "/no/such"),
        (
            "bridge",
            Container::busybox(&bed, "bridge")?
                .device("<interface type='bridge'><source bridge='nobr'/></interface>"),
            "nobr",
        ),
        (
            "second-card",
            Container::busybox(&bed, "second-card")?.device(
                "<interface type='ethernet'/><interface type='direct'><source dev='nodev'/></interface>",
            ),
            "nodev",
        ),
        (
            "device",
            Container::busybox(&bed, "device")?.device(
                "<interface type='ethernet'/><hostdev mode='capabilities' type='misc'>\
                 <source><char>/dev/nothing</char></source></hostdev>",
            ),
            "/dev/nothing",
        ),
        (
            "mount",
            Container::busybox(&bed, "mount")?.device(
                "<interface type='ethernet'/><filesystem type='mount'><source dir='/no/folder'/>\
                 <target dir='/mnt'/></filesystem>",
            ),
            "/no/folder",
        ),
    ];
    std::fs::remove_dir_all(bed.path("roots/root"))?;
    for (name, container, part) in broken {
        bed.define_container(&container)?;
        let said = bed.virsh_fails(&format!("start {name}"))?;
        contains(&said, part)?;
        contains(&bed.virsh(&format!("domstate {name}"))?, "shut off")?;
        equal(&format!("traces of '{name}'"), traces(&bed)?, Vec::new())?;
    }
    Ok(())
}

fn many_starts() -> Outcome {
    let bed = Testbed::of_containers()?;
    let card = "<interface type='ethernet'/>";
    bed.define_container(&Container::busybox(&bed, "often")?.device(card))?;
    let cycles = || bed.virsh_words(&["start often; destroy often; ".repeat(5)]);
    // The first ones make what stays, such as the partition of control groups.
    equal("cycles", cycles()?.err.as_str(), "")?;
    let (before, descriptors) = (inventory(&bed)?, bed.daemon_descriptors()?);
    for _ in 0..10 {
        equal("cycles", cycles()?.err.as_str(), "")?;
    }
    equal("traces", traces(&bed)?, Vec::new())?;
    equal("the host", inventory(&bed)?, before)?;
    // The last client's own may be about to be closed.
    wait_for("the daemon's descriptors to be as many as before", DEADLINE, || {
        Ok(bed.daemon_descriptors()? <= descriptors)
    })
}

/// All mounts, links, control groups and processes of the host.
fn inventory(bed: &Testbed) -> Outcome<Vec<String>> {
    let mut lines = Vec::new();
    for command in [
        ["cut", "-d ", "-f1,2", "/proc/self/mounts"].as_slice(),
        &["ls", "/sys/class/net"],
        &["find", "/sys/fs/cgroup", "-type", "d"],
    ] {
        let done = bed.run(command[0], &command[1..])?;
        lines.extend(done.out.lines().map(str::to_owned));
    }
    lines.extend(bed.processes()?.into_iter().map(|process| process.words.join(" ")));
    Ok(lines)
}
