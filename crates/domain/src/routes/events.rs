// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Who wants to hear of machines: registrations by callback id, and of the two older kinds.

use std::sync::Arc;

use virtus_api::{
    ConnectDomainEventCallbackDeregisterAny, ConnectDomainEventCallbackRegisterAny,
    ConnectDomainEventDeregister, ConnectDomainEventDeregisterAny, ConnectDomainEventRegister,
    ConnectDomainEventRegisterAny, DomainEventId, Error, ErrorCode, Family, Result,
};
use virtus_core::Call;
use virtus_core::events::{Interest, Key};

use super::{HasMachines, find};

const LIFECYCLE: i32 = DomainEventId::Lifecycle as i32;

/// The last event that has a message without a callback id; later ones came after callback ids.
const LAST_OLD: i32 = DomainEventId::DeviceRemoved as i32;

fn known(event_id: i32) -> Result<i32> {
    if DomainEventId::try_from(event_id).is_err() {
        return Err(Error::new(ErrorCode::InvalidArg, format!("unsupported event ID {event_id}")));
    }
    Ok(event_id)
}

/// An event that a registration without callback id can hear of.
fn known_of_old(event_id: i32) -> Result<i32> {
    match known(event_id)? {
        id if id > LAST_OLD => {
            let text = format!("unsupported event ID {event_id}");
            Err(Error::new(ErrorCode::InvalidArg, text)
                .hint("register by callback id (virConnectDomainEventRegisterAny of libvirt 1.3 or later)"))
        }
        id => Ok(id),
    }
}

pub(super) async fn register<D: HasMachines>(
    driver: Arc<D>,
    call: Call,
    _: ConnectDomainEventRegister,
) -> Result<i32> {
    driver.machines().hub().register_legacy(&call.session, Family::Domain, LIFECYCLE)?;
    Ok(1)
}

pub(super) async fn deregister<D: HasMachines>(
    driver: Arc<D>,
    call: Call,
    _: ConnectDomainEventDeregister,
) -> Result<i32> {
    driver.machines().hub().deregister_legacy(&call.session, Family::Domain, LIFECYCLE)?;
    Ok(0)
}

pub(super) async fn register_any<D: HasMachines>(
    driver: Arc<D>,
    call: Call,
    request: ConnectDomainEventRegisterAny,
) -> Result<()> {
    let id = known_of_old(request.event_id)?;
    driver.machines().hub().register_legacy(&call.session, Family::Domain, id)
}

pub(super) async fn deregister_any<D: HasMachines>(
    driver: Arc<D>,
    call: Call,
    request: ConnectDomainEventDeregisterAny,
) -> Result<()> {
    let id = known_of_old(request.event_id)?;
    driver.machines().hub().deregister_legacy(&call.session, Family::Domain, id)
}

pub(super) async fn callback_register_any<D: HasMachines>(
    driver: Arc<D>,
    call: Call,
    request: ConnectDomainEventCallbackRegisterAny,
) -> Result<i32> {
    let id = known(request.event_id)?;
    let key = match &request.dom {
        Some(dom) => Some(Key::Uuid(find(&*driver, dom)?.0.uuid())),
        None => None,
    };
    driver.machines().hub().register(&call.session, Interest::new(Family::Domain, id, key))
}

pub(super) async fn callback_deregister_any<D: HasMachines>(
    driver: Arc<D>,
    call: Call,
    request: ConnectDomainEventCallbackDeregisterAny,
) -> Result<()> {
    driver.machines().hub().deregister(&call.session, Family::Domain, request.callback_id)
}
