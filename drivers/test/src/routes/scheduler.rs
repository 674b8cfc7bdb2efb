// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The scheduler of guests: a fair one, whose weight is 50 whatever anybody wishes.

use std::sync::Arc;

use virtus_api::params::domain_scheduler as name;
use virtus_api::{
    DomainGetSchedulerParameters, DomainGetSchedulerParametersFlags, DomainGetSchedulerType,
    DomainGetSchedulerTypeReply, DomainModificationImpact as Impact, DomainRef,
    DomainSetSchedulerParameters, DomainSetSchedulerParametersFlags, Error, Result, TypedParam,
};
use virtus_core::{Call, Routes};
use virtus_domain::routes::{by, check_flags, find};

use crate::world::World;

/// Clients that can read texts say so; nothing here is one.
const TYPED_STRINGS: u32 = 4;
const WEIGHT: u32 = 50;

/// The routes of this file.
pub(super) fn routes() -> Routes<World> {
    Routes::new().on(by(kind)).on(by(get)).on(by(get_flags)).on(by(set)).on(by(set_flags))
}

async fn kind(
    world: Arc<World>,
    _: Call,
    request: DomainGetSchedulerType,
) -> Result<DomainGetSchedulerTypeReply> {
    find(&*world, &request.dom)?;
    Ok(DomainGetSchedulerTypeReply { r#type: "fair".to_owned(), nparams: 1 })
}

fn weight(world: &World, dom: &DomainRef) -> Result<Vec<TypedParam>> {
    find(world, dom)?;
    Ok(vec![TypedParam::new(name::WEIGHT, WEIGHT)])
}

async fn get(
    world: Arc<World>,
    _: Call,
    request: DomainGetSchedulerParameters,
) -> Result<Vec<TypedParam>> {
    weight(&world, &request.dom)
}

async fn get_flags(
    world: Arc<World>,
    _: Call,
    request: DomainGetSchedulerParametersFlags,
) -> Result<Vec<TypedParam>> {
    let known = Impact::all().bits() | TYPED_STRINGS;
    check_flags(request.flags, known, "virDomainGetSchedulerParametersFlags")?;
    weight(&world, &request.dom)
}

async fn set(world: Arc<World>, _: Call, request: DomainSetSchedulerParameters) -> Result<()> {
    keep_weight(&world, &request.dom, &request.params)
}

async fn set_flags(
    world: Arc<World>,
    _: Call,
    request: DomainSetSchedulerParametersFlags,
) -> Result<()> {
    check_flags(request.flags, Impact::all().bits(), "virDomainSetSchedulerParametersFlags")?;
    keep_weight(&world, &request.dom, &request.params)
}

fn keep_weight(world: &World, dom: &DomainRef, params: &[TypedParam]) -> Result<()> {
    find(world, dom)?;
    match params.iter().find(|param| param.field != name::WEIGHT) {
        None => Ok(()),
        Some(other) => Err(Error::unknown_param(&other.field)),
    }
}
