// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What can be asked and set of a guest: vCPUs, memory, statistics, scheduling, metadata, autostart.

use virtus_tests::{DEADLINE, Guest, Outcome, Testbed, wait_for};

use crate::{Case, contains, equal};

pub(crate) const CASES: &[Case] = &[
    ("memory_and_vcpus_of_a_definition", definition_sizes),
    ("memory_and_vcpus_of_a_running_guest", live_sizes),
    ("statistics_of_everything", statistics),
    ("scheduler_parameters", scheduler),
    ("metadata_title_and_description", metadata),
    ("autostart_starts_at_the_daemons_start", autostart),
    ("lists_filter_by_every_state", lists),
    ("the_host_and_its_capabilities", host),
    ("disks_and_interfaces_are_listed", devices),
    ("monitor_and_agent_commands", monitor),
    ("undefine_wants_to_know_about_nvram", nvram),
];

/// A guest with one of each device that has statistics.
fn furnished(bed: &Testbed, name: &str) -> Outcome<Guest> {
    let disk = bed.path(&format!("{name}.qcow2")).display().to_string();
    let made = bed.run("qemu-img", &["create", "-q", "-f", "qcow2", &disk, "16M"])?;
    equal(&made.err, made.ok(), true)?;
    Ok(Guest::linux(name)?
        .device(&format!(
            "<disk type='file'><driver name='qemu' type='qcow2'/><source file='{disk}'/><target dev='vda' bus='virtio'/></disk>"
        ))
        .device("<interface type='ethernet'><mac address='52:54:00:12:34:56'/><target dev='vtest0'/><model type='virtio'/></interface>")
        .device("<memballoon model='virtio'/>")
        .device("<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>"))
}

fn definition_sizes() -> Outcome {
    let bed = Testbed::new()?;
    bed.define(&Guest::firmware("sized").vcpus("<vcpu current='2'>4</vcpu>").memory(64))?;
    bed.virsh("setmem sized 32M --config")?;
    contains(&bed.virsh("dominfo sized")?, "Used memory:    32768 KiB")?;
    bed.virsh("setmaxmem sized 128M --config")?;
    contains(&bed.virsh("dominfo sized")?, "Max memory:     131072 KiB")?;
    bed.virsh("setvcpus sized 3 --config")?;
    let counts = bed.virsh("vcpucount sized")?;
    for line in ["maximum      config         4", "current      config         3"] {
        contains(&counts, line)?;
    }
    bed.virsh("setvcpus sized 6 --config --maximum")?;
    equal("maximum", bed.virsh("vcpucount sized --maximum --config")?, "6".to_owned())?;
    contains(
        &bed.virsh_fails("setvcpus sized 9 --config")?,
        "requested vcpus is greater than max allowable vcpus for the persistent domain: 9 > 6",
    )
}

fn live_sizes() -> Outcome {
    let bed = Testbed::new()?;
    bed.define(
        &Guest::linux("live")?
            .vcpus("<vcpu current='1'>2</vcpu>")
            .device("<memballoon model='virtio'/>"),
    )?;
    bed.virsh("start live")?;
    let mut console = bed.terminal("console live")?;
    console.expect("guest# ", DEADLINE)?;
    equal("vCPUs", bed.virsh("vcpucount live --current --live")?, "1".to_owned())?;
    bed.virsh("setvcpus live 2 --live")?;
    equal("vCPUs", bed.virsh("vcpucount live --current --live")?, "2".to_owned())?;
    equal("definition", bed.virsh("vcpucount live --current --config")?, "1".to_owned())?;
    console.ask(
        "while [ ! -d /sys/devices/system/cpu/cpu1 ]; do usleep 100000; done; echo has-$((1 + 1))",
        "has-2",
        DEADLINE,
    )?;
    equal("lines of vcpuinfo", bed.virsh("vcpuinfo live")?.matches("VCPU:").count(), 2)?;
    bed.virsh("setmem live 100M --live")?;
    wait_for("the balloon", DEADLINE, || {
        Ok(bed.virsh("dominfo live")?.contains("Used memory:    102400 KiB"))
    })?;
    contains(&bed.virsh("dommemstat live")?, "actual 102400")
}

fn statistics() -> Outcome {
    let bed = Testbed::new()?;
    bed.define(&furnished(&bed, "counted")?)?;
    bed.virsh("start counted")?;
    let mut console = bed.terminal("console counted")?;
    console.expect("guest# ", DEADLINE)?;
    console.ask(
        "dd if=/dev/vda of=/dev/null bs=64k count=4; echo read-$((1 + 3))",
        "read-4",
        DEADLINE,
    )?;
    let stats = bed.virsh("domstats counted")?;
    for part in [
        "Domain: 'counted'",
        "state.state=1",
        "cpu.time=",
        "balloon.current=131072",
        "balloon.maximum=131072",
        "vcpu.current=1",
        "vcpu.0.state=1",
        "net.count=1",
        "net.0.name=vtest0",
        "block.count=1",
        "block.0.name=vda",
        "block.0.path=",
        "block.0.capacity=16777216",
    ] {
        contains(&stats, part)?;
    }
    equal("domain groups", bed.virsh("domstats counted --state")?.contains("cpu.time"), false)?;
    let block = bed.virsh("domblkstat counted vda")?;
    let read: u64 = field(&block, "vda rd_bytes ")?.parse()?;
    if read < 4 * 65536 {
        return Err(format!("{read} bytes were read of 262144:\n{block}").into());
    }
    contains(&bed.virsh("domblkinfo counted vda")?, "Capacity:       16777216")?;
    contains(&bed.virsh("domifstat counted vtest0")?, "vtest0 rx_bytes ")?;
    contains(&bed.virsh("dommemstat counted")?, "actual 131072")?;
    contains(&bed.virsh("cpu-stats counted --total")?, "cpu_time")?;
    contains(&bed.virsh("domcontrol counted")?, "ok")?;
    contains(&bed.virsh("domjobinfo counted")?, "None")
}

