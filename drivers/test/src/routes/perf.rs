// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which performance counters watch a guest.

use std::sync::Arc;

use virtus_api::params::perf_events as name;
use virtus_api::{
    DomainGetPerfEvents, DomainModificationImpact as Impact, DomainSetPerfEvents, Error, ErrorCode,
    Result, TypedParam, TypedValue,
};
use virtus_core::{Call, Routes};
use virtus_domain::routes::{by, check_flags, definition_of, find};
use virtus_xml::domain::PerfEvent;
use virtus_xml::value::YesNo;

use super::change;
use crate::world::World;

/// Clients that can read texts say so; nothing here is one.
const TYPED_STRINGS: u32 = 4;

/// All counters, in the order in which clients print them.
const EVENTS: [&str; 22] = [
    name::CMT,
    name::MBMT,
    name::MBML,
    name::CPU_CYCLES,
    name::INSTRUCTIONS,
    name::CACHE_REFERENCES,
    name::CACHE_MISSES,
    name::BRANCH_INSTRUCTIONS,
    name::BRANCH_MISSES,
    name::BUS_CYCLES,
    name::STALLED_CYCLES_FRONTEND,
    name::STALLED_CYCLES_BACKEND,
    name::REF_CPU_CYCLES,
    name::CPU_CLOCK,
    name::TASK_CLOCK,
    name::PAGE_FAULTS,
    name::CONTEXT_SWITCHES,
    name::CPU_MIGRATIONS,
    name::PAGE_FAULTS_MIN,
    name::PAGE_FAULTS_MAJ,
    name::ALIGNMENT_FAULTS,
    name::EMULATION_FAULTS,
];

/// The routes of this file.
pub(super) fn routes() -> Routes<World> {
    Routes::new().on(by(get)).on(by(set))
}

async fn get(world: Arc<World>, _: Call, request: DomainGetPerfEvents) -> Result<Vec<TypedParam>> {
    let known = Impact::all().bits() | TYPED_STRINGS;
    check_flags(request.flags, known, "virDomainGetPerfEvents")?;
    let (_, snapshot) = find(&*world, &request.dom)?;
    let def = definition_of(request.flags & !TYPED_STRINGS, &snapshot)?;
    let told = def.perf.as_ref().map(|perf| perf.events.as_slice()).unwrap_or_default();
    let on = |name: &str| told.iter().any(|e| e.name == name && e.enabled == YesNo::Yes);
    Ok(EVENTS.map(|name| TypedParam::new(name, on(name))).into())
}

async fn set(world: Arc<World>, _: Call, request: DomainSetPerfEvents) -> Result<()> {
    let mut wanted = Vec::new();
    for param in &request.params {
        let field = &*param.field;
        let invalid = |text: String| Error::new(ErrorCode::InvalidArg, text);
        if !EVENTS.contains(&field) {
            return Err(Error::unknown_param(field));
        }
        let TypedValue::Boolean(on) = param.value else {
            let text = format!("invalid type for parameter '{field}', yes or no is expected");
            return Err(invalid(text));
        };
        wanted.push((field.to_owned(), on));
    }
    let name = "virDomainSetPerfEvents";
    let noted = change(&world, &request.dom, request.flags, name, move |def| {
        let events = &mut def.body.perf.get_or_insert_default().events;
        for (name, on) in &wanted {
            events.retain(|event| event.name != *name);
            events.push(PerfEvent { name: name.clone(), enabled: (*on).into() });
        }
        let place = |event: &PerfEvent| EVENTS.iter().position(|name| *name == event.name);
        events.sort_by_key(place);
        Ok(())
    });
    noted.await
}
