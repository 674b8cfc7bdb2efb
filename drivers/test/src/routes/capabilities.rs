// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the host of a world is and can run, as a document.

use std::sync::Arc;

use virtus_api::{ConnectGetCapabilities, Result};
use virtus_core::{Call, Routes};
use virtus_domain::routes::by;
use virtus_xml::capabilities::{
    Capabilities, Cell, CellPages, Cells, Cpus, Guest, GuestArch, GuestDomain, GuestFeatures, Host,
    HostCpu, HostFlags, HostThread, HostTopology, IommuSupport, PageSize, PowerManagement,
    Secmodel,
};
use virtus_xml::cpuset::CpuSet;
use virtus_xml::units::Kib;
use virtus_xml::value::YesNo;

use crate::guest::ARCH;
use crate::node::{CPUS_PER_CELL, Node};
use crate::world::World;

/// The sizes of pages, in KiB.
const PAGES: [u64; 4] = [4, 8, 2 << 10, 1 << 20];

/// The routes of this file.
pub(super) fn routes() -> Routes<World> {
    Routes::new().on(by(get))
}

async fn get(world: Arc<World>, _: Call, _: ConnectGetCapabilities) -> Result<String> {
    let host = Host {
        cpu: HostCpu {
            arch: Some(ARCH.to_owned()),
            flags: Some(HostFlags { pae: true, nonpae: true, ..HostFlags::default() }),
            pages: PAGES.map(|size| PageSize { unit: Some("KiB".to_owned()), size }).into(),
            ..HostCpu::default()
        },
        power_management: Some(PowerManagement::default()),
        iommu: Some(IommuSupport { support: YesNo::No }),
        topology: Some(topology(&world.node)),
        secmodels: vec![Secmodel { model: "testSecurity".to_owned(), ..Secmodel::default() }],
        ..Host::default()
    };
    let guests = ["hvm", "xen"].map(guest).into();
    Ok(Capabilities { host, guests }.format())
}

fn topology(node: &Node) -> HostTopology {
    let cells = (0..).zip(&node.cells).map(|(id, cell)| {
        // The second cell has other small pages than the first.
        let small = if id == 1 { PAGES[1] } else { PAGES[0] };
        let pages = [(small, cell.memory / small), (PAGES[2], 0), (PAGES[3], 0)];
        let cpus = (0..CPUS_PER_CELL).map(|core| {
            let cpu = id * CPUS_PER_CELL + core;
            HostThread {
                id: cpu,
                socket_id: Some(id),
                die_id: Some(0),
                cluster_id: Some(0),
                core_id: Some(core),
                siblings: Some(CpuSet::one(cpu)),
            }
        });
        Cell {
            id,
            memory: Some(Kib(cell.memory)),
            pages: pages
                .map(|(size, count)| CellPages { unit: Some("KiB".to_owned()), size, count })
                .into(),
            cpus: Some(Cpus { cpus: cpus.collect() }),
            ..Cell::default()
        }
    });
    HostTopology { cells: Cells { cells: cells.collect() }, interconnects: None }
}

fn guest(os_type: &str) -> Guest {
    Guest {
        os_type: os_type.to_owned(),
        arch: GuestArch {
            name: ARCH.to_owned(),
            wordsize: 32,
            emulator: Some("/usr/bin/test-hv".to_owned()),
            domains: vec![GuestDomain { kind: "test".to_owned(), ..GuestDomain::default() }],
            ..GuestArch::default()
        },
        features: Some(GuestFeatures { pae: true, nonpae: true, ..GuestFeatures::default() }),
    }
}
