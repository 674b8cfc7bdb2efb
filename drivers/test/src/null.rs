// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What runs a world's networks, interfaces and devices: nothing does, they are as they are said to be.

use std::sync::atomic::{AtomicU32, Ordering};

use uuid::Uuid;
use virtus_api::{NetworkDhcpLease, Result};
use virtus_objects::interface::InterfaceBackend;
use virtus_objects::network::NetworkBackend;
use virtus_objects::node_device::{DeviceBackend, check_vport, vport_parent};
use virtus_objects::{Collection, Snapshot, Step, refuse};
use virtus_xml::chance::Chance;
use virtus_xml::node_device::{Capability, Parent};
use virtus_xml::{HostInterface, Network, NetworkPort, NodeDevice};

/// Networks and interfaces that nobody has to make.
pub(crate) struct Null;

impl NetworkBackend for Null {
    fn complete(&self, _: &mut Network, _: &Collection<Network>) -> Result<()> {
        Ok(())
    }

    /// In the words of libvirt's test driver, which lets what does not run be ended.
    fn check(&self, step: Step, network: &Snapshot<Network>) -> Result<()> {
        match step {
            Step::Start if network.is_active() => {
                refuse(format!("Network '{}' is already running", network.name))
            }
            Step::Undefine if network.is_active() => {
                refuse(format!("Network '{}' is still running", network.name))
            }
            _ => Ok(()),
        }
    }

    async fn start(&self, def: &Network) -> Result<Network> {
        Ok(def.clone())
    }

    async fn stop(&self, _: &Network) -> Result<()> {
        Ok(())
    }

    async fn update(&self, _: &Network, _: &Network) -> Result<()> {
        Ok(())
    }

    async fn plug(&self, _: &Network, _: &mut NetworkPort, _: bool) -> Result<()> {
        Ok(())
    }

    async fn limit(&self, _: &Network, _: &NetworkPort, _: &NetworkPort) -> Result<()> {
        Ok(())
    }

    async fn unplug(&self, _: &Network, _: &NetworkPort) -> Result<()> {
        Ok(())
    }

    /// Nobody asks for an address.
    async fn leases(&self, _: &Network) -> Result<Vec<NetworkDhcpLease>> {
        Ok(Vec::new())
    }
}

impl InterfaceBackend for Null {
    async fn start(&self, _: &HostInterface) -> Result<()> {
        Ok(())
    }

    async fn stop(&self, _: &HostInterface) -> Result<()> {
        Ok(())
    }
}

/// Devices, of which new ones are virtual ports of Fibre Channel adapters.
#[derive(Default)]
pub(crate) struct Vports {
    /// The greatest number of a host adapter so far.
    last: AtomicU32,
}

/// Who makes the adapters of libvirt's test driver.
const MAKER: [u8; 3] = [0x10, 0, 0];

/// Bytes by chance, at most as many as a UUID has.
fn by_chance(bytes: &mut [u8]) {
    let random = Uuid::new_v4();
    bytes.iter_mut().zip(random.as_bytes()).for_each(|(byte, random)| *byte = *random);
}

/// The number of an adapter that is called after it.
fn host_number(name: &str) -> Option<u32> {
    name.strip_prefix("scsi_host")?.parse().ok()
}

impl DeviceBackend for Vports {
    async fn create(
        &self,
        mut def: NodeDevice,
        others: &Collection<NodeDevice>,
    ) -> Result<NodeDevice> {
        check_vport(&def)?;
        def.name_missing(MAKER, &mut Chance(&mut by_chance));
        let parent = vport_parent(&def, others)?;
        let known = others.select(|_| true);
        let greatest = known.iter().filter_map(|device| host_number(&device.name)).max();
        self.last.fetch_max(greatest.unwrap_or_default(), Ordering::Relaxed);
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let fabric =
            parent.live.as_ref().and_then(|live| check_vport(live).ok()?.fabric_wwn.clone());
        def.name = format!("scsi_host{number}");
        def.parent = Some(Parent { name: Some(parent.name.to_string()), ..Parent::default() });
        for capability in &mut def.capabilities {
            if let Capability::ScsiHost(host) = capability {
                (host.host, host.unique_id) = (Some(number), Some(number - 1));
                if let Some(port) = &mut host.fc_host.0 {
                    port.fabric_wwn.clone_from(&fabric);
                }
            }
        }
        Ok(def)
    }

    async fn destroy(&self, _: &NodeDevice) -> Result<()> {
        Ok(())
    }
}
