// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Firmware, huge pages, CPU, identity.

use std::collections::HashSet;

use virtus_api::Result;

use super::{detail, must};
use crate::domain::cpu::{CpuCacheMode, CpuMode};
use crate::domain::os::{Firmware, FirmwareFeatureName};
use crate::domain::seclabel::SeclabelType;
use crate::domain::sysinfo::SysinfoType;
use crate::domain::{Domain, LifecycleAction};
use crate::settle::{unsupported, xml_error};
use crate::value::{OnOff, Value, YesNo};

pub(super) fn validate(domain: &Domain) -> Result<()> {
    firmware(domain)?;
    huge_pages(domain)?;
    cpu(domain)?;
    gic(domain)?;
    hyperv(domain)?;
    life(domain)?;
    seclabels(domain)?;
    sysinfo(domain)
}

/// The fewest tries that Hyper-V knows before a guest gives its turn away.
const MIN_SPINLOCK_RETRIES: u32 = 4095;
/// A vendor's name as CPUID has it.
const MAX_VENDOR_ID: usize = 12;

fn hyperv(domain: &Domain) -> Result<()> {
    let Some(hyperv) = &domain.features.hyperv else { return Ok(()) };
    let retries = hyperv.spinlocks.as_ref().and_then(|spinlocks| spinlocks.retries);
    must(retries.is_none_or(|retries| retries >= MIN_SPINLOCK_RETRIES), || {
        xml_error(format!("HyperV spinlock retry count must be at least {MIN_SPINLOCK_RETRIES}"))
    })?;
    let Some(vendor) = hyperv.vendor_id.as_ref().filter(|vendor| vendor.state == Some(OnOff::On))
    else {
        return Ok(());
    };
    let Some(value) = &vendor.value else {
        return Err(xml_error("missing 'value' attribute for HyperV feature 'vendor_id'"));
    };
    must(value.len() <= MAX_VENDOR_ID && !value.contains(','), || {
        xml_error(format!(
            "HyperV vendor_id value must not be more than {MAX_VENDOR_ID} characters, without a comma"
        ))
    })
}

fn life(domain: &Domain) -> Result<()> {
    let dumps = |action: Option<LifecycleAction>| {
        action.filter(|action| {
            matches!(action, LifecycleAction::CoredumpDestroy | LifecycleAction::CoredumpRestart)
        })
    };
    for (event, action) in [("poweroff", domain.on_poweroff), ("reboot", domain.on_reboot)] {
        if let Some(action) = dumps(action) {
            return Err(unsupported(format!(
                "Lifecycle event '{event}' doesn't support '{action}' action"
            )));
        }
    }
    let timeout = domain.os.bios.as_ref().and_then(|bios| bios.reboot_timeout);
    must(timeout.is_none_or(|timeout| (-1..=65535).contains(&timeout)), || {
        unsupported("invalid value for rebootTimeout, must be in range [-1,65535]")
    })?;
    let both = domain.idmap.as_ref().is_none_or(|map| map.uids.is_empty() == map.gids.is_empty());
    must(both, || unsupported("uid and gid should be mapped both"))
}

fn seclabels(domain: &Domain) -> Result<()> {
    let mut models = HashSet::new();
    for label in &domain.seclabels {
        if let Some(model) = label.model.as_ref().filter(|model| !models.insert(*model)) {
            return Err(detail(format!("seclabel for model {model} is already provided")));
        }
        must(
            label.kind != Some(SeclabelType::Dynamic) || label.relabel != Some(YesNo::No),
            || unsupported("dynamic label type must use resource relabeling"),
        )?;
        must(label.kind != Some(SeclabelType::Static) || label.label.is_some(), || {
            xml_error("security label is missing")
        })?;
        let relabels = label.relabel == Some(YesNo::Yes);
        must(label.kind != Some(SeclabelType::None) || !relabels, || {
            unsupported("resource relabeling is not compatible with 'none' label type")
        })?;
    }
    Ok(())
}

