// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What makes devices and takes them away, and who hears of it.

use std::sync::Arc;

use virtus_api::{
    ConnectNodeDeviceEventDeregisterAny, ConnectNodeDeviceEventRegisterAny, Family,
    NodeDeviceCreateXml, NodeDeviceCreateXmlFlags, NodeDeviceDestroy, NodeDeviceEventId,
    NodeDeviceEventLifecycleType as Event, NodeDeviceRef, Result,
};
use virtus_core::Call;
use virtus_core::events::Key;
use virtus_core::flags::check_flags;
use virtus_xml::{Document, NodeDevice, ParseFlags};

use super::{DeviceBackend, HasDevices};
use crate::object::Turn;

pub(super) async fn create_xml<D: HasDevices>(
    driver: Arc<D>,
    _: Call,
    request: NodeDeviceCreateXml,
) -> Result<NodeDeviceRef> {
    const NAME: &str = "virNodeDeviceCreateXML";
    let known = NodeDeviceCreateXmlFlags::all().bits();
    check_flags(request.flags, known, NAME)?;
    let mut flags = ParseFlags::NEW;
    let validate = request.flags & NodeDeviceCreateXmlFlags::VALIDATE.bits() != 0;
    flags.set(ParseFlags::VALIDATE, validate);
    let def = NodeDevice::parse(&request.xml_desc, flags)?.value;
    let devices = driver.devices();
    let made = devices.backend.create(def, &devices.collection).await?;
    devices.add(made, false).await
}

pub(super) async fn destroy<D: HasDevices>(
    driver: Arc<D>,
    _: Call,
    request: NodeDeviceDestroy,
) -> Result<()> {
    let devices = driver.devices().clone();
    let (object, _) = devices.find(&request.name)?;
    let work = {
        let devices = devices.clone();
        |turn: Turn<NodeDevice>| async move {
            let device = turn.snapshot();
            if let Some(live) = &device.live {
                devices.backend.destroy(live).await?;
            }
            turn.publish(|device| (device.live, device.persistent) = (None, None));
            devices.tell(device.device_ref(), Event::Deleted);
            Ok(())
        }
    };
    devices.collection.change(&object, "virNodeDeviceDestroy", work).await
}

pub(super) async fn register<D: HasDevices>(
    driver: Arc<D>,
    call: Call,
    request: ConnectNodeDeviceEventRegisterAny,
) -> Result<i32> {
    let devices = driver.devices();
    let key = match &request.dev {
        Some(dev) => Some(Key::Name(devices.find(&dev.name)?.1.name.to_string())),
        None => None,
    };
    let id = request.event_id;
    let family = Family::NodeDevice;
    crate::events::register::<NodeDeviceEventId>(&devices.hub, &call, family, id, key)
}

pub(super) async fn deregister<D: HasDevices>(
    driver: Arc<D>,
    call: Call,
    request: ConnectNodeDeviceEventDeregisterAny,
) -> Result<()> {
    let hub = &driver.devices().hub;
    hub.deregister(&call.session, Family::NodeDevice, request.callback_id)
}
