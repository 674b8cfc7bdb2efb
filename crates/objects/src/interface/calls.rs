// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What changes interfaces: define, undefine, up, down.

use std::sync::Arc;

use virtus_api::{
    Error, ErrorCode, InterfaceCreate, InterfaceDefineFlags, InterfaceDefineXml, InterfaceDestroy,
    InterfaceRef, InterfaceUndefine, Result,
};
use virtus_core::Call;
use virtus_core::flags::check_flags;
use virtus_xml::{Document, HostInterface, ParseFlags};

use super::{HasInterfaces, InterfaceBackend, Interfaces};
use crate::object::Turn;

impl<B: InterfaceBackend> Interfaces<B> {
    /// Makes `def` the configuration of the interface of its name.
    ///
    /// # Errors
    /// That of the disk.
    pub async fn define(
        self: &Arc<Self>,
        def: HostInterface,
        name: &'static str,
    ) -> Result<InterfaceRef> {
        let work = |turn: Turn<HostInterface>, def| async move {
            turn.set_persistent(def).await?;
            Ok(turn.snapshot().interface_ref())
        };
        self.collection.claim(def, name, work).await
    }

    /// Brings an interface up, or takes it down.
    ///
    /// # Errors
    /// `VIR_ERR_OPERATION_INVALID` if it is so already; those of the backend.
    pub async fn set_active(
        self: &Arc<Self>,
        iface: &str,
        up: bool,
        name: &'static str,
    ) -> Result<()> {
        let (object, _) = self.collection.lookup_name(iface)?;
        let interfaces = self.clone();
        let work = move |turn: Turn<HostInterface>| async move {
            let iface = turn.snapshot();
            let live = match (&iface.live, &iface.persistent) {
                (None, Some(def)) if up => {
                    interfaces.backend.start(def).await?;
                    Some(def.clone())
                }
                (Some(live), _) if !up => {
                    interfaces.backend.stop(live).await?;
                    None
                }
                _ => {
                    let state = if up { "active already" } else { "not active" };
                    return Err(Error::new(ErrorCode::OperationInvalid, "")
                        .hint(format!("interface '{}' is {state}", iface.name)));
                }
            };
            turn.publish(|iface| iface.live = live);
            Ok(())
        };
        self.collection.change(&object, name, work).await
    }

    /// Forgets an interface: without a configuration it is none.
    pub(super) async fn undefine(self: &Arc<Self>, iface: &str, name: &'static str) -> Result<()> {
        let (object, _) = self.collection.lookup_name(iface)?;
        let interfaces = self.clone();
        let work = move |turn: Turn<HostInterface>| async move {
            if let Some(live) = &turn.snapshot().live {
                interfaces.backend.stop(live).await?;
                turn.publish(|iface| iface.live = None);
            }
            turn.remove_persistent().await
        };
        self.collection.change(&object, name, work).await
    }
}

pub(super) async fn define<D: HasInterfaces>(
    driver: Arc<D>,
    _: Call,
    request: InterfaceDefineXml,
) -> Result<InterfaceRef> {
    const NAME: &str = "virInterfaceDefineXML";
    check_flags(request.flags, InterfaceDefineFlags::all().bits(), NAME)?;
    let mut flags = ParseFlags::INACTIVE;
    flags.set(ParseFlags::VALIDATE, request.flags & InterfaceDefineFlags::VALIDATE.bits() != 0);
    let def = HostInterface::parse(&request.xml, flags)?.value;
    driver.interfaces().define(def, NAME).await
}

pub(super) async fn undefine<D: HasInterfaces>(
    driver: Arc<D>,
    _: Call,
    request: InterfaceUndefine,
) -> Result<()> {
    driver.interfaces().undefine(&request.iface.name, "virInterfaceUndefine").await
}

pub(super) async fn create<D: HasInterfaces>(
    driver: Arc<D>,
    _: Call,
    request: InterfaceCreate,
) -> Result<()> {
    const NAME: &str = "virInterfaceCreate";
    check_flags(request.flags, 0, NAME)?;
    driver.interfaces().set_active(&request.iface.name, true, NAME).await
}

pub(super) async fn destroy<D: HasInterfaces>(
    driver: Arc<D>,
    _: Call,
    request: InterfaceDestroy,
) -> Result<()> {
    const NAME: &str = "virInterfaceDestroy";
    check_flags(request.flags, 0, NAME)?;
    driver.interfaces().set_active(&request.iface.name, false, NAME).await
}
