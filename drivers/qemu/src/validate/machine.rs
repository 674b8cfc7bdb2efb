// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The machine as a whole: accelerator, firmware, boot, processors, ends of life.

use virtus_api::Result;
use virtus_xml::domain::LifecycleAction;
use virtus_xml::domain::os::{AcpiTableType, Firmware, LoaderType};
use virtus_xml::domain::storage::StorageType;
use virtus_xml::value::{OnOff, YesNo};

use super::{Rules, need, unsupported, xml_error};
use crate::caps::{Accel, Flag};
use crate::machine::{arch, is_pseries, is_q35, is_x86, machine, max_vcpus};
use crate::plan::no_accelerator;

/// The local interrupt controllers of a PC number this many processors without an IOMMU's help.
const MAX_VCPUS_WITHOUT_EIM: u32 = 255;

pub(super) fn validate(rules: Rules<'_>) -> Result<()> {
    runs(rules)?;
    acpi(rules)?;
    boot(rules)?;
    life(rules)?;
    vcpus(rules)?;
    tuning(rules)
}

fn runs(rules: Rules<'_>) -> Result<()> {
    let domain = rules.domain;
    need(domain.is_hvm(), || {
        format!("QEMU runs <os><type>hvm</type>, not '{}'", domain.os.kind.name)
    })?;
    let accel = Accel::of_domain_type(domain.kind.as_str());
    if accel.and_then(|accel| rules.caps.accelerator(accel)).is_none() {
        return Err(no_accelerator(rules.caps, domain.kind.as_str()));
    }
    Ok(())
}

fn acpi(rules: Rules<'_>) -> Result<()> {
    let (domain, caps) = (rules.domain, rules.caps);
    let acpi = domain.features.acpi;
    let known = Accel::of_domain_type(domain.kind.as_str())
        .and_then(|accel| caps.machine(accel, machine(domain)));
    need(!acpi || known.and_then(|known| known.acpi) != Some(false), || {
        format!("<features><acpi/>: machine type '{}' does not support ACPI", machine(domain))
    })?;
    let loader = domain.os.loader.as_ref();
    let uefi = domain.os.firmware == Some(Firmware::Efi)
        || loader.is_some_and(|loader| loader.kind == Some(LoaderType::Pflash));
    need(acpi || !uefi || !is_x86(domain), || {
        format!("UEFI needs <features><acpi/> on architecture '{}'", arch(domain))
    })?;
    need(!acpi || uefi || arch(domain) != "aarch64", || {
        "<features><acpi/> needs UEFI on architecture 'aarch64': set <os firmware='efi'>".to_owned()
    })
}

fn boot(rules: Rules<'_>) -> Result<()> {
    let domain = rules.domain;
    let os = &domain.os;
    need(domain.bootloader.is_none() && domain.bootloader_args.is_none(), || {
        "<bootloader> is not for QEMU: it starts its own firmware".to_owned()
    })?;
    let secure = os.loader.as_ref().is_some_and(|loader| loader.secure == Some(YesNo::Yes));
    if secure {
        need(is_q35(domain), || {
            format!("<loader secure='yes'> needs a q35 machine, not {}", rules.board())
        })?;
        need(arch(domain) == "x86_64", || {
            format!("<loader secure='yes'> needs architecture 'x86_64', not '{}'", arch(domain))
        })?;
        let smm = domain.features.smm.as_ref();
        let smm = smm.is_some_and(|smm| smm.state.is_none_or(OnOff::is_on));
        need(smm || os.firmware.is_some(), || {
            "<loader secure='yes'> needs <features><smm state='on'/>".to_owned()
        })?;
    }
    if let Some(kind) = os.nvram.as_ref().and_then(|nvram| nvram.kind) {
        let known = matches!(kind, StorageType::File | StorageType::Block | StorageType::Network);
        need(known, || format!("<nvram type='{kind}'>: allowed are file, block and network"))?;
    }
    let rawset = os.acpi.iter().flat_map(|acpi| &acpi.tables);
    need(!rawset.into_iter().any(|table| table.kind == AcpiTableType::Rawset), || {
        "<acpi><table type='rawset'>: QEMU takes raw, slic and msdm".to_owned()
    })?;
    if os.shim.is_some() {
        rules.needs(Flag::Shim, "<shim>")?;
    }
    if domain.genid.is_some() {
        rules.needs(Flag::Vmgenid, "<genid>")?;
    }
    let serial = os.bios.as_ref().is_some_and(|bios| bios.useserial == Some(YesNo::Yes));
    if serial {
        need(is_x86(domain), || {
            format!("<bios useserial='yes'> is for PCs, not for architecture '{}'", arch(domain))
        })?;
        if domain.devices.serials.is_empty() {
            return Err(xml_error("<bios useserial='yes'> needs at least one <serial>"));
        }
    }
    Ok(())
}