/// What follows `name` on its line.
fn field<'text>(text: &'text str, name: &str) -> Outcome<&'text str> {
    let found = text.lines().find_map(|line| line.strip_prefix(name));
    found.map(str::trim).ok_or_else(|| format!("no `{name}` in:\n{text}").into())
}

fn scheduler() -> Outcome {
    let bed = Testbed::new()?;
    bed.define(&Guest::firmware("shared"))?;
    bed.virsh("schedinfo shared --set cpu_shares=2048 --config")?;
    contains(&bed.virsh("dumpxml shared")?, "<shares>2048</shares>")?;
    let shown = bed.virsh("schedinfo shared --config")?;
    contains(&shown, "Scheduler      : posix")?;
    equal("shares", field(&shown, "cpu_shares     :")?, "2048")
}

fn metadata() -> Outcome {
    let bed = Testbed::new()?;
    bed.define(&Guest::firmware("noted"))?;
    bed.virsh("desc noted --config --title 'A title'")?;
    bed.virsh("desc noted --config 'Some words about it'")?;
    equal("title", bed.virsh("desc noted --title")?, "A title".to_owned())?;
    equal("description", bed.virsh("desc noted")?, "Some words about it".to_owned())?;
    contains(&bed.virsh("list --all --title")?, "A title")?;
    bed.virsh(
        "metadata noted --uri https://example.test/a --key a --set '<app><x>1</x></app>' --config",
    )?;
    contains(&bed.virsh("metadata noted --uri https://example.test/a --config")?, "<x>1</x>")?;
    contains(&bed.virsh("dumpxml noted")?, "xmlns:a=\"https://example.test/a\"")?;
    bed.virsh("metadata noted --uri https://example.test/a --remove --config")?;
    let left = bed.try_virsh("metadata noted --uri https://example.test/a --config")?;
    equal("metadata left", left.out.trim(), "")
}

fn autostart() -> Outcome {
    let mut bed = Testbed::new()?;
    bed.define(&Guest::firmware("early"))?;
    bed.define(&Guest::firmware("never"))?;
    bed.virsh("autostart early")?;
    contains(&bed.virsh("dominfo early")?, "Autostart:      enable")?;
    equal("link", bed.path("etc/libvirt/qemu/autostart/early.xml").is_symlink(), true)?;
    equal("listed", bed.virsh("list --all --autostart --name")?, "early".to_owned())?;
    // Only the first daemon after the host's own start starts guests; this is how it knows.
    bed.stop()?;
    let _ = std::fs::remove_file(bed.path("run/libvirt/qemu/autostarted"));
    bed.start()?;
    wait_for(
        "the guest to be started",
        DEADLINE,
        || Ok(bed.virsh("domstate early")? == "running"),
    )?;
    equal("the other", bed.virsh("domstate never")?, "shut off".to_owned())?;
    bed.virsh("destroy early")?;
    bed.restart()?;
    equal(
        "after a restart of the daemon alone",
        bed.virsh("domstate early")?,
        "shut off".to_owned(),
    )?;
    bed.virsh("autostart early --disable")?;
    equal("link", bed.path("etc/libvirt/qemu/autostart/early.xml").is_symlink(), false)
}

fn lists() -> Outcome {
    let bed = Testbed::new()?;
    for name in ["off", "on", "paused"] {
        bed.define(&Guest::firmware(name))?;
    }
    let file = bed.write("brief.xml", &Guest::firmware("brief").xml())?;
    bed.virsh(&format!("create {file}"))?;
    bed.virsh("start on")?;
    bed.virsh("start paused --paused")?;
    let names = |filter: &str| -> Outcome<Vec<String>> {
        let mut names: Vec<String> = bed
            .virsh(&format!("list --name {filter}"))?
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        names.sort();
        Ok(names)
    };
    for (filter, wanted) in [
        ("", "brief on paused"),
        ("--all", "brief off on paused"),
        ("--inactive", "off"),
        ("--transient", "brief"),
        ("--persistent", "on paused"),
        ("--all --persistent", "off on paused"),
        ("--state-running", "brief on"),
        ("--state-paused", "paused"),
        ("--state-shutoff", "off"),
        ("--all --no-autostart", "brief off on paused"),
        ("--all --with-snapshot", ""),
        ("--all --without-managed-save", "brief off on paused"),
    ] {
        let wanted: Vec<String> = wanted.split_whitespace().map(str::to_owned).collect();
        equal(&format!("list {filter}"), names(filter)?, wanted)?;
    }
    Ok(())
}