fn firmware(domain: &Domain) -> Result<()> {
    let os = &domain.os;
    let wants = |name: FirmwareFeatureName| {
        let features = os.firmware_features.iter().flat_map(|list| &list.features);
        features.filter(|feature| feature.name == name).map(|feature| feature.enabled).next_back()
    };
    if os.firmware.is_some()
        && wants(FirmwareFeatureName::EnrolledKeys) == Some(YesNo::Yes)
        && wants(FirmwareFeatureName::SecureBoot) == Some(YesNo::No)
    {
        return Err(detail(
            "firmware feature 'enrolled-keys' cannot be enabled when firmware feature 'secure-boot' is disabled",
        ));
    }
    if let (Some(firmware), Some(_)) = (os.firmware, &os.nvram)
        && firmware != Firmware::Efi
    {
        return Err(detail(format!("firmware type '{firmware}' does not support nvram")));
    }
    let Some(loader) = &os.loader else { return Ok(()) };
    match loader.stateless {
        Some(YesNo::Yes) => {
            if os.nvram.as_ref().is_some_and(|nvram| nvram.template.is_some()) {
                return Err(detail("NVRAM template is not permitted when loader is stateless"));
            }
            if os.nvram.is_some() {
                return Err(detail("NVRAM is not permitted when loader is stateless"));
            }
        }
        Some(YesNo::No) if os.firmware.is_some_and(|firmware| firmware != Firmware::Efi) => {
            return Err(detail("Only EFI firmware permits NVRAM"));
        }
        _ => {}
    }
    Ok(())
}

fn huge_pages(domain: &Domain) -> Result<()> {
    let Some(hugepages) = &domain.memory_backing.hugepages else { return Ok(()) };
    let cells =
        domain.cpu.as_ref().and_then(|cpu| cpu.numa.as_ref()).map_or(0, |numa| numa.cells.len());
    let mut master: Option<u64> = None;
    for page in &hugepages.pages {
        let nodes = page.nodeset.as_ref().filter(|nodes| !nodes.is_empty());
        if let Some(missing) =
            nodes.and_then(|nodes| nodes.iter().find(|&node| node as usize >= cells.max(1)))
        {
            return Err(detail(format!("hugepages: node {missing} not found")));
        }
        if nodes.is_none() || cells == 0 {
            if let Some(first) = master {
                return Err(detail(format!(
                    "two master hugepages detected: {first} and {}",
                    page.kib
                )));
            }
            master = Some(page.kib);
        }
    }
    Ok(())
}

fn cpu(domain: &Domain) -> Result<()> {
    let Some(cpu) = &domain.cpu else { return Ok(()) };
    let passthrough =
        cpu.cache.as_ref().is_some_and(|cache| cache.mode == CpuCacheMode::Passthrough);
    if passthrough && !matches!(cpu.mode, Some(CpuMode::HostPassthrough | CpuMode::Maximum)) {
        return Err(unsupported(
            "CPU cache mode 'passthrough' can only be used with 'host-passthrough' / 'maximum' CPUs",
        ));
    }
    let cells = cpu.numa.iter().flat_map(|numa| &numa.cells);
    if (0..).zip(cells).any(|(number, cell)| cell.id != Some(number)) {
        return Err(xml_error(
            "Exactly one 'cell' element per guest NUMA cell allowed, non-contiguous ranges or ranges not starting from 0 are not allowed",
        ));
    }
    Ok(())
}

fn gic(domain: &Domain) -> Result<()> {
    let version = domain.features.gic.as_ref().and_then(|gic| gic.version.as_deref());
    match version {
        None | Some("host" | "2" | "3") => Ok(()),
        Some(other) => Err(xml_error(format!(
            "Invalid value for attribute 'version' in element 'gic': '{other}'. Allowed: host, 2, 3"
        ))),
    }
}

fn sysinfo(domain: &Domain) -> Result<()> {
    for entry in domain.sysinfos.iter().flat_map(|sysinfo| &sysinfo.entries) {
        must(entry.name.is_some(), || xml_error("Firmware entry is missing 'name' attribute"))?;
    }
    for bios in domain.sysinfos.iter().filter_map(|sysinfo| sysinfo.bios.as_ref()) {
        let date = bios.get("date").unwrap_or_default();
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let parts: Vec<&str> = date.split('/').collect();
        must(date.is_empty() || (parts.len() == 3 && parts.into_iter().all(digits)), || {
            detail(format!("Invalid BIOS 'date' format: '{date}' is not MM/DD/YYYY"))
        })?;
    }
    let Some(uuid) = domain.uuid else { return Ok(()) };
    for sysinfo in domain.sysinfos.iter().filter(|sysinfo| sysinfo.kind == SysinfoType::Smbios) {
        let shown = sysinfo.system.as_ref().and_then(|system| system.get("uuid"));
        let Some(shown) = shown else { continue };
        let shown = <uuid::Uuid as Value>::parse(shown)
            .ok_or_else(|| xml_error(format!("malformed <sysinfo> uuid element: '{shown}'")))?;
        if shown != uuid {
            return Err(detail("UUID mismatch between <uuid> and <sysinfo>"));
        }
    }
    Ok(())
}
