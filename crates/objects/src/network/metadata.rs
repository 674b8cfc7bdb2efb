// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What people and applications note down with a network.

use std::sync::Arc;

use virtus_api::{
    Error, ErrorCode, NetworkEventMetadataChange, NetworkGetMetadata, NetworkSetMetadata,
    NetworkUpdateFlags as Impact, Result,
};
use virtus_core::Call;
use virtus_core::flags::check_flags;
use virtus_xml::{Network, Note};

use super::HasNetworks;
use super::update::Targets;
use crate::object::Turn;

pub(super) async fn get<D: HasNetworks>(
    driver: Arc<D>,
    _: Call,
    request: NetworkGetMetadata,
) -> Result<String> {
    const NAME: &str = "virNetworkGetMetadata";
    check_flags(request.flags, Impact::all().bits(), NAME)?;
    let (_, network) = driver.networks().find(&request.network)?;
    let targets = Targets::of(request.flags, &network)?;
    let def = if targets.live { &network.live } else { &network.persistent };
    let def = def.as_ref().map_or_else(|| network.def(), Ok)?;
    Note::read(&**def, request.r#type, request.uri.as_deref(), NAME)?.ok_or_else(|| {
        Error::new(ErrorCode::NoNetworkMetadata, "Requested metadata element is not present")
    })
}

pub(super) async fn set<D: HasNetworks>(
    driver: Arc<D>,
    _: Call,
    request: NetworkSetMetadata,
) -> Result<()> {
    const NAME: &str = "virNetworkSetMetadata";
    let NetworkSetMetadata { network, r#type, metadata, key, uri, flags } = request;
    check_flags(flags, Impact::all().bits(), NAME)?;
    let note = Note::new(r#type, metadata, key, uri, NAME)?;
    let networks = driver.networks().clone();
    let (object, _) = networks.find(&network)?;
    let work = {
        let networks = networks.clone();
        move |turn: Turn<Network>| async move {
            let network = turn.snapshot();
            let targets = Targets::of(flags, &network)?;
            let noted = |def: Option<&Arc<Network>>| match def {
                Some(def) => {
                    let mut def = (**def).clone();
                    note.write(&mut def)?;
                    Ok::<_, Error>(Some(def))
                }
                None => Ok(None),
            };
            let live = noted(network.live.as_ref().filter(|_| targets.live))?;
            let config = noted(network.persistent.as_ref().filter(|_| targets.config))?;
            if let Some(config) = config {
                turn.set_persistent(config).await?;
            }
            if let Some(live) = live {
                turn.publish(|network| network.live = Some(Arc::new(live)));
            }
            let (r#type, nsuri) = note.told();
            let net = network.network_ref();
            networks.hub.emit(NetworkEventMetadataChange { net, r#type, nsuri });
            Ok(())
        }
    };
    networks.collection.change(&object, NAME, work).await
}
