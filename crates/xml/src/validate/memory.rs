// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Memory devices: what each model needs, and that none lies upon another.

use virtus_api::Result;

use super::{detail, must, need};
use crate::domain::Domain;
use crate::domain::address::Address;
use crate::domain::memory::AccessShare;
use crate::domain::memory_device::{MemoryDevice, MemoryModel};
use crate::settle::{unsupported, xml_error};
use crate::value::YesNo;

/// The page of most hosts; addresses of memory must not split one.
const PAGE: u64 = 4096;
/// Room for the two copies of a label's index, in KiB.
const LEAST_LABEL: u64 = 128;

pub(super) fn validate(domain: &Domain) -> Result<()> {
    let modules = &domain.devices.memories;
    let cells = domain.cpu.as_ref().and_then(|cpu| cpu.numa.as_ref()).map_or(0, |n| n.cells.len());
    for (at, module) in modules.iter().enumerate() {
        if let Some(node) = module.target.as_ref().and_then(|target| target.node)
            && node as usize >= cells
        {
            return Err(detail(format!(
                "<memory model='{}'><target><node> is {node}, but the guest has {cells} NUMA nodes",
                module.model
            )));
        }
        one(domain, module)?;
        modules[..at].iter().try_for_each(|other| apart(module, other))?;
    }
    Ok(())
}

fn one(domain: &Domain, module: &MemoryDevice) -> Result<()> {
    let element = format!("<memory model='{}'>", module.model);
    let path = module.source.as_ref().is_some_and(|source| source.path.is_some());
    let target = module.target.as_ref();
    let persistent = matches!(module.model, MemoryModel::Nvdimm | MemoryModel::VirtioPmem);
    if persistent && !path {
        return Err(detail(format!("{element} needs <source><path>")));
    }
    need(!persistent || module.discard != Some(YesNo::Yes), || {
        format!("{element}: discard='yes' would lose what must last")
    })?;
    match module.model {
        MemoryModel::Nvdimm => {
            let power =
                domain.os.kind.arch.as_deref().is_some_and(|arch| arch.starts_with("ppc64"));
            let label = target.and_then(|target| target.label.as_ref()).map(|label| label.size.0);
            must(label.is_none_or(|label| label >= LEAST_LABEL), || {
                xml_error(format!("nvdimm label must be at least {LEAST_LABEL}KiB"))
            })?;
            must(
                label.is_none_or(|label| label < target.map_or(0, |target| target.size.0)),
                || xml_error("label size must be smaller than NVDIMM size"),
            )?;
            need(!power || label.is_some(), || {
                format!("{element} needs <target><label> on this architecture")
            })?;
            need(power || module.uuid.is_none(), || {
                format!("{element}: <uuid> is for architecture ppc64")
            })
        }
        MemoryModel::VirtioPmem => {
            need(module.access != Some(AccessShare::Private), || {
                format!("{element} needs access='shared'")
            })?;
            need(target.is_none_or(|target| target.node.is_none()), || {
                format!("{element} belongs to no NUMA node: drop <target><node>")
            })?;
            need(start(module).is_none_or(|start| start.is_multiple_of(PAGE)), || {
                format!("{element}<target><address>: 'base' must be a multiple of {PAGE} bytes")
            })
        }
        MemoryModel::VirtioMem => virtio_mem(module, &element),
        MemoryModel::SgxEpc => need(module.info.address.is_none(), || {
            format!("{element} has no <address>: enclave memory is on no bus")
        }),
        MemoryModel::Dimm => Ok(()),
    }
}

fn virtio_mem(module: &MemoryDevice, element: &str) -> Result<()> {
    let Some(target) = &module.target else { return Ok(()) };
    let (size, requested) = (target.size.0, target.requested.unwrap_or_default().0);
    if requested > size {
        return Err(detail(format!(
            "{element}<target>: <requested> has {requested} KiB, but <size> has {size} KiB"
        )));
    }
    let Some(block) = target.block.map(|block| block.0) else { return Ok(()) };
    // Blocks are as large as the host's transparent huge pages, or larger.
    if !block.is_power_of_two() || block < 2048 {
        return Err(detail(format!(
            "{element}<target><block>: {block} KiB; allowed are powers of two from 2048 KiB on"
        )));
    }
    if !requested.is_multiple_of(block) {
        return Err(detail(format!(
            "{element}<target><requested>: {requested} KiB are not a multiple of <block>, {block} KiB"
        )));
    }
    if start(module).is_some_and(|start| !start.is_multiple_of(block * 1024)) {
        return Err(detail(format!(
            "{element}<target><address>: 'base' must be a multiple of <block>, {block} KiB"
        )));
    }
    Ok(())
}

/// Where in the guest's memory a device begins, if it is said.
fn start(module: &MemoryDevice) -> Option<u64> {
    let base = match (&module.info.address, module.model) {
        (Some(Address::Dimm { base, .. }), MemoryModel::Dimm | MemoryModel::Nvdimm) => *base,
        (_, MemoryModel::VirtioPmem | MemoryModel::VirtioMem) => {
            module.target.as_ref().and_then(|target| target.address.as_ref()).map(|at| at.base)
        }
        _ => None,
    };
    base.map(|base| base.0).filter(|base| *base != 0)
}

/// The bytes that the guest sees: the label of an NVDIMM is not part of them.
fn mapped(module: &MemoryDevice) -> u64 {
    let Some(target) = &module.target else { return 0 };
    let label = target.label.as_ref().map_or(0, |label| label.size.0);
    let align = module.source.as_ref().and_then(|source| source.alignsize).map_or(0, |a| a.0);
    let label = label.div_ceil(align.max(4)).saturating_mul(align.max(4));
    target.size.0.saturating_sub(label).saturating_mul(1024)
}

fn apart(module: &MemoryDevice, other: &MemoryDevice) -> Result<()> {
    if let (Some(Address::Dimm { slot: Some(a), .. }), Some(Address::Dimm { slot: Some(b), .. })) =
        (&module.info.address, &other.info.address)
        && a == b
    {
        return Err(unsupported(format!("two <memory> devices have <address slot='{a}'>")));
    }
    let (Some(a), Some(b)) = (start(module), start(other)) else { return Ok(()) };
    let (a_end, b_end) = (a.saturating_add(mapped(module)), b.saturating_add(mapped(other)));
    need(a_end <= b || b_end <= a, || {
        format!("a <memory> device at 0x{a:x} to 0x{a_end:x} lies upon the one at 0x{b:x}")
    })
}
