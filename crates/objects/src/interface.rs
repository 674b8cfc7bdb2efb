// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The host's interfaces: what every driver of them answers the same way.

mod calls;
mod list;
mod transaction;

use std::borrow::Cow;
use std::sync::{Arc, Mutex};

use uuid::Uuid;
use virtus_api::{ErrorCode, ErrorDomain, InterfaceRef, Result};
use virtus_core::Routes;
use virtus_xml::HostInterface;

use crate::collection::{Collection, Entry};
use crate::kind::Kind;
use crate::object::Snapshot;
use crate::shelf::Shelf;

impl Kind for HostInterface {
    type Extra = ();
    const WORD: &'static str = "interface";
    const MISSING: ErrorCode = ErrorCode::NoInterface;
    const LIST: &'static str = "iface-list --all";
    const EDIT: Option<&'static str> = Some("iface-edit");

    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.name)
    }

    fn uuid(&self) -> Option<Uuid> {
        None
    }
}

/// A way to configure interfaces. Never two calls at once about one interface.
pub trait InterfaceBackend: Send + Sync + 'static {
    /// Brings the interface up.
    fn start(&self, def: &HostInterface) -> impl Future<Output = Result<()>> + Send;

    /// Takes the interface down.
    fn stop(&self, live: &HostInterface) -> impl Future<Output = Result<()>> + Send;
}

/// All interfaces of a host.
pub struct Interfaces<B> {
    collection: Arc<Collection<HostInterface>>,
    backend: B,
    /// How the interfaces were when the changes began that can still be taken back.
    before: Mutex<Option<transaction::Before>>,
}

/// A driver of interfaces.
pub trait HasInterfaces: Send + Sync + 'static {
    /// Which part of the system speaks in its errors.
    const DOMAIN: ErrorDomain = ErrorDomain::Interface;

    /// What configures them.
    type Backend: InterfaceBackend;

    /// Its interfaces.
    fn interfaces(&self) -> &Arc<Interfaces<Self::Backend>>;
}

impl<B: InterfaceBackend> Interfaces<B> {
    /// The interfaces that the shelf keeps.
    ///
    /// # Errors
    /// If the shelf cannot be read.
    pub async fn open(shelf: Shelf, backend: B) -> Result<Arc<Self>> {
        let collection = Collection::open(shelf).await?;
        Ok(Arc::new(Self { collection, backend, before: Mutex::default() }))
    }

    fn find(&self, iface: &InterfaceRef) -> Result<Entry<HostInterface>> {
        self.collection.lookup_name(&iface.name)
    }
}

impl Snapshot<HostInterface> {
    /// How clients name it.
    #[must_use]
    pub fn interface_ref(&self) -> InterfaceRef {
        InterfaceRef { name: self.name.to_string(), mac: self.mac().unwrap_or_default().to_owned() }
    }

    fn mac(&self) -> Option<&str> {
        let def = self.live.as_ref().or(self.persistent.as_ref())?;
        def.mac.as_ref().map(|mac| mac.address.as_str())
    }
}

/// What every driver of interfaces answers.
#[must_use]
pub fn routes<D: HasInterfaces>() -> Routes<D> {
    Routes::new()
        .on(list::num_of_interfaces::<D>)
        .on(list::list_interfaces::<D>)
        .on(list::num_of_defined_interfaces::<D>)
        .on(list::list_defined_interfaces::<D>)
        .on(list::list_all::<D>)
        .on(list::lookup_by_name::<D>)
        .on(list::lookup_by_mac::<D>)
        .on(list::is_active::<D>)
        .on(list::get_xml::<D>)
        .on(calls::define::<D>)
        .on(calls::undefine::<D>)
        .on(calls::create::<D>)
        .on(calls::destroy::<D>)
        .on(transaction::begin::<D>)
        .on(transaction::commit::<D>)
        .on(transaction::rollback::<D>)
        .in_domain(D::DOMAIN)
}
