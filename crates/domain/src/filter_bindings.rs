// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Filters at work on machines' cards (`<filterref>`): bound by the driver of network filters once a card's device is
//! there, and unbound before it goes.

use virtus_api::{
    ErrorCode, NwfilterBindingCreateXml, NwfilterBindingDelete, NwfilterBindingLookupByPortDev,
    Result,
};
use virtus_core::{Peer, Peered, Peers};
use virtus_xml::domain::interface::{Interface, InterfaceType};
use virtus_xml::domain::storage::Named;
use virtus_xml::netdev::{MacAddress, Owner};
use virtus_xml::{Document, FormatFlags, NwfilterBinding};

use crate::Undo;

/// Has the filter that a card names work on its device, which is there; nothing passes it unfiltered before it is
/// switched on.
///
/// # Errors
/// Those of the filters' driver (there is no such filter, a variable is missing), or that it cannot be reached.
pub async fn bind(peers: &Peers, owner: &Owner, card: &Interface, undo: &mut Undo) -> Result<()> {
    let Some(binding) = wanted(owner, card) else { return Ok(()) };
    let filters = peers.open(Peer::Nwfilter).await?;
    let (peers, bound) = (peers.clone(), vec![card.clone()]);
    undo.push("network filter", async move { unbind(&peers, &bound).await });
    let xml = binding.format(FormatFlags::empty());
    filters.call(NwfilterBindingCreateXml { xml, flags: 0 }).await.map(drop)
}

/// Ends the filters of cards. What is not there any more is no matter.
pub async fn unbind(peers: &Peers, cards: &[Interface]) {
    let filtered = cards.iter().filter(|card| card.filterref.is_some());
    let devices: Vec<_> = filtered.filter_map(Interface::target_dev).collect();
    if devices.is_empty() {
        return;
    }
    let filters = match peers.open(Peer::Nwfilter).await {
        Ok(filters) => filters,
        Err(error) => return tracing::warn!("network filters are not unbound: {error}"),
    };
    for device in devices {
        match end(&filters, device).await {
            Err(error) if error.code() != ErrorCode::NoNwfilterBinding => {
                tracing::warn!("the network filter of '{device}' is not unbound: {error}");
            }
            _ => {}
        }
    }
}

async fn end(filters: &Peered, device: &str) -> Result<()> {
    let name = device.to_owned();
    let nwfilter = filters.call(NwfilterBindingLookupByPortDev { name }).await?;
    filters.call(NwfilterBindingDelete { nwfilter }).await
}

fn wanted(owner: &Owner, card: &Interface) -> Option<NwfilterBinding> {
    let source = card.plugged_source().filter(|_| card.plugged_kind() == InterfaceType::Direct);
    let linkdev = source.and_then(|source| source.dev.clone());
    Some(NwfilterBinding {
        owner: owner.clone(),
        portdev: Named { name: card.target_dev()?.to_owned() },
        linkdev: linkdev.map(|name| Named { name }),
        mac: card.mac_address().map(|address| MacAddress { address }),
        filterref: card.filterref.clone()?,
    })
}
