// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One world: everything that a session of the test driver sees. One field for each kind of object.

use std::sync::Arc;

use tokio::sync::OnceCell;
use virtus_api::{DomainState, Error, ErrorCode, ErrorDomain, Result};
use virtus_core::Session;
use virtus_core::events::Hub;
use virtus_domain::cpu::CpuMap;
use virtus_domain::moments::{Moment, Moments};
use virtus_domain::routes::HasCpuMap;
use virtus_domain::{Begin, Change, HasMachines, Job, Machine, Machines, Origin, PowerOff, Wishes};
use virtus_objects::Shelf;
use virtus_objects::interface::{HasInterfaces, Interfaces};
use virtus_objects::network::{HasNetworks, Networks};
use virtus_objects::node_device::{Devices, HasDevices};
use virtus_objects::storage::{HasPools, Pools};
use virtus_xml::Snapshot;

use crate::document::{Document, DomainEntry, PoolEntry};
use crate::guest::Test;
use crate::node::Node;
use crate::null::{Null, Vports};
use crate::storage::Storage;
use crate::worlds::Worlds;

/// The call that makes a world.
const OPEN: &str = "virConnectOpen";

/// A host with all that is on it.
pub(crate) struct World {
    pub(crate) node: Node,
    machines: Arc<Machines<Test>>,
    networks: Arc<Networks<Null>>,
    interfaces: Arc<Interfaces<Null>>,
    devices: Arc<Devices<Vports>>,
    pools: Arc<Pools<Storage>>,
    /// The descriptions of CPU models, once somebody has asked.
    cpu_map: OnceCell<Arc<CpuMap>>,
    /// Where it is one of many sessions' world.
    shared_by: Option<Arc<Worlds>>,
}

impl World {
    /// The world that `document` describes, with everything in it that it says is active.
    pub(crate) async fn build(document: Document, shared_by: Option<Arc<Worlds>>) -> Result<Self> {
        let hub = Arc::new(Hub::new());
        let machine = Arc::new(Test { cpus: document.node.most_cpus() });
        let world = Self {
            node: document.node,
            machines: Machines::in_memory(machine, hub.clone()),
            networks: Networks::open(Shelf::Memory, Null, hub.clone()).await?,
            interfaces: Interfaces::open(Shelf::Memory, Null).await?,
            devices: Devices::open(Shelf::Memory, Vports::default(), hub.clone()).await?,
            pools: Pools::open(Shelf::Memory, Storage::default(), hub).await?,
            cpu_map: OnceCell::new(),
            shared_by,
        };
        for domain in document.domains {
            world.add_domain(domain).await?;
        }
        for network in document.networks {
            let network = world.networks.define(network, OPEN).await?;
            world.networks.create(&network, OPEN).await?;
        }
        for interface in document.interfaces {
            let interface = world.interfaces.define(interface, OPEN).await?;
            world.interfaces.set_active(&interface.name, true, OPEN).await?;
        }
        for device in document.devices {
            world.devices.add(device, true).await?;
        }
        for pool in document.pools {
            world.add_pool(pool).await?;
        }
        Ok(world)
    }

    async fn add_pool(&self, entry: PoolEntry) -> Result<()> {
        for volume in entry.volumes {
            self.pools.backend().add(&entry.def, volume)?;
        }
        let pool = self.pools.define(entry.def).await?;
        self.pools.create(&pool, 0).await
    }

    async fn add_domain(&self, entry: DomainEntry) -> Result<()> {
        let DomainEntry { mut def, state, transient, managed_save, snapshots } = entry;
        self.machines.machine().complete(&mut def, Origin::User)?;
        let paused = state == DomainState::Paused;
        let wishes = Wishes { paused, from: Begin::Unknown, ..Wishes::default() };
        let dom = if transient {
            self.machines.create(OPEN, def, wishes).await?
        } else {
            let dom = self.machines.define(OPEN, def).await?;
            if state != DomainState::Shutoff {
                self.machines.find(&dom)?.start(OPEN, wishes).await?;
            }
            dom
        };
        let handle = self.machines.find(&dom)?;
        let change = match state {
            DomainState::Shutdown => Some(Change::PoweringOff(PowerOff::Unknown)),
            DomainState::Crashed => Some(Change::Crashed),
            DomainState::Pmsuspended => Some(Change::Slept { disk: false }),
            _ => None,
        };
        let settled = handle.job(Job::modify(OPEN), move |context| async move {
            if managed_save {
                context.has_saved();
            }
            if let Some(change) = change {
                context.apply(change);
            }
            context.change_moments(|known| add_snapshots(known, snapshots)).await
        });
        settled.await
    }

    /// A session that saw the world has ended; the world ends with the last.
    pub(crate) fn session_closed(self: &Arc<Self>, session: &Arc<Session>) {
        self.machines.session_closed(session);
        if self.shared_by.as_ref().is_none_or(|worlds| worlds.leave()) {
            let machines = self.machines.clone();
            tokio::spawn(async move { machines.let_go().await });
        }
    }
}

fn add_snapshots(known: &mut Moments<Snapshot>, snapshots: Vec<Snapshot>) -> Result<()> {
    for snapshot in snapshots {
        let current = snapshot.active.is_some_and(|active| active != 0);
        let name = snapshot.name().to_owned();
        known.put(snapshot)?;
        if current && known.current().is_some() {
            let text = "more than one snapshot claims to be active";
            return Err(Error::new(ErrorCode::XmlError, text));
        }
        if current {
            known.set_current(Some(&name));
        }
    }
    Ok(())
}

impl HasMachines for World {
    type Machine = Test;

    fn machines(&self) -> &Arc<Machines<Test>> {
        &self.machines
    }
}

impl HasCpuMap for World {
    async fn cpu_map(&self) -> Arc<CpuMap> {
        let read = || async {
            let map = tokio::task::spawn_blocking(CpuMap::of_this_host).await;
            // Only a runtime that ends breaks it off.
            Arc::new(map.unwrap_or_default())
        };
        self.cpu_map.get_or_init(read).await.clone()
    }
}

impl HasNetworks for World {
    type Backend = Null;

    const DOMAIN: ErrorDomain = ErrorDomain::Test;

    fn networks(&self) -> &Arc<Networks<Null>> {
        &self.networks
    }
}

impl HasInterfaces for World {
    type Backend = Null;

    const DOMAIN: ErrorDomain = ErrorDomain::Test;

    fn interfaces(&self) -> &Arc<Interfaces<Null>> {
        &self.interfaces
    }
}

impl HasDevices for World {
    type Backend = Vports;

    const DOMAIN: ErrorDomain = ErrorDomain::Test;

    fn devices(&self) -> &Arc<Devices<Vports>> {
        &self.devices
    }
}

impl HasPools for World {
    type Backend = Storage;

    const DOMAIN: ErrorDomain = ErrorDomain::Test;

    fn pools(&self) -> &Arc<Pools<Storage>> {
        &self.pools
    }
}
