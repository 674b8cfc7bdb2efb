// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Places in small machines.

use super::*;

fn set(models: &[BusModel]) -> BusSet {
    BusSet {
        buses: models.iter().map(|model| Bus::new(*model, true)).collect(),
        grows: true,
        many_roots: false,
        pcie_to_pci: true,
    }
}

#[test]
fn a_pcie_guest_gets_a_root_port_for_each_device() {
    let mut set = set(&[BusModel::PcieRoot]);
    let pcie = Connect::AUTO | Connect::PCIE_DEVICE;
    assert_eq!(set.next(pcie, 0, None).unwrap().to_string(), "0000:01:00.0");
    assert_eq!(set.next(pcie, 0, None).unwrap().to_string(), "0000:02:00.0");
    assert!(set.buses[1..].iter().all(|bus| bus.model == BusModel::RootPort));
    let ports: Vec<_> = (0..9)
        .map(|_| set.next(BusModel::RootPort.connect(), 0, None).unwrap().to_string())
        .collect();
    assert_eq!(ports[0], "0000:00:01.0");
    assert_eq!(ports[7], "0000:00:01.7");
    assert_eq!(ports[8], "0000:00:02.0");
}

#[test]
fn a_conventional_device_brings_a_bridge_into_a_pcie_guest() {
    let mut set = set(&[BusModel::PcieRoot]);
    let place = set.next(Connect::AUTO | Connect::PCI_DEVICE, 0, None).unwrap();
    assert_eq!(place.to_string(), "0000:02:01.0");
    assert_eq!(set.buses[1].model, BusModel::RootPort);
    assert_eq!(set.buses[2].model, BusModel::PcieToPci);
}

#[test]
fn a_place_is_given_once() {
    let mut set = set(&[BusModel::PciRoot]);
    let pci = Connect::AUTO | Connect::PCI_DEVICE;
    set.take(Place::root(3, 0), pci, 0).unwrap();
    let twice = set.take(Place::root(3, 0), pci, 0).unwrap_err();
    assert!(twice.to_string().contains("more than one device"), "{twice}");
    assert!(set.take(Place::root(40, 0), pci, 0).is_err());
    assert_eq!(set.next(pci, 0, None).unwrap().slot, 1);
}
