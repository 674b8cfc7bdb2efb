// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How much may go through a guest's network cards.

use std::sync::Arc;

use virtus_api::params::domain_interface_bandwidth as name;
use virtus_api::{
    DomainGetInterfaceParameters, DomainGetInterfaceParametersReply,
    DomainModificationImpact as Impact, DomainSetInterfaceParameters, Error, ErrorCode, Result,
    TypedParam,
};
use virtus_core::{Call, Routes};
use virtus_domain::named;
use virtus_domain::routes::{by, check_flags, definition_of, find, no_more_than};
use virtus_xml::netdev::{Bandwidth, Rate};

use super::change;
use crate::world::World;

/// Clients that can read texts say so; nothing here is one.
const TYPED_STRINGS: u32 = 4;

/// One limit: clients' name, its direction, its place.
struct Row {
    name: &'static str,
    inbound: bool,
    place: fn(&mut Rate) -> &mut Option<u64>,
}

const ROWS: [Row; 7] = [
    Row { name: name::IN_AVERAGE, inbound: true, place: |rate| &mut rate.average },
    Row { name: name::IN_PEAK, inbound: true, place: |rate| &mut rate.peak },
    Row { name: name::IN_BURST, inbound: true, place: |rate| &mut rate.burst },
    Row { name: name::IN_FLOOR, inbound: true, place: |rate| &mut rate.floor },
    Row { name: name::OUT_AVERAGE, inbound: false, place: |rate| &mut rate.average },
    Row { name: name::OUT_PEAK, inbound: false, place: |rate| &mut rate.peak },
    Row { name: name::OUT_BURST, inbound: false, place: |rate| &mut rate.burst },
];

/// The routes of this file.
pub(super) fn routes() -> Routes<World> {
    Routes::new().on(by(get)).on(by(set))
}

async fn get(
    world: Arc<World>,
    _: Call,
    request: DomainGetInterfaceParameters,
) -> Result<DomainGetInterfaceParametersReply> {
    let known = Impact::all().bits() | TYPED_STRINGS;
    check_flags(request.flags, known, "virDomainGetInterfaceParameters")?;
    let (_, snapshot) = find(&*world, &request.dom)?;
    let def = definition_of(request.flags & !TYPED_STRINGS, &snapshot)?;
    // Clients ask first how much room they need.
    let mut bandwidth = match request.nparams {
        0 => Box::default(),
        _ => named::interface(&def, &request.device)?.bandwidth.clone().unwrap_or_default(),
    };
    let params = ROWS.map(|row| {
        let rate = if row.inbound { &mut bandwidth.inbound } else { &mut bandwidth.outbound };
        let value = rate.as_mut().and_then(|rate| *(row.place)(rate)).unwrap_or_default();
        TypedParam::new(row.name, u32::try_from(value).unwrap_or(u32::MAX))
    });
    let (params, nparams) = no_more_than(request.nparams, params.into());
    Ok(DomainGetInterfaceParametersReply { params, nparams })
}

/// The two directions of a call, as far as it names them.
#[derive(Default)]
struct Wish {
    inbound: Option<Rate>,
    outbound: Option<Rate>,
}

impl Wish {
    fn of(params: &[TypedParam]) -> Result<Self> {
        let mut wish = Self::default();
        for param in params {
            let field = &*param.field;
            let invalid = |text: String| Error::new(ErrorCode::InvalidArg, text);
            let row = ROWS.iter().find(|row| row.name == field);
            let row = row.ok_or_else(|| Error::unknown_param(field))?;
            let value = param.value.as_u64().ok_or_else(|| {
                invalid(format!("invalid type for parameter '{field}', a number is expected"))
            })?;
            let rate = if row.inbound { &mut wish.inbound } else { &mut wish.outbound };
            *(row.place)(rate.get_or_insert_default()) = (value > 0).then_some(value);
        }
        Ok(wish)
    }

    /// Limits without an average or a floor lift what was set.
    fn note(&self, bandwidth: &mut Bandwidth) {
        if let Some(rate) = &self.inbound {
            let holds = rate.average.is_some() || rate.floor.is_some();
            bandwidth.inbound = holds.then(|| rate.clone());
        }
        if let Some(rate) = &self.outbound {
            bandwidth.outbound = rate.average.map(|_| rate.clone());
        }
    }
}

async fn set(world: Arc<World>, _: Call, request: DomainSetInterfaceParameters) -> Result<()> {
    let wish = Wish::of(&request.params)?;
    let name = "virDomainSetInterfaceParameters";
    let noted = change(&world, &request.dom, request.flags, name, move |def| {
        let mac = named::interface(def, &request.device)?.mac_address();
        let mut cards = def.body.devices.interfaces.iter_mut();
        if let Some(card) = cards.find(|card| card.mac_address() == mac) {
            let mut bandwidth = card.bandwidth.take().unwrap_or_default();
            wish.note(&mut bandwidth);
            let holds = bandwidth.inbound.is_some() || bandwidth.outbound.is_some();
            card.bandwidth = holds.then_some(bandwidth);
        }
        Ok(())
    });
    noted.await
}
