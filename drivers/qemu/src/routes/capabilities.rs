// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What this host can run, as documents.

use std::sync::Arc;

use virtus_api::{ConnectGetCapabilities, Result};
use virtus_core::Call;
use virtus_host::node::{self, Node};
use virtus_xml::capabilities::{
    BaseLabel, Capabilities, Cell, CellPages, Cells, Cpus, Guest, GuestArch, GuestDomain,
    GuestFeatures, Host, HostCpu, HostThread, HostTopology, Machine, Microcode, PageSize, Secmodel,
    Toggle,
};
use virtus_xml::cpuset::CpuSet;
use virtus_xml::domain::cpu::Topology;
use virtus_xml::units::Kib;
use virtus_xml::value::{OnOff, YesNo};

use crate::caps::{self, Accel};
use crate::driver::{Qemu, QemuDriver};

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
        cpu: cpu(node),
        topology: Some(topology(node)),
        secmodels: vec![secmodel("none", Vec::new()), secmodel("dac", labels)],
        ..Host::default()
    }
}

fn cpu(node: &Node) -> HostCpu {
    let topology = node.topology();
    let microcode = Some(node.microcode()).filter(|version| *version > 0);
    HostCpu {
        arch: Some(node::arch()),
        vendor: vendor(node),
        microcode: microcode.map(|version| Microcode { version }),
        topology: Some(Topology {
            sockets: topology.sockets,
            dies: Some(1),
            clusters: Some(1),
            cores: topology.cores,
            threads: topology.threads,
        }),
        pages: node.page_sizes().into_iter().map(page_size).collect(),
        ..HostCpu::default()
    }
}

fn page_size(size: u64) -> PageSize {
    PageSize { unit: Some("KiB".to_owned()), size }
}

fn vendor(node: &Node) -> Option<String> {
    match node.cpu_vendor()?.as_str() {
        "GenuineIntel" => Some("Intel".to_owned()),
        "AuthenticAMD" => Some("AMD".to_owned()),
        "HygonGenuine" => Some("Hygon".to_owned()),
        _ => None,
    }
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

fn guest(arch: &str, binary: &std::path::Path, caps: &caps::Capabilities) -> Guest {
    let emulator = Some(binary.to_string_lossy().into_owned());
    let machines = |accel: Accel| -> Vec<Machine> {
        let known = caps.accelerator(accel).map(|accel| accel.machines.as_slice());
        known.unwrap_or_default().iter().flat_map(machine).collect()
    };
    let tcg = machines(Accel::Tcg);
    let mut domains = vec![GuestDomain { kind: "qemu".to_owned(), ..GuestDomain::default() }];
    if caps.accelerator(Accel::Kvm).is_some() {
        let own = machines(Accel::Kvm);
        let machines = if own == tcg { Vec::new() } else { own };
        let emulator = emulator.clone();
        domains.push(GuestDomain {
            kind: "kvm".to_owned(),
            emulator: emulator.filter(|_| !machines.is_empty()),
            machines,
            ..GuestDomain::default()
        });
    }
    let x86 = matches!(arch, "x86_64" | "i686");
    let toggle = |default| Some(Toggle { default, toggle: YesNo::Yes });
    Guest {
        os_type: "hvm".to_owned(),
        arch: GuestArch {
            name: arch.to_owned(),
            wordsize: word_size(arch),
            emulator,
            machines: tcg,
            domains,
            ..GuestArch::default()
        },
        features: Some(GuestFeatures {
            pae: arch == "i686",
            nonpae: arch == "i686",
            acpi: toggle(OnOff::On).filter(|_| x86 || arch == "aarch64"),
            apic: Some(Toggle { default: OnOff::On, toggle: YesNo::No }).filter(|_| x86),
            cpuselection: true,
            deviceboot: true,
            disksnapshot: Some(Toggle { default: OnOff::On, toggle: YesNo::No }),
            ..GuestFeatures::default()
        }),
    }
}

fn word_size(arch: &str) -> u32 {
    match arch {
        "x86_64" | "aarch64" | "ppc64" | "ppc64le" | "s390x" | "riscv64" | "loongarch64"
        | "alpha" | "mips64" | "mips64el" | "sparc64" => 64,
        _ => 32,
    }
}

/// A machine type and the name that stands for it.
fn machine(machine: &caps::Machine) -> Vec<Machine> {
    let named = |name: &str, canonical: Option<&str>| Machine {
        canonical: canonical.map(str::to_owned),
        max_cpus: Some(machine.max_cpus).filter(|most| *most > 0),
        deprecated: machine.deprecated.then_some(YesNo::Yes),
        name: name.to_owned(),
    };
    let mut all = vec![named(&machine.name, None)];
    if let Some(alias) = &machine.alias {
        all.push(named(alias, Some(&machine.name)));
    }
    all
}
