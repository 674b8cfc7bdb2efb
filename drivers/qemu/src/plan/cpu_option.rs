// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `-cpu`: the model, its features, and the paravirtual features that QEMU counts among them.

use virtus_api::{Error, ErrorCode, Result};
use virtus_xml::domain::clock::TimerName;
use virtus_xml::domain::cpu::{CpuCacheMode, CpuFeature, CpuMode, FeaturePolicy, PhysAddrMode};
use virtus_xml::domain::features::State;
use virtus_xml::domain::hyperv::{Hyperv, HypervMode};
use virtus_xml::value::{OnOff, YesNo};

use super::argv::{Opts, on_off};
use super::line::Line;
use super::storage::unsupported;
use crate::caps::{Accel, Flag};
use crate::cpu::to_qemu;
use crate::machine::{arch, is_arm, is_ppc64, is_x86, machine};

/// Writes `-cpu`, if the machine has a CPU that can be chosen.
pub(crate) fn write(line: &mut Line<'_>) -> Result<()> {
    let mut opts = Opts::default();
    model(line, &mut opts)?;
    timers(line, &mut opts);
    let features = &line.domain.features;
    if let Some(eoi) = features.apic.as_ref().and_then(|apic| apic.eoi) {
        opts.set("kvm-pv-eoi", eoi);
    }
    if let Some(spinlock) = &features.pvspinlock {
        opts.set("kvm-pv-unhalt", spinlock.state.unwrap_or(OnOff::On));
    }
    if let Some(hyperv) = &features.hyperv {
        enlightenments(hyperv, &mut opts);
    }
    if line.domain.devices.panics.iter().any(|p| p.model.is_some_and(|m| m.as_str() == "hyperv")) {
        opts.push("hv-crash");
    }
    if let Some(kvm) = &features.kvm {
        let on = |state: &Option<State>| {
            state.as_ref().is_some_and(|state| state.state.is_none_or(OnOff::is_on))
        };
        if on(&kvm.hidden) {
            opts.set("kvm", "off");
        }
        if on(&kvm.hint_dedicated) {
            opts.set("kvm-hint-dedicated", "on");
        }
        if on(&kvm.poll_control) {
            opts.set("kvm-poll-control", "on");
        }
        if let Some(state) = kvm.pv_ipi.as_ref().and_then(|state| state.state)
            && state == OnOff::Off
        {
            opts.set("kvm-pv-ipi", "off");
        }
    }
    if let Some(pmu) = &features.pmu {
        opts.set("pmu", pmu.state.unwrap_or(OnOff::On));
    }
    cache(line, &mut opts)?;
    address_bits(line, &mut opts);
    if opts.is_empty() {
        return Ok(());
    }
    line.argv.pair("-cpu", opts);
    Ok(())
}

fn model(line: &Line<'_>, opts: &mut Opts) -> Result<()> {
    let Some(cpu) = &line.domain.cpu else {
        default_model(line, opts);
        return Ok(());
    };
    let mode = cpu.mode.unwrap_or(CpuMode::Custom);
    let name = cpu.model.as_ref().and_then(|model| model.name.as_deref());
    match (mode, name) {
        (CpuMode::HostPassthrough, _) => {
            if !line.kvm() && line.domain.kind.as_str() != "hvf" {
                return Err(Error::new(
                    ErrorCode::ConfigUnsupported,
                    "CPU mode 'host-passthrough' needs KVM, but the domain's type is 'qemu'",
                )
                .hint("set <domain type='kvm'> or <cpu mode='maximum'/>"));
            }
            opts.push("host");
            if arch(line.domain) == "armv7l" && line.cx.host_arch == "aarch64" {
                opts.set("aarch64", "off");
            }
            if let Some(migratable) = cpu.migratable.filter(|_| line.has(Flag::CpuMigratable)) {
                opts.set("migratable", migratable);
            }
        }
        (CpuMode::Maximum, _) => {
            opts.push("max");
            if let Some(migratable) = cpu.migratable.filter(|_| line.has(Flag::CpuMigratable)) {
                opts.set("migratable", migratable);
            }
        }
        // The others were made concrete when the start began; POWER stays what it is, or runs as an older model.
        (CpuMode::HostModel, _) if is_ppc64(line.domain) => opts.push("host"),
        (CpuMode::HostModel, _) => {
            let arch = arch(line.domain);
            return Err(Error::new(
                ErrorCode::ConfigUnsupported,
                format!("CPU mode 'host-model' is not supported for {arch} guests on this host"),
            ));
        }
        (CpuMode::Custom, Some(name)) => opts.push(name),
        (CpuMode::Custom, None) => {
            default_model(line, opts);
        }
    }
    if let Some(vendor) = cpu.model.as_ref().and_then(|model| model.vendor_id.as_deref()) {
        opts.set("vendor", vendor);
    }
    for feature in &cpu.features {
        set_feature(opts, arch(line.domain), feature);
    }
    Ok(())
}

