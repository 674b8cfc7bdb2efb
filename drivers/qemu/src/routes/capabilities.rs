// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What this host can run, as documents.

use std::sync::Arc;

use virtus_api::{ConnectGetCapabilities, Result};
use virtus_core::Call;
use virtus_domain::cpu::Profile;
use virtus_host::node::{self, Node};
use virtus_xml::capabilities::{
    BaseLabel, Capabilities, Cell, CellPages, Cells, Cpus, Host, HostCpu, HostThread, HostTopology,
    Microcode, PageSize, Secmodel,
};
use virtus_xml::cpuset::CpuSet;
use virtus_xml::domain::cpu::{MaxPhysAddr, PhysAddrMode, Topology};
use virtus_xml::units::Kib;

use crate::driver::{Qemu, QemuDriver};
use crate::guest_caps::guest;

pub(super) async fn get(
    driver: Arc<QemuDriver>,
    _: Call,
    _: ConnectGetCapabilities,
) -> Result<String> {
    let mut guests = Vec::new();
    for (arch, binary) in Qemu::binaries() {
        match driver.qemu.capabilities(&binary).await {
            Ok(caps) => guests.push(guest(arch, &binary, &caps)),
            Err(error) => tracing::warn!("{error}"),
        }
    }
    Ok(Capabilities { host: host(&driver.qemu), guests }.format())
}

fn host(qemu: &Qemu) -> Host {
    let node = &qemu.node;
    let identity = &qemu.config().identity;
    let label = format!("+{}:+{}", identity.uid, identity.gid);
    let labels = ["kvm", "qemu"]
        .map(|kind| BaseLabel { kind: kind.to_owned(), label: label.clone() })
        .to_vec();
    let secmodel = |model: &str, baselabels| Secmodel {
        model: model.to_owned(),
        doi: "0".to_owned(),
        baselabels,
    };
    Host {
        uuid: node::uuid(),
        cpu: cpu(qemu),
        topology: Some(topology(node)),
        secmodels: vec![secmodel("none", Vec::new()), secmodel("dac", labels)],
        ..Host::default()
    }
}

fn cpu(qemu: &Qemu) -> HostCpu {
    let node = &qemu.node;
    let topology = node.topology();
    let known = qemu.cpus.host.as_ref().map(Profile::to_host).unwrap_or_default();
    let microcode = Some(node.microcode()).filter(|version| *version > 0);
    HostCpu {
        arch: Some(node::arch()),
        microcode: microcode.map(|version| Microcode { version }),
        topology: Some(Topology {
            sockets: topology.sockets,
            dies: Some(1),
            clusters: Some(1),
            cores: topology.cores,
            threads: topology.threads,
        }),
        maxphysaddr: node.address_bits().map(|bits| MaxPhysAddr {
            mode: PhysAddrMode::Emulate,
            bits: Some(bits),
            limit: None,
        }),
        pages: node.page_sizes().into_iter().map(page_size).collect(),
        ..known
    }
}

fn page_size(size: u64) -> PageSize {
    PageSize { unit: Some("KiB".to_owned()), size }
}

fn topology(node: &Node) -> HostTopology {
    let threads = node.topology().cpus;
    let cells = node.numa_nodes().into_keys().map(|id| Cell {
        id,
        memory: node.numa_memory(id).map(|memory| Kib(memory.total)),
        pages: node
            .page_sizes()
            .into_iter()
            .filter_map(|size| {
                let count = node.pages(Some(id), size)?.total;
                Some(CellPages { unit: Some("KiB".to_owned()), size, count })
            })
            .collect(),
        cpus: Some(Cpus {
            cpus: threads
                .iter()
                .filter(|cpu| cpu.node == id && cpu.online)
                .map(|cpu| HostThread {
                    id: cpu.id,
                    socket_id: Some(cpu.socket),
                    die_id: Some(cpu.die),
                    cluster_id: Some(cpu.cluster),
                    core_id: Some(cpu.core),
                    siblings: Some(CpuSet::of(cpu.siblings.iter().copied())),
                })
                .collect(),
        }),
        ..Cell::default()
    });
    HostTopology { cells: Cells { cells: cells.collect() }, ..HostTopology::default() }
}
