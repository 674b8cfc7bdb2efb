// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The first words of a command line: name, machine, accelerator, processors, identity, clock, power, boot.

use virtus_api::{Error, ErrorCode, Result};
use virtus_xml::Domain;
use virtus_xml::domain::clock::{ClockOffset, TickPolicy, TimerName, Track};
use virtus_xml::domain::cpu::CpuMode;
use virtus_xml::domain::features::IoapicDriver;
use virtus_xml::domain::misc::IommuModel;
use virtus_xml::domain::os::LoaderType;
use virtus_xml::domain::sound::SoundModel;
use virtus_xml::value::{OnOff, YesNo};

use super::argv::{Opts, Props, on_off};
use super::chardev::{Backend, Socket};
use super::line::Line;
use super::storage::unsupported;
use super::{clock_time, memory, numa};
use crate::caps::{Accel, Capabilities, Flag};
use crate::machine::{arch, is_arm_virt, is_pseries, is_q35, is_s390, is_x86, machine, max_vcpus};

/// `-name`.
pub(crate) fn name(line: &mut Line<'_>) {
    let name = Opts::default().with("guest", &line.domain.name).with("debug-threads", "on");
    line.argv.pair("-name", name);
}

/// `-S`, the key that opens the secrets, and the helper that SCSI reservations share.
pub(crate) fn secrets(line: &mut Line<'_>) {
    line.argv.flag("-S");
    let dir = line.cx.domain_dir(&line.domain.name);
    line.object(
        Props::object("secret", "masterKey0")
            .with("format", "raw")
            .with("file", format!("{dir}/master-key.aes")),
    );
    let managed = |disk: &virtus_xml::domain::disk::Disk| {
        let source = disk.source.as_ref();
        source
            .and_then(|source| source.reservations.as_ref())
            .is_some_and(|reservations| reservations.managed == Some(YesNo::Yes))
    };
    if line.domain.devices.disks.iter().any(managed) {
        let path = format!("{dir}/pr-helper0.sock");
        line.object(Props::object("pr-manager-helper", "pr-helper0").with("path", path));
    }
}

/// `-machine`.
pub(crate) fn machine_options(line: &mut Line<'_>) -> Result<()> {
    let domain = line.domain;
    let features = &domain.features;
    let mut opts = Opts::new(machine(domain)).with("usb", "off");
    if domain.keywrap.is_some() && !is_s390(domain) {
        return Err(unsupported(format!("<keywrap> on architecture '{}'", arch(domain))));
    }
    for cipher in domain.keywrap.iter().flat_map(|keywrap| &keywrap.ciphers) {
        opts.set(&format!("{}-key-wrap", cipher.name), cipher.state);
    }
    let mut switch = |name: &str, state: Option<OnOff>| {
        if let Some(state) = state {
            opts.set(name, state);
        }
    };
    switch("vmport", features.vmport.as_ref().map(|f| f.state.unwrap_or(OnOff::On)));
    switch("smm", features.smm.as_ref().map(|f| f.state.unwrap_or(OnOff::On)));
    if let Some(gic) = features.gic.as_ref().and_then(|gic| gic.version.as_deref())
        && is_arm_virt(domain)
    {
        opts.set("gic-version", gic);
    }
    match features.ioapic.as_ref().and_then(|ioapic| ioapic.driver) {
        Some(IoapicDriver::Qemu) => opts.set("kernel_irqchip", "split"),
        Some(IoapicDriver::Kvm) if is_x86(domain) => opts.set("kernel_irqchip", "on"),
        _ => {}
    }
    ppc_features(line, &mut opts);
    if let Some(ras) = &features.ras {
        opts.set("ras", ras.state.unwrap_or(OnOff::On));
    }
    if let Some(aia) = &features.aia {
        opts.set("aia", &aia.value);
    }
    if let Some(ps2) = &features.ps2 {
        opts.set("i8042", ps2.state.unwrap_or(OnOff::On));
    }
    if domain.devices.iommu.as_ref().is_some_and(|iommu| iommu.model == IommuModel::Smmuv3) {
        opts.set("iommu", "smmuv3");
    }
    let dump = domain.memory.dump_core.map_or(line.cx.config.dump_guest_core, OnOff::is_on);
    opts.set("dump-guest-core", on_off(dump));
    if domain.memory_backing.nosharepages {
        opts.set("mem-merge", "off");
    }
    super::memory_device::machine_options(line, &mut opts)?;
    if let Some(id) = memory::default_backend(line) {
        opts.set("memory-backend", id);
    }
    if let Some(older) = runs_as(domain) {
        opts.set("max-cpu-compat", older);
    }
    if domain.launch_security.is_some() {
        opts.set("confidential-guest-support", "lsec0");
    }
    super::firmware::machine_options(line, &mut opts);
    if numa::has_hmat(domain) {
        opts.set("hmat", "on");
    }
    // The firmware of a PC then speaks to the serial port.
    if domain.os.bios.as_ref().and_then(|bios| bios.useserial) == Some(YesNo::Yes) {
        opts.set("graphics", "off");
    }
    for timer in timers(line) {
        if timer.name == TimerName::Hpet
            && line.has(Flag::MachineHpet)
            && let Some(present) = timer.present
        {
            opts.set("hpet", on_off(present.is_yes()));
        }
    }
    if let Some(sound) = domain.devices.sounds.iter().find(|s| s.model == SoundModel::Pcspk) {
        opts.set(
            "pcspk-audiodev",
            format!("audio{}", super::sound::audio_id(line.domain, sound.audio.as_ref())),
        );
    }
    if machine_acpi(line) == Some(true) {
        opts.set("acpi", on_off(domain.features.acpi));
    }
    line.argv.pair("-machine", opts);
    Ok(())
}