fn set_feature(opts: &mut Opts, arch: &str, feature: &CpuFeature) {
    let name = to_qemu(arch, &feature.name);
    match feature.policy.unwrap_or(FeaturePolicy::Require) {
        FeaturePolicy::Force | FeaturePolicy::Require => opts.set(name, "on"),
        FeaturePolicy::Disable | FeaturePolicy::Forbid => opts.set(name, "off"),
        FeaturePolicy::Optional => {}
    }
}

/// The model that the machine has when none is named.
fn default_model(line: &Line<'_>, opts: &mut Opts) {
    let known = Accel::of_domain_type(line.domain.kind.as_str())
        .and_then(|accel| line.caps.machine(accel, machine(line.domain)))
        .and_then(|machine| machine.default_cpu.clone());
    let model = match known {
        Some(typename) => typename
            .strip_suffix("-x86_64-cpu")
            .or_else(|| typename.strip_suffix("-i386-cpu"))
            .unwrap_or(&typename)
            .to_owned(),
        None if is_x86(line.domain) => "qemu64".to_owned(),
        None => return,
    };
    // Only x86 has features that need a model to stand on.
    if is_x86(line.domain) {
        opts.push(&model);
    }
}

fn timers(line: &Line<'_>, opts: &mut Opts) {
    let timers = line.domain.clock.as_ref().map_or(&[][..], |clock| &clock.body.timers);
    for timer in timers {
        match timer.name {
            TimerName::Kvmclock if timer.present == Some(YesNo::No) => opts.set("kvmclock", "off"),
            TimerName::Kvmclock if timer.present == Some(YesNo::Yes) => opts.set("kvmclock", "on"),
            TimerName::Hypervclock if timer.present == Some(YesNo::Yes) => {
                opts.set("hv-time", "on")
            }
            TimerName::Tsc => {
                if let Some(frequency) = timer.frequency.filter(|frequency| *frequency > 0) {
                    opts.set("tsc-frequency", frequency);
                }
            }
            TimerName::Armvtimer if is_arm(line.domain) => {
                if let Some(policy) = timer.tickpolicy {
                    let catches_up = policy.as_str() == "delay";
                    opts.set("kvm-no-adjvtime", on_off(!catches_up));
                }
            }
            _ => {}
        }
    }
}

