// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What this host can run, as documents.

use std::sync::Arc;

use virtus_api::{ConnectGetCapabilities, Result};
use virtus_core::Call;
use virtus_domain::cpu::Profile;
use virtus_domain::host_sleep::power_management;
use virtus_host::{blocking, node};
use virtus_xml::capabilities::{
    BaseLabel, Capabilities, Doi, Host, HostCpu, IommuSupport, Microcode, PageSize,
    PowerManagement, Secmodel,
};
use virtus_xml::domain::cpu::{MaxPhysAddr, PhysAddrMode, Topology};

use crate::driver::{Qemu, QemuDriver};
use crate::guest_caps::guest;

pub(super) async fn get(
    driver: Arc<QemuDriver>,
    _: Call,
    _: ConnectGetCapabilities,
) -> Result<String> {
    driver.document.get().await
}

/// The document, as the host is now. Hundreds of small files are looked at for it.
pub(crate) async fn document(qemu: Arc<Qemu>) -> Result<String> {
    let looking = "looking at this host";
    let mut guests = Vec::new();
    for (arch, binary) in blocking::run(looking, || Ok(Qemu::binaries())).await? {
        match qemu.capabilities(&binary).await {
            Ok(caps) => guests.push(guest(arch, &binary, &caps)),
            Err(error) => tracing::warn!("{error}"),
        }
    }
    let power = power_management().await;
    let write = move || Ok(Capabilities { host: host(&qemu, power), guests }.format());
    blocking::run(looking, write).await
}

fn host(qemu: &Qemu, power: PowerManagement) -> Host {
    let node = &qemu.node;
    let identity = &qemu.config().identity;
    let label = format!("+{}:+{}", identity.uid, identity.gid);
    let labels = ["kvm", "qemu"]
        .map(|kind| BaseLabel { kind: kind.to_owned(), label: label.clone() })
        .to_vec();
    let secmodel = |model: &str, baselabels| Secmodel {
        model: model.to_owned(),
        doi: Doi("0".to_owned()),
        baselabels,
    };
    Host {
        uuid: node::uuid(),
        cpu: cpu(qemu),
        power_management: Some(power),
        iommu: Some(IommuSupport { support: has_iommu().into() }),
        topology: Some(node.host_topology(|id| node.cell_memory(id))),
        cache: node.host_caches(),
        memory_bandwidth: node.host_bandwidth(),
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

/// Whether the hardware can keep devices to memory of their own.
fn has_iommu() -> bool {
    let groups = std::fs::read_dir("/sys/kernel/iommu_groups");
    groups.is_ok_and(|mut entries| entries.next().is_some())
}