/// POWER: the older model that a guest with the host's CPU runs as.
fn runs_as(domain: &Domain) -> Option<&str> {
    let cpu = domain.cpu.as_ref().filter(|_| is_pseries(domain))?;
    let model = cpu.model.as_ref().filter(|_| cpu.mode == Some(CpuMode::HostModel))?;
    model.name.as_deref()
}

fn ppc_features(line: &Line<'_>, opts: &mut Opts) {
    let features = &line.domain.features;
    if let Some(hpt) = &features.hpt {
        if let Some(resizing) = hpt.resizing {
            opts.set("resize-hpt", resizing);
        }
        if let Some(size) = &hpt.maxpagesize {
            opts.set("cap-hpt-max-page-size", format!("{}k", size.0));
        }
    }
    for (name, state) in [
        ("cap-htm", &features.htm),
        ("cap-nested-hv", &features.nested_hv),
        ("cap-ccf-assist", &features.ccf_assist),
    ] {
        if let Some(state) = state {
            opts.set(name, state.state.unwrap_or(OnOff::On));
        }
    }
    for (name, word) in
        [("cap-cfpc", &features.cfpc), ("cap-sbbc", &features.sbbc), ("cap-ibs", &features.ibs)]
    {
        if let Some(word) = word {
            opts.set(name, &word.value);
        }
    }
}

/// Whether the machine has ACPI as an option; older QEMUs do not tell.
fn machine_acpi(line: &Line<'_>) -> Option<bool> {
    let accel = Accel::of_domain_type(line.domain.kind.as_str())?;
    line.caps.machine(accel, machine(line.domain))?.acpi
}

/// `-accel`.
pub(crate) fn accel(line: &mut Line<'_>) -> Result<()> {
    let kind = line.domain.kind.as_str();
    if Accel::of_domain_type(kind).is_some_and(|accel| line.caps.accelerator(accel).is_none()) {
        return Err(no_accelerator(line.caps, kind));
    }
    let mut opts = match line.domain.kind.as_str() {
        "kvm" => Opts::new("kvm"),
        "qemu" => Opts::new("tcg"),
        "hvf" => Opts::new("hvf"),
        other => return Err(unsupported(format!("domain type '{other}'"))),
    };
    let features = &line.domain.features;
    if line.kvm() {
        let ring = features.kvm.as_ref().and_then(|kvm| kvm.dirty_ring.as_ref());
        if let Some(ring) = ring.filter(|ring| ring.state.is_none_or(OnOff::is_on)) {
            opts.set("dirty-ring-size", ring.size.unwrap_or(4096));
        }
    } else if let Some(cache) = features.tcg.as_ref().and_then(|tcg| tcg.tb_cache.as_ref()) {
        opts.set("tb-size", cache.0 >> 10);
    }
    line.argv.pair("-accel", opts);
    Ok(())
}

