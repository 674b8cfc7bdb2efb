// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How much memory QEMU may lock: what devices of the host write to must not be swapped out.
//!
//! The sums are libvirt's, so that a guest gets the same limit from either daemon.

use virtus_xml::Domain;
use virtus_xml::domain::DomainType;
use virtus_xml::domain::controller::ControllerType;
use virtus_xml::domain::hostdev::{HostdevMode, HostdevType};
use virtus_xml::domain::interface::InterfaceType;
use virtus_xml::domain::storage::StorageType;

use crate::machine::is_ppc64;

/// The limit that stands for none.
pub const UNLIMITED: u64 = 9_007_199_254_740_991;

const MIB: u64 = 1 << 10;
const GIB: u64 = 1 << 20;

/// The bytes that may be locked; `None` where the guest needs no more than any process.
#[must_use]
pub fn memory_lock_limit(domain: &Domain) -> Option<u64> {
    let stated = domain.memtune.as_ref().and_then(|tune| tune.hard_limit);
    if let Some(limit) = stated.filter(|limit| limit.0 < UNLIMITED) {
        return Some(limit.0.saturating_mul(1024));
    }
    if domain.memory_backing.locked {
        return Some(UNLIMITED);
    }
    let kib = if is_ppc64(domain) && domain.kind == DomainType::Kvm {
        Some(pseries(domain))
    } else {
        passthrough(domain)
    };
    kib.map(|kib| kib.saturating_mul(1024))
}

/// Devices of the host that reach the guest's memory through VFIO.
fn vfio_devices(domain: &Domain) -> u64 {
    let devices = &domain.devices;
    let hostdevs = devices.hostdevs.iter().filter(|hostdev| {
        hostdev.mode == HostdevMode::Subsystem
            && matches!(hostdev.kind, HostdevType::Pci | HostdevType::Mdev)
    });
    let cards = devices.interfaces.iter().filter(|net| net.kind == InterfaceType::Hostdev);
    (hostdevs.count() + cards.count()) as u64
}

/// All memory once for each address space that maps it, and room for the devices' own.
fn passthrough(domain: &Domain) -> Option<u64> {
    let devices = &domain.devices;
    let nvme = devices.disks.iter().filter(|disk| disk.kind == StorageType::Nvme).count();
    let vdpa = devices.interfaces.iter().filter(|net| net.kind == InterfaceType::Vdpa).count();
    let vfio = vfio_devices(domain);
    // With an IOMMU in the guest each device has an address space of its own.
    let spaces = if devices.iommu.is_some() { vfio } else { vfio.min(1) };
    let spaces = spaces + (nvme + vdpa) as u64;
    (spaces > 0).then(|| domain.memory.kib.saturating_mul(spaces).saturating_add(GIB))
}

/// On POWER the kernel locks the guest's page table and the tables of its DMA windows even without any device.
fn pseries(domain: &Domain) -> u64 {
    let bridges = domain
        .devices
        .controllers
        .iter()
        .filter(|c| c.kind == ControllerType::Pci && c.model.as_deref() == Some("pci-root"))
        .count() as u64;
    let memory = domain.memory.kib;
    let most = domain.max_memory.as_ref().map_or(memory, |most| most.kib);
    let tables = most / 128 + 4 * MIB * bridges + 8 * MIB;
    if vfio_devices(domain) == 0 {
        return tables;
    }
    let windows = (2 * GIB * bridges)
        .max(memory.saturating_add((memory / 512).saturating_mul(bridges)).saturating_add(8 * MIB));
    tables.saturating_add(windows)
}

#[cfg(test)]
mod tests {
    use virtus_xml::{Domain, ParseFlags};

    use super::memory_lock_limit;

    fn limit(kind: &str, body: &str, devices: &str) -> Option<u64> {
        let text = format!(
            "<domain type='{kind}'><name>g</name><memory unit='MiB'>512</memory>{body}\
             <os><type arch='x86_64' machine='q35'>hvm</type></os><devices>{devices}</devices></domain>"
        );
        Domain::parse(&text, ParseFlags::INACTIVE)
            .ok()
            .and_then(|parsed| memory_lock_limit(&parsed.value))
    }

    #[test]
    fn each_address_space_counts() {
        let device = |slot: u32| {
            format!(
                "<hostdev mode='subsystem' type='pci'><source><address domain='0' bus='1' slot='{slot}' function='0'/></source></hostdev>"
            )
        };
        let two = format!("{}{}", device(1), device(2));
        assert_eq!(limit("kvm", "", ""), None);
        assert_eq!(limit("kvm", "", &two), Some((512 + 1024) << 20));
        let behind_iommu = format!("{two}<iommu model='intel'/>");
        assert_eq!(limit("kvm", "", &behind_iommu), Some((2 * 512 + 1024) << 20));
    }
}
