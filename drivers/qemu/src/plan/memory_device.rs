// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<memory>` among the devices: modules that are plugged into the guest.

use virtus_api::Result;
use virtus_xml::domain::memory_device::{MemoryDevice, MemoryModel};

use super::argv::{Opts, Props};
use super::device::{alias, place, virtio};
use super::line::Line;
use super::memory::{Piece, backend};
use super::storage::unsupported;
use crate::caps::Flag;

/// Writes all modules.
pub(crate) fn write(line: &mut Line<'_>) -> Result<()> {
    for memory in &line.domain.devices.memories {
        for object in objects(line, memory)? {
            line.object(object);
        }
        // Memory of enclaves is no device: the machine names it.
        if memory.model != MemoryModel::SgxEpc {
            let props = device(line, memory)?;
            line.device(props);
        }
    }
    Ok(())
}

/// What `-machine` must know of the modules.
pub(crate) fn machine_options(line: &Line<'_>, opts: &mut Opts) -> Result<()> {
    let (mut nvdimm, mut enclaves) = (false, 0);
    for memory in &line.domain.devices.memories {
        match memory.model {
            MemoryModel::Nvdimm if !nvdimm => {
                opts.set("nvdimm", "on");
                nvdimm = true;
            }
            MemoryModel::SgxEpc => {
                let node = memory.target.as_ref().and_then(|target| target.node);
                let key = format!("sgx-epc.{enclaves}");
                opts.set(&format!("{key}.memdev"), format!("mem{}", alias(&memory.info)?));
                opts.set(&format!("{key}.node"), node.unwrap_or(0));
                enclaves += 1;
            }
            _ => {}
        }
    }
    Ok(())
}

/// The objects behind a module, as `object-add` of a hot-plug takes them.
pub(crate) fn objects(line: &Line<'_>, memory: &MemoryDevice) -> Result<Vec<Props>> {
    let source = memory.source.as_ref();
    let target = memory.target.as_ref().ok_or_else(|| unsupported("memory without a <target>"))?;
    let piece = Piece {
        id: format!("mem{}", alias(&memory.info)?),
        kib: super::memory::module_kib(line, target.size.0),
        node: target.node,
        access: memory.access,
        discard: memory.discard.map(|yes| yes.is_yes()),
        page_kib: source.and_then(|source| source.pagesize).map(|size| size.0),
        host_nodes: source.and_then(|source| source.nodemask.as_ref()),
        file: source.and_then(|source| source.path.as_deref()),
        align_kib: source.and_then(|source| source.alignsize).map(|size| size.0),
        pmem: source.is_some_and(|source| source.pmem),
        model: Some(memory.model),
    };
    backend(line, &piece)
}

/// The module.
pub(crate) fn device(line: &Line<'_>, memory: &MemoryDevice) -> Result<Props> {
    let id = alias(&memory.info)?.to_owned();
    let source = memory.source.as_ref();
    let target = memory.target.as_ref().ok_or_else(|| unsupported("memory without a <target>"))?;
    let mut props = match memory.model {
        MemoryModel::Dimm => Props::device("pc-dimm"),
        MemoryModel::Nvdimm => Props::device("nvdimm"),
        MemoryModel::VirtioPmem => virtio("virtio-pmem", &memory.info, None, None)?,
        MemoryModel::VirtioMem => virtio("virtio-mem", &memory.info, None, None)?,
        MemoryModel::SgxEpc => return Err(unsupported("memory model 'sgx-epc' as a device")),
    };
    props = props.maybe("node", target.node);
    if memory.model == MemoryModel::Nvdimm {
        props = props
            .maybe("label-size", target.label.as_ref().map(|label| label.size.0 << 10))
            .maybe("uuid", memory.uuid.map(|uuid| uuid.hyphenated().to_string()));
        if target.readonly {
            props.set("unarmed", true);
        }
    }
    if memory.model == MemoryModel::VirtioMem {
        props = props
            .maybe("block-size", target.block.map(|block| block.0 << 10))
            .maybe("requested-size", target.requested.map(|size| size.0 << 10));
    }
    props.set("memdev", format!("mem{id}"));
    if memory.model == MemoryModel::VirtioMem && line.has(Flag::VirtioMemPciPrealloc) {
        let pages = source.and_then(|source| source.pagesize).map(|size| size.0);
        if super::memory::is_preallocated(line, pages, target.node)? {
            props.set("prealloc", true);
        }
    }
    if matches!(memory.model, MemoryModel::VirtioMem | MemoryModel::VirtioPmem) {
        props = props.maybe("memaddr", target.address.as_ref().map(|address| address.base.0));
        props = props.maybe("dynamic-memslots", target.dynamic_memslots.map(|yes| yes.is_yes()));
    }
    props.set("id", id);
    props.extend(place(line.domain, &memory.info)?);
    Ok(props)
}