/// The refusal of a `<domain type='…'>` that does not run here.
pub(crate) fn no_accelerator(caps: &Capabilities, kind: &str) -> Error {
    let binary = caps.binary.display();
    let text = format!("Emulator '{binary}' does not support virt type '{kind}'");
    let error = Error::new(ErrorCode::ConfigUnsupported, text);
    match &caps.kvm_trouble {
        Some(why) if kind == "kvm" => error.hint(format!("{why}; <domain type='qemu'> runs")),
        _ => error.hint("'virsh capabilities' lists the domain types of each emulator"),
    }
}

/// `-smp`.
pub(crate) fn smp(line: &mut Line<'_>) {
    let domain = line.domain;
    let max = max_vcpus(domain);
    let now = match &domain.vcpus {
        // Hot-pluggable processors are added after the start.
        Some(vcpus) => u32::try_from(
            vcpus
                .vcpus
                .iter()
                .filter(|vcpu| {
                    vcpu.enabled.is_none_or(YesNo::is_yes)
                        && !vcpu.hotpluggable.is_some_and(YesNo::is_yes)
                })
                .count(),
        )
        .unwrap_or(max),
        None => domain.vcpu.as_ref().and_then(|vcpu| vcpu.current).unwrap_or(max),
    };
    let mut opts = Opts::new(&now.to_string());
    if now != max {
        opts.set("maxcpus", max);
    }
    match domain.cpu.as_ref().and_then(|cpu| cpu.topology.as_ref()) {
        Some(topology) => {
            opts.set("sockets", topology.sockets);
            if line.has(Flag::SmpDies) {
                opts.set("dies", topology.dies.unwrap_or(1));
            }
            if line.has(Flag::SmpClusters) {
                opts.set("clusters", topology.clusters.unwrap_or(1));
            }
            opts.set("cores", topology.cores);
            opts.set("threads", topology.threads);
        }
        None => {
            opts.set("sockets", max);
            opts.set("cores", 1);
            opts.set("threads", 1);
        }
    }
    line.argv.pair("-smp", opts);
}

fn timers<'a>(line: &Line<'a>) -> &'a [virtus_xml::domain::clock::Timer] {
    line.domain.clock.as_ref().map_or(&[], |clock| clock.body.timers.as_slice())
}