fn host() -> Outcome {
    let bed = Testbed::new()?;
    let version = bed.virsh("version --daemon")?;
    contains(&version, "Using library: libvirt 11.3.0")?;
    contains(&version, "Running hypervisor: QEMU ")?;
    contains(&version, "Running against daemon: 11.3.0")?;
    contains(&bed.virsh("hostname")?, "virtus-test")?;
    contains(&bed.virsh("uri")?, "qemu")?;
    let info = bed.virsh("nodeinfo")?;
    for part in ["CPU model:           x86_64", "CPU(s):", "Memory size:"] {
        contains(&info, part)?;
    }
    let capabilities = bed.virsh("capabilities")?;
    for part in [
        "<arch>x86_64</arch>",
        "<guest>",
        "<emulator>/usr/bin/qemu-system-x86_64</emulator>",
        "<domain type='qemu'/>",
    ] {
        contains(&capabilities, part)?;
    }
    let domain = bed.virsh("domcapabilities --virttype qemu --arch x86_64 --machine q35")?;
    for part in [
        "<domainCapabilities>",
        "<domain>qemu</domain>",
        "<machine>pc-q35-",
        "<loader supported='yes'>",
        "<value>virtio</value>",
    ] {
        contains(&domain, part)?;
    }
    contains(&bed.virsh("maxvcpus qemu")?, "")?;
    contains(&bed.virsh("nodecpustats")?, "user:")?;
    contains(&bed.virsh("nodememstats")?, "total  :")?;
    contains(&bed.virsh("sysinfo").unwrap_or_else(|_| "<sysinfo".to_owned()), "<sysinfo")
}

fn devices() -> Outcome {
    let bed = Testbed::new()?;
    bed.define(&furnished(&bed, "equipped")?)?;
    let disks = bed.virsh("domblklist equipped --details")?;
    contains(&disks, "file   disk     vda")?;
    contains(&disks, "equipped.qcow2")?;
    contains(&bed.virsh("domiflist equipped")?, "52:54:00:12:34:56")?;
    bed.virsh("start equipped")?;
    contains(&bed.virsh("domiflist equipped")?, "vtest0")?;
    let shown = bed.run("ip", &["link", "show", "vtest0"])?;
    equal(&shown.err, shown.ok(), true)?;
    contains(&bed.virsh("domif-getlink equipped vtest0")?, "up")?;
    bed.virsh("destroy equipped")?;
    equal("the tap is gone", bed.run("ip", &["link", "show", "vtest0"])?.ok(), false)
}

fn monitor() -> Outcome {
    let bed = Testbed::new()?;
    bed.define(&Guest::linux("spoken")?.agent())?;
    bed.virsh("start spoken")?;
    contains(
        &bed.virsh("qemu-monitor-command spoken '{\"execute\":\"query-status\"}'")?,
        "\"running\":true",
    )?;
    contains(&bed.virsh("qemu-monitor-command --hmp spoken 'info status'")?, "VM status: running")?;
    let refused = bed.virsh("qemu-monitor-command spoken '{\"execute\":\"no-such-thing\"}'")?;
    contains(&refused, "CommandNotFound")?;
    let mut console = bed.terminal("console spoken")?;
    console.expect("guest# ", DEADLINE)?;
    wait_for("the agent", DEADLINE, || {
        Ok(bed.try_virsh("qemu-agent-command spoken '{\"execute\":\"guest-ping\"}'")?.ok())
    })?;
    contains(
        &bed.virsh("qemu-agent-command spoken '{\"execute\":\"guest-info\"}'")?,
        "\"version\"",
    )?;
    contains(&bed.virsh("dumpxml spoken")?, "state='connected'")?;
    bed.virsh("shutdown spoken --mode agent")?;
    wait_for("the guest's end", DEADLINE, || Ok(bed.virsh("domstate spoken")? == "shut off"))
}

fn nvram() -> Outcome {
    let bed = Testbed::new()?;
    let xml = Guest::firmware("efi").memory(128).xml().replace("<os>", "<os firmware='efi'>");
    let file = bed.write("efi.xml", &xml)?;
    bed.virsh(&format!("define {file}"))?;
    contains(&bed.virsh("dumpxml efi")?, "<nvram")?;
    bed.virsh("start efi")?;
    let store = bed.path("var/lib/libvirt/qemu/nvram/efi_VARS.fd");
    equal("variable store", store.exists(), true)?;
    bed.virsh("destroy efi")?;
    contains(&bed.virsh_fails("undefine efi")?, "cannot undefine domain with nvram")?;
    bed.virsh("undefine efi --keep-nvram")?;
    equal("variable store", store.exists(), true)?;
    bed.virsh(&format!("define {file}"))?;
    bed.virsh("undefine efi --nvram")?;
    equal("variable store", store.exists(), false)
}
