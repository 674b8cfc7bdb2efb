// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What changes a network on paper: define, undefine, autostart.

use std::sync::Arc;

use uuid::Uuid;
use virtus_api::{
    NetworkDefineFlags, NetworkDefineXml, NetworkDefineXmlFlags,
    NetworkEventLifecycleType as Event, NetworkRef, NetworkSetAutostart, NetworkUndefine, Result,
};
use virtus_core::Call;
use virtus_core::flags::check_flags;
use virtus_xml::{Document, Network, ParseFlags};

use super::{HasNetworks, NetworkBackend, Networks};
use crate::step::Step;

impl<B: NetworkBackend> Networks<B> {
    /// Reads a definition that a client gives, and completes it.
    pub(super) fn read(&self, xml: &str, validate: bool) -> Result<Network> {
        let mut flags = ParseFlags::INACTIVE;
        flags.set(ParseFlags::VALIDATE, validate);
        let mut def = Network::parse(xml, flags)?.value;
        def.uuid.get_or_insert_with(Uuid::new_v4);
        self.backend.complete(&mut def, &self.collection)?;
        Ok(def)
    }

    /// Defines a network, or changes the definition of the one with this name and UUID.
    ///
    /// # Errors
    /// `VIR_ERR_OPERATION_FAILED` if name or UUID belong to another network; that of the disk.
    pub async fn define(self: &Arc<Self>, def: Network, name: &'static str) -> Result<NetworkRef> {
        let networks = self.clone();
        let work = move |turn: crate::Turn<Network>, def| async move {
            turn.set_persistent(def).await?;
            let net = turn.snapshot().network_ref();
            networks.tell(net.clone(), Event::Defined);
            Ok(net)
        };
        self.collection.claim(def, name, work).await
    }

    async fn define_xml(
        self: &Arc<Self>,
        xml: &str,
        flags: u32,
        name: &'static str,
    ) -> Result<NetworkRef> {
        check_flags(flags, NetworkDefineFlags::all().bits(), name)?;
        self.define(self.read(xml, flags & NetworkDefineFlags::VALIDATE.bits() != 0)?, name).await
    }
}

pub(super) async fn define<D: HasNetworks>(
    driver: Arc<D>,
    _: Call,
    request: NetworkDefineXml,
) -> Result<NetworkRef> {
    driver.networks().define_xml(&request.xml, 0, "virNetworkDefineXML").await
}

pub(super) async fn define_flags<D: HasNetworks>(
    driver: Arc<D>,
    _: Call,
    request: NetworkDefineXmlFlags,
) -> Result<NetworkRef> {
    driver.networks().define_xml(&request.xml, request.flags, "virNetworkDefineXMLFlags").await
}

pub(super) async fn undefine<D: HasNetworks>(
    driver: Arc<D>,
    _: Call,
    request: NetworkUndefine,
) -> Result<()> {
    let networks = driver.networks().clone();
    let (object, _) = networks.find(&request.net)?;
    let work = {
        let networks = networks.clone();
        |turn: crate::Turn<Network>| async move {
            networks.check(Step::Undefine, &turn.snapshot())?;
            turn.remove_persistent().await?;
            networks.tell(turn.snapshot().network_ref(), Event::Undefined);
            Ok(())
        }
    };
    networks.collection.change(&object, "virNetworkUndefine", work).await
}

pub(super) async fn set_autostart<D: HasNetworks>(
    driver: Arc<D>,
    _: Call,
    request: NetworkSetAutostart,
) -> Result<()> {
    let networks = driver.networks();
    let (object, _) = networks.find(&request.net)?;
    let on = request.autostart != 0;
    let work = move |turn: crate::Turn<Network>| async move { turn.set_autostart(on).await };
    networks.collection.change(&object, "virNetworkSetAutostart", work).await
}