/// `-rtc` and the options of timers.
pub(crate) fn clock(line: &mut Line<'_>) -> Result<()> {
    let mut opts = Opts::default();
    let clock = line.domain.clock.as_ref();
    let offset = clock.map_or(ClockOffset::Utc, |clock| clock.offset);
    match offset {
        ClockOffset::Utc => opts.set("base", "utc"),
        ClockOffset::Localtime | ClockOffset::Timezone => opts.set("base", "localtime"),
        ClockOffset::Variable | ClockOffset::Absolute => {
            opts.set("base", clock_time::base(clock, line.cx));
        }
    }
    let rtc = timers(line).iter().find(|timer| timer.name == TimerName::Rtc);
    if let Some(track) = rtc.and_then(|timer| timer.track) {
        match track {
            Track::Guest => opts.set("clock", "vm"),
            Track::Wall => opts.set("clock", "host"),
            Track::Realtime => opts.set("clock", "rt"),
            Track::Boot => return Err(unsupported("track='boot' of timer 'rtc'")),
        }
    }
    match rtc.and_then(|timer| timer.tickpolicy) {
        Some(TickPolicy::Catchup) => opts.set("driftfix", "slew"),
        None | Some(TickPolicy::Delay) => {}
        Some(other) => return Err(unsupported(format!("tickpolicy='{other}' of timer 'rtc'"))),
    }
    line.argv.pair("-rtc", opts);
    for timer in timers(line) {
        match timer.name {
            TimerName::Pit => {
                let word = match timer.tickpolicy {
                    None | Some(TickPolicy::Delay) => "delay",
                    Some(TickPolicy::Discard) => "discard",
                    Some(TickPolicy::Catchup) => continue,
                    Some(TickPolicy::Merge) => {
                        return Err(unsupported("tickpolicy='merge' of timer 'pit'"));
                    }
                };
                if line.has(Flag::KvmPitLostTickPolicy) {
                    line.argv.pair("-global", format!("kvm-pit.lost_tick_policy={word}"));
                }
            }
            TimerName::Hpet
                if timer.present == Some(YesNo::No)
                    && !line.has(Flag::MachineHpet)
                    && is_x86(line.domain) =>
            {
                line.argv.flag("-no-hpet");
            }
            _ => {}
        }
    }
    Ok(())
}

/// What happens on a shutdown, and which sleep states there are.
pub(crate) fn power(line: &mut Line<'_>) {
    line.argv.flag("-no-shutdown");
    let had_acpi = is_x86(line.domain) || arch(line.domain) == "aarch64";
    if had_acpi && machine_acpi(line).is_none() && !line.domain.features.acpi {
        line.argv.flag("-no-acpi");
    }
    let Some(pm) = &line.domain.pm else { return };
    let chip = if is_q35(line.domain) { "ICH9-LPC" } else { "PIIX4_PM" };
    for (name, state) in [("disable_s3", &pm.suspend_to_mem), ("disable_s4", &pm.suspend_to_disk)] {
        if let Some(enabled) = state.as_ref().and_then(|state| state.enabled) {
            line.argv.pair("-global", format!("{chip}.{name}={}", u8::from(!enabled.is_yes())));
        }
    }
}

/// `-boot` and the kernel.
pub(crate) fn boot(line: &mut Line<'_>) {
    let os = &line.domain.os;
    let mut opts = Opts::default();
    if let Some(menu) = &os.bootmenu
        && let Some(enable) = menu.enable
    {
        opts.set("menu", on_off(enable.is_yes()));
    }
    let bios = os.bios.as_ref();
    let menu = os.bootmenu.as_ref().filter(|menu| menu.enable == Some(YesNo::Yes));
    opts = opts
        .maybe("reboot-timeout", bios.and_then(|bios| bios.reboot_timeout))
        .maybe("splash-time", menu.and_then(|menu| menu.timeout));
    opts.set("strict", "on");
    line.argv.pair("-boot", opts);
    for (flag, value) in [
        ("-kernel", &os.kernel),
        ("-initrd", &os.initrd),
        ("-append", &os.cmdline),
        ("-dtb", &os.dtb),
        ("-shim", &os.shim),
    ] {
        if let Some(value) = value {
            line.argv.pair(flag, value.clone());
        }
    }
}

/// `-bios` for firmware that is a ROM.
pub(crate) fn rom_firmware(line: &mut Line<'_>) {
    if let Some(loader) = &line.domain.os.loader
        && loader.kind != Some(LoaderType::Pflash)
        && let Some(path) = &loader.path
    {
        line.argv.pair("-bios", path.clone());
    }
}

/// The monitor's back end.
pub(crate) fn monitor(line: &mut Line<'_>) -> Result<()> {
    let socket = match line.cx.opened(&super::context::FdKey::Monitor) {
        Some(fd) => Socket::open(fd),
        None => Socket::call(format!("{}/monitor.sock", line.cx.domain_dir(&line.domain.name))),
    };
    Backend::socket("charmonitor", socket.listening()).write(line);
    line.argv.pair("-mon", "chardev=charmonitor,id=monitor,mode=control");
    Ok(())
}