fn enlightenments(hyperv: &Hyperv, opts: &mut Opts) {
    if hyperv.mode == Some(HypervMode::Passthrough) {
        opts.set("hv-passthrough", "on");
    }
    let on = |state: Option<OnOff>| state.is_none_or(OnOff::is_on);
    let mut simple = |name: &str, state: &Option<State>| {
        if state.as_ref().is_some_and(|state| on(state.state)) {
            opts.set(&format!("hv-{name}"), "on");
        }
    };
    simple("relaxed", &hyperv.relaxed);
    simple("vapic", &hyperv.vapic);
    if let Some(spinlocks) = hyperv.spinlocks.as_ref().filter(|s| on(s.state)) {
        let retries = spinlocks.retries.unwrap_or(0xfff);
        opts.set("hv-spinlocks", format!("0x{retries:x}"));
    }
    let mut simple = |name: &str, state: &Option<State>| {
        if state.as_ref().is_some_and(|state| on(state.state)) {
            opts.set(&format!("hv-{name}"), "on");
        }
    };
    simple("vpindex", &hyperv.vpindex);
    simple("runtime", &hyperv.runtime);
    simple("synic", &hyperv.synic);
    if let Some(stimer) = hyperv.stimer.as_ref().filter(|stimer| on(stimer.state)) {
        opts.set("hv-stimer", "on");
        if stimer.direct.as_ref().is_some_and(|direct| on(direct.state)) {
            opts.set("hv-stimer-direct", "on");
        }
    }
    if hyperv.reset.as_ref().is_some_and(|state| on(state.state)) {
        opts.set("hv-reset", "on");
    }
    if let Some(vendor) = hyperv.vendor_id.as_ref().filter(|vendor| on(vendor.state)) {
        opts.set("hv-vendor-id", vendor.value.as_deref().unwrap_or_default());
    }
    let mut simple = |name: &str, state: &Option<State>| {
        if state.as_ref().is_some_and(|state| on(state.state)) {
            opts.set(&format!("hv-{name}"), "on");
        }
    };
    simple("frequencies", &hyperv.frequencies);
    simple("reenlightenment", &hyperv.reenlightenment);
    if let Some(flush) = hyperv.tlbflush.as_ref().filter(|flush| on(flush.state)) {
        opts.set("hv-tlbflush", "on");
        for (name, state) in
            [("hv-tlbflush-direct", &flush.direct), ("hv-tlbflush-ext", &flush.extended)]
        {
            if state.as_ref().is_some_and(|state| on(state.state)) {
                opts.set(name, "on");
            }
        }
    }
    let mut simple = |name: &str, state: &Option<State>| {
        if state.as_ref().is_some_and(|state| on(state.state)) {
            opts.set(&format!("hv-{name}"), "on");
        }
    };
    simple("ipi", &hyperv.ipi);
    simple("evmcs", &hyperv.evmcs);
    simple("avic", &hyperv.avic);
    simple("emsr-bitmap", &hyperv.emsr_bitmap);
    simple("xmm-input", &hyperv.xmm_input);
}

fn cache(line: &Line<'_>, opts: &mut Opts) -> Result<()> {
    let Some(cache) = line.domain.cpu.as_ref().and_then(|cpu| cpu.cache.as_ref()) else {
        return Ok(());
    };
    let host = matches!(
        line.domain.cpu.as_ref().and_then(|cpu| cpu.mode),
        Some(CpuMode::HostPassthrough | CpuMode::Maximum)
    );
    match cache.mode {
        CpuCacheMode::Emulate => {
            if cache.level != Some(3) {
                return Err(unsupported("emulation of a CPU cache other than level 3"));
            }
            opts.set("l3-cache", "on");
            if host {
                opts.set("host-cache-info", "off");
            }
        }
        CpuCacheMode::Passthrough => {
            opts.set("host-cache-info", "on");
            opts.set("l3-cache", "off");
        }
        CpuCacheMode::Disable => {
            if host {
                opts.set("host-cache-info", "off");
            }
            opts.set("l3-cache", "off");
        }
    }
    Ok(())
}

fn address_bits(line: &Line<'_>, opts: &mut Opts) {
    let Some(bits) = line.domain.cpu.as_ref().and_then(|cpu| cpu.maxphysaddr.as_ref()) else {
        return;
    };
    match bits.mode {
        PhysAddrMode::Emulate => match bits.bits {
            Some(bits) => opts.set("phys-bits", bits),
            None => opts.set("host-phys-bits", "off"),
        },
        PhysAddrMode::Passthrough => {
            opts.set("host-phys-bits", "on");
            if let Some(limit) = bits.limit {
                opts.set("host-phys-bits-limit", limit);
            }
        }
    }
}
