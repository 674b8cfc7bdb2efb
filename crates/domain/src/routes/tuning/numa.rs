// SPDX-License-Identifier: Apache-2.0 OR MIT
//! From which NUMA nodes of the host a guest's memory comes.

use std::sync::Arc;

use virtus_api::params::domain_numa as name;
use virtus_api::{
    DomainGetNumaParameters, DomainGetNumaParametersReply, DomainModificationImpact as Impact,
    DomainNumatuneMemMode as Mode, DomainSetNumaParameters, Error, ErrorCode, ErrorDomain, Result,
    TypedParam,
};
use virtus_core::{Call, Routes};
use virtus_xml::Domain;
use virtus_xml::cpuset::CpuSet;
use virtus_xml::domain::memory::{NumaMemory, NumaMode, Numatune, Placement};
use virtus_xml::value::Value;

use super::super::{HasMachines, amend, by, check_flags, definition_of, find};
use super::{TYPED_STRINGS, no_more_than};
use crate::tuner::Tuner;

pub(super) fn routes<D: HasMachines>() -> Routes<D>
where
    D::Machine: Tuner,
{
    Routes::new().on(by(get::<D>)).on(by(set::<D>))
}

fn mode_number(mode: NumaMode) -> Mode {
    match mode {
        NumaMode::Strict => Mode::Strict,
        NumaMode::Preferred => Mode::Preferred,
        NumaMode::Interleave => Mode::Interleave,
        NumaMode::Restrictive => Mode::Restrictive,
    }
}

fn mode_of(number: Mode) -> NumaMode {
    match number {
        Mode::Strict => NumaMode::Strict,
        Mode::Preferred => NumaMode::Preferred,
        Mode::Interleave => NumaMode::Interleave,
        Mode::Restrictive => NumaMode::Restrictive,
    }
}

fn memory_of(def: &Domain) -> NumaMemory {
    def.numatune.as_ref().and_then(|tune| tune.memory.clone()).unwrap_or_default()
}

async fn get<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainGetNumaParameters,
) -> Result<DomainGetNumaParametersReply>
where
    D::Machine: Tuner,
{
    let known = Impact::all().bits() | TYPED_STRINGS;
    check_flags(request.flags, known, "virDomainGetNumaParameters")?;
    let (_, snapshot) = find(&*driver, &request.dom)?;
    let def = definition_of(request.flags & !TYPED_STRINGS, &snapshot)?;
    let memory = memory_of(&def);
    let nodes = memory.nodeset.map(|nodes| nodes.to_string()).unwrap_or_default();
    let params = vec![
        TypedParam::new(name::MODE, mode_number(memory.mode).number()),
        TypedParam::new(name::NODESET, nodes),
    ];
    let (params, nparams) = no_more_than(request.nparams, params);
    Ok(DomainGetNumaParametersReply { params, nparams })
}

/// What a call wants to change.
#[derive(Debug, Clone, PartialEq, Default)]
struct Change {
    mode: Option<NumaMode>,
    nodes: Option<CpuSet>,
}

impl Change {
    fn of(params: &[TypedParam]) -> Result<Self> {
        let mut change = Self::default();
        for param in params {
            match &*param.field {
                name::MODE => {
                    let invalid = |text: String| Error::new(ErrorCode::InvalidArg, text);
                    let number = param.value.as_i64().ok_or_else(|| {
                        invalid(format!(
                            "invalid type for parameter '{}', a number is expected",
                            name::MODE
                        ))
                    })?;
                    let mode =
                        i32::try_from(number).ok().and_then(|mode| Mode::try_from(mode).ok());
                    let mode = mode
                        .ok_or_else(|| invalid(format!("unsupported numatune mode: '{number}'")))?;
                    change.mode = Some(mode_of(mode));
                }
                name::NODESET => {
                    let text = param.value.as_str().unwrap_or_default();
                    let invalid = |text: String| {
                        Error::new(ErrorCode::InvalidArg, text)
                            .hint("write node numbers, such as 0-1,3")
                    };
                    let nodes = CpuSet::parse(text)
                        .ok_or_else(|| invalid(format!("Failed to parse bitmap '{text}'")))?;
                    if nodes.is_empty() {
                        return Err(invalid(format!("Invalid nodeset of 'numatune': {text}")));
                    }
                    change.nodes = Some(nodes);
                }
                field => return Err(Error::unknown_param(field)),
            }
        }
        Ok(change)
    }

    fn note(&self, def: &mut Domain) -> Result<()> {
        let mut memory = memory_of(def);
        if let Some(mode) = self.mode {
            memory.mode = mode;
        }
        if let Some(nodes) = &self.nodes {
            memory.nodeset = Some(nodes.clone());
            memory.placement = Some(Placement::Static);
        }
        if memory.nodeset.is_none() && memory.placement != Some(Placement::Auto) {
            let text = "nodeset for NUMA memory tuning must be set if 'placement' is 'static'";
            return Err(Error::new(ErrorCode::ConfigUnsupported, text)
                .in_domain(ErrorDomain::Domain)
                .hint("name the nodes with '--nodeset'"));
        }
        def.numatune.get_or_insert_with(Numatune::default).memory = Some(memory);
        Ok(())
    }
}

async fn set<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainSetNumaParameters,
) -> Result<()>
where
    D::Machine: Tuner,
{
    const NAME: &str = "virDomainSetNumaParameters";
    let change = Arc::new(Change::of(&request.params)?);
    let noted = change.clone();
    let note = move |def: &mut Domain| noted.note(def);
    let apply = move |machine: &D::Machine, guest: &_, before: &Domain, _: &_| {
        let mode = memory_of(before).mode;
        if change.mode.is_some_and(|wanted| wanted != mode) {
            let text = "can't change numatune mode for running domain";
            return Err(Error::new(ErrorCode::OperationInvalid, text));
        }
        let nodes = change.nodes.as_ref();
        nodes.map_or(Ok(()), |nodes| machine.set_memory_nodes(guest, mode, nodes))
    };
    amend(&*driver, &request.dom, request.flags, NAME, note, apply).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_and_nodes_are_read() {
        let change = Change::of(&[
            TypedParam::new(name::MODE, Mode::Interleave.number()),
            TypedParam::new(name::NODESET, "0,2-3"),
        ])
        .unwrap();
        let mut def = Domain::default();
        change.note(&mut def).unwrap();
        let memory = memory_of(&def);
        assert_eq!(memory.mode, NumaMode::Interleave);
        assert_eq!(memory.nodeset.unwrap().to_string(), "0,2-3");
        assert!(Change::of(&[TypedParam::new(name::NODESET, "")]).is_err());
        let error = Change::of(&[TypedParam::new(name::MODE, 99)]).unwrap_err();
        assert_eq!(error.text(), "unsupported numatune mode: '99'");
    }
}