fn life(rules: Rules<'_>) -> Result<()> {
    use LifecycleAction::{Destroy, Preserve, RenameRestart, Restart};
    let domain = rules.domain;
    let (poweroff, reboot) = (domain.on_poweroff, domain.on_reboot);
    for (event, action) in
        [("on_poweroff", poweroff), ("on_reboot", reboot), ("on_crash", domain.on_crash)]
    {
        let refused =
            action == Some(RenameRestart) || (action == Some(Preserve) && event != "on_crash");
        if let Some(action) = action.filter(|_| refused) {
            return Err(unsupported(format!("<{event}>: QEMU guests have no action '{action}'")));
        }
    }
    need(poweroff != Some(Restart) || reboot != Some(Destroy), || {
        "<on_poweroff> 'restart' and <on_reboot> 'destroy' exclude each other".to_owned()
    })?;
    let pm = domain.pm.as_ref();
    let sleeps = pm.is_some_and(|pm| pm.suspend_to_mem.is_some() || pm.suspend_to_disk.is_some());
    need(!sleeps || is_x86(domain), || {
        format!("<pm>: ACPI's sleep states cannot be set on architecture '{}'", arch(domain))
    })
}

fn vcpus(rules: Rules<'_>) -> Result<()> {
    let mut listed = rules.domain.vcpus.iter().flat_map(|list| &list.vcpus);
    need(!listed.any(|vcpu| vcpu.id == 0 && vcpu.enabled == Some(YesNo::No)), || {
        "<vcpus>: vcpu 0 can't be offline".to_owned()
    })?;
    let domain = rules.domain;
    let max = max_vcpus(domain);
    let known = Accel::of_domain_type(domain.kind.as_str())
        .and_then(|accel| rules.caps.machine(accel, machine(domain)));
    if let Some(most) = known.map(|known| known.max_cpus).filter(|most| *most > 0) {
        need(max <= most, || {
            format!("<vcpu>: {} has at most {most} CPUs, not {max}", rules.board())
        })?;
    }
    if let Some(topology) = domain.cpu.as_ref().and_then(|cpu| cpu.topology.as_ref()) {
        let count = [
            topology.sockets,
            topology.dies.unwrap_or(1),
            topology.clusters.unwrap_or(1),
            topology.cores,
            topology.threads,
        ]
        .into_iter()
        .fold(1u64, |product, factor| product.saturating_mul(factor.into()));
        need(count == u64::from(max), || {
            format!("<cpu><topology> has {count} CPUs, but <vcpu> says {max}")
        })?;
        let current = domain.vcpu.as_ref().and_then(|vcpu| vcpu.current).unwrap_or(max);
        let step = if is_pseries(domain) { topology.threads.max(1) } else { 1 };
        need(current.is_multiple_of(step), || {
            format!("<vcpu current='{current}'>: CPUs of this machine come {step} at a time")
        })?;
    }
    if is_x86(domain) && max > MAX_VCPUS_WITHOUT_EIM {
        need(is_q35(domain), || {
            format!("<vcpu>: more than {MAX_VCPUS_WITHOUT_EIM} CPUs need a q35 machine")
        })?;
        let driver = domain.devices.iommu.as_ref().and_then(|iommu| iommu.driver.as_ref());
        need(driver.is_some_and(|driver| driver.eim == Some(OnOff::On)), || {
            format!("<vcpu>: more than {MAX_VCPUS_WITHOUT_EIM} CPUs need <iommu> with eim='on'")
        })?;
    }
    Ok(())
}

fn tuning(rules: Rules<'_>) -> Result<()> {
    let domain = rules.domain;
    let guarantee = domain.memtune.as_ref().is_some_and(|tune| tune.min_guarantee.is_some());
    need(!guarantee, || "<memtune><min_guarantee> is not for QEMU".to_owned())?;
    let shares = !domain.cputune.cachetunes.is_empty() || !domain.cputune.memorytunes.is_empty();
    need(!shares || domain.kind.as_str() == "kvm", || {
        "<cachetune> and <memorytune> need <domain type='kvm'>".to_owned()
    })?;
    let threads = domain.iothreadids.iter().flat_map(|ids| &ids.iothreads);
    let pool = threads
        .map(|thread| (thread.thread_pool_min, thread.thread_pool_max))
        .chain(domain.defaultiothread.iter().map(|t| (t.thread_pool_min, t.thread_pool_max)))
        .any(|(min, max)| min.is_some() || max.is_some());
    if pool {
        rules.needs(Flag::IothreadThreadPoolMax, "'thread_pool_min' and 'thread_pool_max'")?;
    }
    for name in domain.sysinfos.iter().flat_map(|s| &s.entries).filter_map(|e| e.name.as_deref()) {
        let reserved = name.starts_with("opt/ovmf/") || name.starts_with("opt/org.qemu/");
        need(name.starts_with("opt/") && !reserved, || {
            format!(
                "<entry name='{name}'>: firmware entries begin with 'opt/', but not with 'opt/ovmf/' or 'opt/org.qemu/'"
            )
        })?;
    }
    Ok(())
}
