// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Networks become active and end.

use std::sync::Arc;

use virtus_api::{
    Error, ErrorCode, NetworkCreate, NetworkCreateFlags, NetworkCreateXml, NetworkCreateXmlFlags,
    NetworkDestroy, NetworkEventLifecycleType as Event, NetworkGetDhcpLeases,
    NetworkGetDhcpLeasesReply, NetworkRef, Result,
};
use virtus_core::Call;
use virtus_core::flags::check_flags;
use virtus_xml::Network;

use super::{HasNetworks, NetworkBackend, Networks, Ports};
use crate::list::whole;
use crate::object::Turn;
use crate::step::{Step, refuse};

impl<B: NetworkBackend> Networks<B> {
    /// Starts a network in its turn.
    async fn start(&self, turn: &Turn<Network>, def: &Network) -> Result<NetworkRef> {
        let live = Arc::new(self.backend.start(def).await?);
        turn.publish(|network| network.live = Some(live));
        let net = turn.snapshot().network_ref();
        self.tell(net.clone(), Event::Started);
        Ok(net)
    }

    /// Starts a network that is defined.
    ///
    /// # Errors
    /// `VIR_ERR_OPERATION_INVALID` if it is active; those of the backend.
    pub async fn create(self: &Arc<Self>, net: &NetworkRef, name: &'static str) -> Result<()> {
        let (object, _) = self.find(net)?;
        let networks = self.clone();
        let work = move |turn: Turn<Network>| async move {
            let network = turn.snapshot();
            networks.check(Step::Start, &network)?;
            if let (false, Some(def)) = (network.is_active(), &network.persistent) {
                networks.start(&turn, def).await?;
            }
            Ok(())
        };
        self.collection.change(&object, name, work).await
    }

    async fn create_xml(
        self: &Arc<Self>,
        xml: &str,
        flags: u32,
        name: &'static str,
    ) -> Result<NetworkRef> {
        check_flags(flags, NetworkCreateFlags::all().bits(), name)?;
        let def = self.read(xml, flags & NetworkCreateFlags::VALIDATE.bits() != 0)?;
        let networks = self.clone();
        let work = move |turn: Turn<Network>, def: Network| async move {
            if turn.snapshot().is_active() {
                refuse::<()>(format!("network is already active as '{}'", def.name))?;
            }
            networks.start(&turn, &def).await
        };
        self.collection.claim(def, name, work).await
    }
}

pub(super) async fn create<D: HasNetworks>(
    driver: Arc<D>,
    _: Call,
    request: NetworkCreate,
) -> Result<()> {
    driver.networks().create(&request.net, "virNetworkCreate").await
}

pub(super) async fn create_xml<D: HasNetworks>(
    driver: Arc<D>,
    _: Call,
    request: NetworkCreateXml,
) -> Result<NetworkRef> {
    driver.networks().create_xml(&request.xml, 0, "virNetworkCreateXML").await
}

pub(super) async fn create_xml_flags<D: HasNetworks>(
    driver: Arc<D>,
    _: Call,
    request: NetworkCreateXmlFlags,
) -> Result<NetworkRef> {
    let name = "virNetworkCreateXMLFlags";
    driver.networks().create_xml(&request.xml, request.flags, name).await
}

pub(super) async fn destroy<D: HasNetworks>(
    driver: Arc<D>,
    _: Call,
    request: NetworkDestroy,
) -> Result<()> {
    let networks = driver.networks().clone();
    let (object, _) = networks.find(&request.net)?;
    let work = {
        let networks = networks.clone();
        |turn: Turn<Network>| async move {
            let network = turn.snapshot();
            networks.check(Step::Destroy, &network)?;
            let Some(live) = &network.live else { return Ok(()) };
            networks.backend.stop(live).await?;
            turn.publish(|network| (network.live, network.extra) = (None, Ports::default()));
            networks.tell(network.network_ref(), Event::Stopped);
            Ok(())
        }
    };
    networks.collection.change(&object, "virNetworkDestroy", work).await
}

pub(super) async fn leases<D: HasNetworks>(
    driver: Arc<D>,
    _: Call,
    request: NetworkGetDhcpLeases,
) -> Result<NetworkGetDhcpLeasesReply> {
    check_flags(request.flags, 0, "virNetworkGetDHCPLeases")?;
    let networks = driver.networks();
    let (_, network) = networks.find(&request.net)?;
    let mut leases = match &network.live {
        Some(live) => networks.backend.leases(live).await?,
        None => Vec::new(),
    };
    if let Some(wanted) = &request.mac {
        let wanted: virtus_xml::value::Mac =
            virtus_xml::value::Value::parse(wanted).ok_or_else(|| {
                Error::new(ErrorCode::InvalidArg, format!("'{wanted}' is not a MAC address"))
            })?;
        let wanted = wanted.to_string();
        leases.retain(|lease| {
            lease.mac.as_deref().is_some_and(|mac| mac.eq_ignore_ascii_case(&wanted))
        });
    }
    let (leases, ret) = whole(request.need_results, leases);
    Ok(NetworkGetDhcpLeasesReply { leases, ret })
}
