// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Devices of the host: what every driver of them answers the same way. Devices that are only defined (mediated
//! ones), and those that guests take over, are the business of the driver that can do it.

mod calls;
mod capability;
mod list;
mod vport;

use std::borrow::Cow;
use std::sync::Arc;

use uuid::Uuid;
use virtus_api::{
    ErrorCode, ErrorDomain, NodeDeviceEventLifecycle, NodeDeviceEventLifecycleType as Event,
    NodeDeviceRef, Result,
};
use virtus_core::Routes;
use virtus_core::events::Hub;
use virtus_xml::NodeDevice;

pub use vport::{check_vport, vport_parent};

use crate::collection::{Collection, Entry};
use crate::kind::Kind;
use crate::object::{Snapshot, Turn};
use crate::shelf::Shelf;

impl Kind for NodeDevice {
    type Extra = ();
    const WORD: &'static str = "node device";
    const MISSING: ErrorCode = ErrorCode::NoNodeDevice;
    const LIST: &'static str = "nodedev-list --all";
    const EDIT: Option<&'static str> = None;

    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.name)
    }

    fn uuid(&self) -> Option<Uuid> {
        None
    }
}

/// A way to make devices and take them away. Never two calls at once about one device.
pub trait DeviceBackend: Send + Sync + 'static {
    /// Makes the device that `def` asks for, beside `others`. Answers it as it is then, with its name.
    fn create(
        &self,
        def: NodeDevice,
        others: &Collection<NodeDevice>,
    ) -> impl Future<Output = Result<NodeDevice>> + Send;

    /// Takes a device away.
    fn destroy(&self, live: &NodeDevice) -> impl Future<Output = Result<()>> + Send;
}

/// All devices of a host.
pub struct Devices<B> {
    collection: Arc<Collection<NodeDevice>>,
    backend: B,
    hub: Arc<Hub>,
}

/// A driver of devices.
pub trait HasDevices: Send + Sync + 'static {
    /// Which part of the system speaks in its errors.
    const DOMAIN: ErrorDomain = ErrorDomain::Nodedev;

    /// What makes them.
    type Backend: DeviceBackend;

    /// Its devices.
    fn devices(&self) -> &Arc<Devices<Self::Backend>>;
}

impl<B: DeviceBackend> Devices<B> {
    /// The devices whose definitions the shelf keeps. None is there: what is there is found by the driver.
    ///
    /// # Errors
    /// If the shelf cannot be read.
    pub async fn open(shelf: Shelf, backend: B, hub: Arc<Hub>) -> Result<Arc<Self>> {
        Ok(Arc::new(Self { collection: Collection::open(shelf).await?, backend, hub }))
    }

    /// Shows a device that is there. One that the host has by itself stays `for_good`: it counts as persistent.
    ///
    /// # Errors
    /// If another change of it takes too long.
    pub async fn add(self: &Arc<Self>, def: NodeDevice, for_good: bool) -> Result<NodeDeviceRef> {
        let devices = self.clone();
        let work = move |turn: Turn<NodeDevice>, def: NodeDevice| async move {
            let def = Arc::new(def);
            turn.publish(|device| {
                if for_good {
                    device.persistent = Some(def.clone());
                }
                device.live = Some(def);
            });
            let dev = turn.snapshot().device_ref();
            devices.tell(dev.clone(), Event::Created);
            Ok(dev)
        };
        self.collection.claim(def, "adding the device", work).await
    }

    fn find(&self, name: &str) -> Result<Entry<NodeDevice>> {
        self.collection.lookup_name(name)
    }

    fn tell(&self, dev: NodeDeviceRef, event: Event) {
        self.hub.emit(NodeDeviceEventLifecycle { dev, event: event as i32, detail: 0 });
    }
}

impl Snapshot<NodeDevice> {
    /// How clients name it.
    #[must_use]
    pub fn device_ref(&self) -> NodeDeviceRef {
        NodeDeviceRef { name: self.name.to_string() }
    }
}

/// What every driver of devices answers.
#[must_use]
pub fn routes<D: HasDevices>() -> Routes<D> {
    Routes::new()
        .on(list::num_of_devices::<D>)
        .on(list::list_devices::<D>)
        .on(list::list_all::<D>)
        .on(list::lookup_by_name::<D>)
        .on(list::lookup_scsi_host_by_wwn::<D>)
        .on(list::get_xml::<D>)
        .on(list::get_parent::<D>)
        .on(list::num_of_caps::<D>)
        .on(list::list_caps::<D>)
        .on(list::is_active::<D>)
        .on(list::is_persistent::<D>)
        .on(calls::create_xml::<D>)
        .on(calls::destroy::<D>)
        .on(calls::register::<D>)
        .on(calls::deregister::<D>)
        .in_domain(D::DOMAIN)
}
