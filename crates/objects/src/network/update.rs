// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Edits of one list of a network, now or from its next start on.

use std::sync::Arc;

use virtus_api::{
    Error, ErrorCode, ErrorDomain, NetworkUpdate, NetworkUpdateCommand as Command,
    NetworkUpdateFlags as Impact, NetworkUpdateSection as Section, Result,
};
use virtus_core::Call;
use virtus_core::flags::check_flags;
use virtus_xml::Network;

use super::{HasNetworks, NetworkBackend};
use crate::object::{Snapshot, Turn};

/// Which definitions a change is for.
pub(super) struct Targets {
    pub(super) live: bool,
    pub(super) config: bool,
}

impl Targets {
    /// What `VIR_NETWORK_UPDATE_AFFECT_*` means for this network now.
    ///
    /// # Errors
    /// `VIR_ERR_OPERATION_INVALID` if it is inactive, or transient, and that half is asked for.
    pub(super) fn of(flags: u32, network: &Snapshot<Network>) -> Result<Self> {
        let impact = Impact::from_bits_truncate(flags);
        let mut targets =
            Self { live: impact.contains(Impact::LIVE), config: impact.contains(Impact::CONFIG) };
        if !targets.live && !targets.config {
            targets.live = network.is_active();
            targets.config = !targets.live;
        }
        let refuse =
            |why| Err(Error::new(ErrorCode::OperationInvalid, why).in_domain(ErrorDomain::Network));
        if targets.live && !network.is_active() {
            return refuse("network is not running");
        }
        if targets.config && !network.is_persistent() {
            return refuse("cannot change persistent config of a transient network");
        }
        Ok(targets)
    }
}

pub(super) async fn update<D: HasNetworks>(
    driver: Arc<D>,
    _: Call,
    request: NetworkUpdate,
) -> Result<()> {
    const NAME: &str = "virNetworkUpdate";
    check_flags(request.flags, Impact::all().bits(), NAME)?;
    let number = |number: u32| i32::try_from(number).unwrap_or(-1);
    let unknown = |text: String| {
        Error::new(ErrorCode::OperationUnsupported, text).in_domain(ErrorDomain::Network)
    };
    let section = Section::try_from(number(request.section))
        .map_err(|_| unknown("can't update unrecognized section of network".to_owned()))?;
    let command = Command::try_from(number(request.command)).map_err(|_| {
        unknown(format!("unrecognized network update command code {}", request.command))
    })?;
    let networks = driver.networks().clone();
    let (object, _) = networks.find(&request.net)?;
    let work = {
        let networks = networks.clone();
        move |turn: Turn<Network>| async move {
            let network = turn.snapshot();
            let targets = Targets::of(request.flags, &network)?;
            let edited = |def: Option<&Arc<Network>>| match def {
                Some(def) => {
                    let mut def = (**def).clone();
                    def.update(section, command, request.parent_index, &request.xml)?;
                    virtus_xml::Document::validate(&def)?;
                    Ok::<_, Error>(Some(def))
                }
                None => Ok(None),
            };
            // Both halves are made before either is shown.
            let config = edited(network.persistent.as_ref().filter(|_| targets.config))?;
            let live = edited(network.live.as_ref().filter(|_| targets.live))?;
            if let (Some(old), Some(new)) = (&network.live, &live) {
                networks.backend.update(old, new).await?;
            }
            if let Some(live) = live {
                turn.publish(|network| network.live = Some(Arc::new(live)));
            }
            match config {
                Some(config) => turn.set_persistent(config).await,
                None => Ok(()),
            }
        }
    };
    networks.collection.change(&object, NAME, work).await
}
