// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Huge pages, NUMA, and memory modules against `<maxMemory>`.

use virtus_api::Result;
use virtus_xml::domain::address::Address;
use virtus_xml::domain::memory::{AllocationMode, BackingType};
use virtus_xml::domain::memory_device::{MemoryDevice, MemoryModel};
use virtus_xml::value::YesNo;

use super::{Rules, need, unsupported};
use crate::caps::Flag;
use crate::machine::{is_ppc64, is_s390};

pub(super) fn validate(rules: Rules<'_>) -> Result<()> {
    huge_pages(rules)?;
    heterogeneous(rules)?;
    modules(rules)?;
    rules.domain.devices.memories.iter().try_for_each(|module| device(rules, module))
}

fn cells(rules: Rules<'_>) -> usize {
    let numa = rules.domain.cpu.as_ref().and_then(|cpu| cpu.numa.as_ref());
    numa.map_or(0, |numa| numa.cells.len())
}

fn huge_pages(rules: Rules<'_>) -> Result<()> {
    let backing = &rules.domain.memory_backing;
    if backing.hugepages.is_none() {
        return Ok(());
    }
    let mode = backing.allocation.as_ref().and_then(|allocation| allocation.mode);
    need(mode != Some(AllocationMode::Ondemand), || {
        "<memoryBacking>: <hugepages> cannot be allocated on demand".to_owned()
    })?;
    match backing.source.as_ref().map(|source| source.kind) {
        Some(BackingType::Anonymous) => {
            Err(unsupported("<memoryBacking>: anonymous memory has no <hugepages>"))
        }
        Some(BackingType::Memfd) => {
            rules.needs(Flag::MemoryBackendMemfdHugetlb, "<hugepages> of memory from memfd")
        }
        _ => Ok(()),
    }
}

/// Caches and latencies of NUMA nodes.
fn heterogeneous(rules: Rules<'_>) -> Result<()> {
    let Some(numa) = rules.domain.cpu.as_ref().and_then(|cpu| cpu.numa.as_ref()) else {
        return Ok(());
    };
    let caches = numa.cells.iter().any(|cell| !cell.body.caches.is_empty());
    if caches || numa.interconnects.is_some() {
        rules.needs(Flag::NumaHmat, "<numa> with <interconnects> or <cache>")?;
    }
    Ok(())
}

fn modules(rules: Rules<'_>) -> Result<()> {
    let domain = rules.domain;
    let modules = &domain.devices.memories;
    let Some(most) = &domain.max_memory else {
        let pluggable = modules.iter().any(|module| module.model != MemoryModel::SgxEpc);
        return need(!pluggable, || "<memory> devices need <maxMemory>".to_owned());
    };
    // A guest that sees memory come and go sees NUMA; QEMU would make up a node by itself.
    need(cells(rules) > 0 || is_ppc64(domain) || is_s390(domain), || {
        "<maxMemory> needs at least one <numa><cell> in <cpu>".to_owned()
    })?;
    let slotted =
        |module: &&MemoryDevice| matches!(module.model, MemoryModel::Dimm | MemoryModel::Nvdimm);
    let count = modules.iter().filter(slotted).count();
    need(count <= most.slots as usize, || {
        format!("there are {count} <memory> modules, but <maxMemory> has {} slots", most.slots)
    })?;
    let plugged = domain.plugged_memory_kib();
    let room = most.kib.saturating_sub(domain.memory.kib.saturating_sub(plugged));
    need(plugged <= room, || {
        format!("the <memory> devices have {plugged} KiB, but <maxMemory> leaves {room} KiB")
    })
}

fn device(rules: Rules<'_>, module: &MemoryDevice) -> Result<()> {
    let domain = rules.domain;
    let model = module.model;
    let element = format!("<memory model='{model}'>");
    let target = module.target.as_ref();
    let address = module.info.address.as_ref();
    match model {
        MemoryModel::Dimm | MemoryModel::Nvdimm => {
            rules.needs(
                if model == MemoryModel::Dimm { Flag::PcDimm } else { Flag::Nvdimm },
                &element,
            )?;
            if target.is_some_and(|target| target.readonly) {
                rules.needs(Flag::NvdimmUnarmed, format_args!("{element}<readonly/>"))?;
            }
            need(matches!(address, None | Some(Address::Dimm { .. })), || {
                format!("{element} needs <address type='dimm'>")
            })?;
            let node = target.and_then(|target| target.node);
            need(cells(rules) == 0 || node.is_some(), || {
                format!("{element} needs <target><node>: the guest has NUMA nodes")
            })?;
            let slots = domain.max_memory.as_ref().map_or(0, |most| most.slots);
            match address {
                Some(Address::Dimm { slot: Some(slot), .. }) => need(*slot < slots, || {
                    format!("{element}: slot {slot} is beyond the {slots} slots of <maxMemory>")
                }),
                _ => Ok(()),
            }
        }
        MemoryModel::VirtioPmem => {
            rules.needs(Flag::VirtioPmemPci, &element)?;
            need(matches!(address, None | Some(Address::Pci(_))), || {
                format!("{element} needs <address type='pci'>")
            })
        }
        MemoryModel::VirtioMem => {
            match address {
                Some(Address::Ccw(_)) => {
                    rules.needs(Flag::VirtioMemCcw, &element)?;
                    on_channel(rules, module, &element)?;
                }
                None | Some(Address::Pci(_)) => rules.needs(Flag::VirtioMemPci, &element)?,
                Some(other) => {
                    return Err(unsupported(format!(
                        "{element}: address type '{}'; allowed are pci and ccw",
                        other.kind()
                    )));
                }
            }
            if target.is_some_and(|target| target.dynamic_memslots == Some(YesNo::Yes)) {
                rules.needs(
                    Flag::VirtioMemPciDynamicMemslots,
                    format_args!("{element}<target dynamicMemslots>"),
                )?;
            }
            Ok(())
        }
        MemoryModel::SgxEpc => need(rules.caps.sgx.is_some(), || {
            format!("{element}: this host or this QEMU has no enclaves")
        }),
    }
}

/// s390x has no NUMA, and all its memory is of one page size.
fn on_channel(rules: Rules<'_>, module: &MemoryDevice, element: &str) -> Result<()> {
    let node = module.target.as_ref().and_then(|target| target.node);
    need(matches!(node, None | Some(0)), || {
        format!("{element} on the channel subsystem has no <target><node>")
    })?;
    let pages = rules.domain.memory_backing.hugepages.iter().flat_map(|huge| &huge.pages);
    let own = module.source.as_ref().and_then(|source| source.pagesize);
    match (own, pages.into_iter().next()) {
        (Some(own), Some(boot)) => need(own.0 == boot.kib, || {
            format!("{element}: pages of {} KiB, but the boot memory has {} KiB", own.0, boot.kib)
        }),
        _ => Ok(()),
    }
}
