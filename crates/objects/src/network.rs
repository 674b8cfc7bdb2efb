// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Virtual networks: what every driver of them answers the same way.

mod backend;
mod definition;
mod life;
mod list;
mod metadata;
mod port;
mod port_parameters;
mod update;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;
use virtus_api::{
    ConnectNetworkEventDeregisterAny, ConnectNetworkEventRegisterAny, ErrorCode, ErrorDomain,
    Family, NetworkEventId, NetworkEventLifecycle, NetworkEventLifecycleType, NetworkRef, Result,
};
use virtus_core::events::{Hub, Key};
use virtus_core::{Call, Routes};
use virtus_xml::{Network, NetworkPort};

pub use backend::NetworkBackend;

use crate::collection::{Collection, Entry};
use crate::kind::Kind;
use crate::object::Snapshot;
use crate::shelf::Shelf;
use crate::step::Step;

/// The ports of a network, by UUID.
pub type Ports = Arc<BTreeMap<Uuid, Arc<NetworkPort>>>;

impl Kind for Network {
    type Extra = Ports;
    const WORD: &'static str = "network";
    const MISSING: ErrorCode = ErrorCode::NoNetwork;
    const LIST: &'static str = "net-list --all";
    const EDIT: Option<&'static str> = Some("net-edit");

    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.body.name)
    }

    fn uuid(&self) -> Option<Uuid> {
        self.body.uuid
    }
}

/// All networks of a driver.
pub struct Networks<B> {
    collection: Arc<Collection<Network>>,
    backend: B,
    hub: Arc<Hub>,
}

/// A driver of networks.
pub trait HasNetworks: Send + Sync + 'static {
    /// Which part of the system speaks in its errors.
    const DOMAIN: ErrorDomain = ErrorDomain::Network;

    /// What makes them real.
    type Backend: NetworkBackend;

    /// Its networks.
    fn networks(&self) -> &Arc<Networks<Self::Backend>>;
}

impl<B: NetworkBackend> Networks<B> {
    /// The networks that the shelf keeps. None is active: what runs is found by the driver.
    ///
    /// # Errors
    /// If the shelf cannot be read.
    pub async fn open(shelf: Shelf, backend: B, hub: Arc<Hub>) -> Result<Arc<Self>> {
        Ok(Arc::new(Self { collection: Collection::open(shelf).await?, backend, hub }))
    }

    #[must_use]
    pub fn collection(&self) -> &Arc<Collection<Network>> {
        &self.collection
    }

    #[must_use]
    pub fn backend(&self) -> &B {
        &self.backend
    }

    fn find(&self, net: &NetworkRef) -> Result<Entry<Network>> {
        self.collection.find(net.uuid, &net.name)
    }

    fn check(&self, step: Step, network: &Snapshot<Network>) -> Result<()> {
        self.backend.check(step, network)
    }

    fn tell(&self, net: NetworkRef, event: NetworkEventLifecycleType) {
        self.hub.emit(NetworkEventLifecycle { net, event: event as i32, detail: 0 });
    }
}

impl Snapshot<Network> {
    /// How clients name it.
    #[must_use]
    pub fn network_ref(&self) -> NetworkRef {
        NetworkRef { name: self.name.to_string(), uuid: self.id() }
    }
}

/// What every driver of networks answers.
#[must_use]
pub fn routes<D: HasNetworks>() -> Routes<D> {
    Routes::new()
        .on(list::num_of_networks::<D>)
        .on(list::list_networks::<D>)
        .on(list::num_of_defined_networks::<D>)
        .on(list::list_defined_networks::<D>)
        .on(list::list_all::<D>)
        .on(list::lookup_by_name::<D>)
        .on(list::lookup_by_uuid::<D>)
        .on(list::is_active::<D>)
        .on(list::is_persistent::<D>)
        .on(list::get_autostart::<D>)
        .on(list::get_xml::<D>)
        .on(list::get_bridge_name::<D>)
        .on(definition::define::<D>)
        .on(definition::define_flags::<D>)
        .on(definition::undefine::<D>)
        .on(definition::set_autostart::<D>)
        .on(life::create::<D>)
        .on(life::create_xml::<D>)
        .on(life::create_xml_flags::<D>)
        .on(life::destroy::<D>)
        .on(life::leases::<D>)
        .on(update::update::<D>)
        .on(metadata::get::<D>)
        .on(metadata::set::<D>)
        .on(port::list_all::<D>)
        .on(port::lookup_by_uuid::<D>)
        .on(port::create_xml::<D>)
        .on(port::get_xml::<D>)
        .on(port::delete::<D>)
        .on(port_parameters::get::<D>)
        .on(port_parameters::set::<D>)
        .on(register::<D>)
        .on(deregister::<D>)
        .in_domain(D::DOMAIN)
}

async fn register<D: HasNetworks>(
    driver: Arc<D>,
    call: Call,
    request: ConnectNetworkEventRegisterAny,
) -> Result<i32> {
    let networks = driver.networks();
    let key = match &request.net {
        Some(net) => Some(Key::Uuid(networks.find(net)?.1.id())),
        None => None,
    };
    let id = request.event_id;
    crate::events::register::<NetworkEventId>(&networks.hub, &call, Family::Network, id, key)
}

async fn deregister<D: HasNetworks>(
    driver: Arc<D>,
    call: Call,
    request: ConnectNetworkEventDeregisterAny,
) -> Result<()> {
    let hub = &driver.networks().hub;
    hub.deregister(&call.session, Family::Network, request.callback_id)
}
