// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Computations with CPU models. The descriptions of models are those that libvirt installed on this machine.

use std::sync::Arc;

use serde_json::{Deserializer, Value};
use virtus_api::Error;
use virtus_domain::cpu::x86::{Decode, Kind, Registers, Signature};
use virtus_domain::cpu::{Baseline, Comparison, CpuMap, Profile, UsableModel};
use virtus_qemu::caps::Accelerator;
use virtus_qemu::cpu::Offer;
use virtus_xml::domain::cpu::{CpuCheck, CpuMatch, Fallback, FeaturePolicy};
use virtus_xml::{CpuDocument, Document, FormatFlags, ParseFlags};

use super::cpu_hosts;
use crate::{Case, Corpus, Verdict, compare};

fn map() -> Result<Arc<CpuMap>, String> {
    cpu_hosts::map().map_err(said)
}

fn said(error: Error) -> String {
    format!("ERROR {error}")
}

fn arch(case: &Case) -> &str {
    case.param("arch").unwrap_or_default()
}

fn document(text: &str) -> Result<CpuDocument, Error> {
    CpuDocument::parse(text, ParseFlags::empty()).map(|parsed| parsed.value)
}

fn profile(corpus: &Corpus, path: &str) -> Result<Profile, String> {
    document(&corpus.read(path)?).map(|cpu| Profile::of(&cpu)).map_err(said)
}

fn host(corpus: &Corpus, case: &Case) -> Result<Profile, String> {
    profile(corpus, case.param("host").ok_or("the case has no host")?)
}

/// The result as text; what a profile does not know is as in `around`.
fn guest_text(profile: &Profile, around: Option<&CpuDocument>) -> String {
    let mut cpu = profile.to_guest();
    if let Some(CpuDocument::Guest(around)) = around {
        cpu.topology.clone_from(&around.topology);
        cpu.numa.clone_from(&around.numa);
        cpu.cache.clone_from(&around.cache);
    }
    CpuDocument::Guest(Box::new(cpu)).format(FormatFlags::empty())
}

/// A result, or the refusal that the case expects.
fn result(corpus: &Corpus, case: &Case, actual: Result<String, Error>) -> Verdict {
    if case.expect == "error" {
        return compare::refused(&actual);
    }
    compare::text(&case.read_expected(corpus, "xml")?, &actual.map_err(said)?)
}

pub(super) fn comparison(corpus: &Corpus, case: &Case) -> Verdict {
    let (map, host) = (map()?, host(corpus, case)?);
    let verdict = profile(corpus, case.input("cpu")?)
        .and_then(|cpu| map.compare(arch(case), &host, &cpu).map_err(said));
    let word = match &verdict {
        Ok(Comparison::Identical) => "identical",
        Ok(Comparison::Superset) => "superset",
        Ok(Comparison::Incompatible(_)) => "incompatible",
        Err(_) => "error",
    };
    compare::text(case.param("result").unwrap_or_default(), word)
        .map_err(|difference| format!("{difference}{verdict:?}"))
}

pub(super) fn update(corpus: &Corpus, case: &Case) -> Verdict {
    let (map, host) = (map()?, host(corpus, case)?);
    let around = document(&case.read_input(corpus, "cpu")?).map_err(said)?;
    let mut cpu = Profile::of(&around);
    let host = map.migratable(arch(case), &host);
    let updated = map.update(arch(case), &mut cpu, Some(&host));
    result(corpus, case, updated.map(|()| guest_text(&cpu, Some(&around))))
}

pub(super) fn has_feature(corpus: &Corpus, case: &Case) -> Verdict {
    let name = case.param("feature").unwrap_or_default();
    let there = map()?.has_feature(arch(case), &host(corpus, case)?, name).map_err(said)?;
    compare::text(&case.params["result"].to_string(), &there.to_string())
}

pub(super) fn validate(corpus: &Corpus, case: &Case) -> Verdict {
    let cpu = profile(corpus, case.input("cpu")?)?;
    let checked = map()?.check_features(arch(case), &cpu.features);
    if case.expect == "error" { compare::refused(&checked) } else { checked.map_err(said) }
}

pub(super) fn baseline(corpus: &Corpus, case: &Case) -> Verdict {
    let map = map()?;
    let cpus = match case.input("cpus") {
        Ok(path) => several(&corpus.read(path)?)?,
        Err(_) => {
            let paths = case.words("cpus");
            paths.into_iter().map(|path| profile(corpus, path)).collect::<Result<_, _>>()?
        }
    };
    let how = Baseline { migratable: case.params["migratable"] == true, ..Baseline::default() };
    let expand = case.params["expand_features"] == true;
    let common = map.baseline(arch(case), &cpus, &how).and_then(|common| {
        for cpu in &cpus {
            let mut cpu = cpu.clone();
            cpu.host = true;
            map.compare(arch(case), &cpu, &common)?.check()?;
        }
        if expand { map.expand(arch(case), &common) } else { Ok(common) }
    });
    result(corpus, case, common.map(|common| guest_text(&common, None)))
}

/// The `<cpu>` elements of a `<cpuTest>`.
fn several(text: &str) -> Result<Vec<Profile>, String> {
    let pieces = text.split("<cpu>").skip(1).filter_map(|piece| piece.split_once("</cpu>"));
    let cpus = pieces.map(|(inside, _)| document(&format!("<cpu>{inside}</cpu>")));
    cpus.map(|cpu| cpu.map(|cpu| Profile::of(&cpu)).map_err(said)).collect()
}

pub(super) fn guest(corpus: &Corpus, case: &Case) -> Verdict {
    let (map, host) = (map()?, host(corpus, case)?);
    let around = document(&case.read_input(corpus, "cpu")?).map_err(said)?;
    let named = case.words("usable_models").into_iter();
    let models: Vec<_> =
        named.map(|name| UsableModel { name: name.to_owned(), ..UsableModel::default() }).collect();
    let models = case.params["usable_models"].is_array().then_some(models.as_slice());
    let mut cpu = Profile::of(&around);
    map.modernise(arch(case), &mut cpu);
    let made = map
        .compare(arch(case), &host, &cpu)
        .and_then(Comparison::check)
        .and_then(|()| map.update(arch(case), &mut cpu, Some(&host)))
        .and_then(|()| map.translate(arch(case), &mut cpu, models));
    result(corpus, case, made.map(|()| guest_text(&cpu, Some(&around))))
}

fn registers(corpus: &Corpus, case: &Case, role: &str) -> Result<Registers, String> {
    Registers::parse(&case.read_input(corpus, role)?).map_err(said)
}

/// What the QEMU of the case answered; `None` if the case has none.
fn replies(corpus: &Corpus, case: &Case) -> Result<Option<Accelerator>, String> {
    let Ok(path) = case.input("qemu_replies") else { return Ok(None) };
    let text = corpus.read(path)?;
    let replies: Vec<Value> = Deserializer::from_str(&text)
        .into_iter()
        .collect::<Result<_, _>>()
        .map_err(|cause| cause.to_string())?;
    let [expansion, rest @ ..] = replies.as_slice() else { return Err("no replies".to_owned()) };
    let definitions = rest.first().map(|reply| &reply["return"]);
    Ok(Some(Accelerator::of_cpu_replies(&expansion["return"], definitions, arch(case))))
}

fn models(case: &Case, known: Option<&Accelerator>) -> Option<Vec<UsableModel>> {
    Offer { arch: arch(case), known: known? }.usable_models()
}

/// The registers of the best CPU of the case's QEMU.
fn offered(case: &Case, map: &CpuMap, known: Option<&Accelerator>) -> Result<Registers, String> {
    let known = known.ok_or("the case has no replies")?;
    let registers = Offer { arch: arch(case), known }.registers(&map.x86, false).map_err(said)?;
    registers.ok_or_else(|| "QEMU told no CPU".to_owned())
}

pub(super) fn decode(corpus: &Corpus, case: &Case) -> Verdict {
    let map = map()?;
    let registers = registers(corpus, case, "cpuid")?;
    let host = case.param("cpu_type") == Some("host");
    let known = replies(corpus, case)?.filter(|_| case.params["use_qemu_models"] == true);
    let models = models(case, known.as_ref());
    let how = Decode {
        kind: if host { Kind::Host } else { Kind::Guest },
        models: models.as_deref(),
        ..Decode::default()
    };
    let found = map.x86.decode(&registers, &how).map_err(said)?;
    let actual = if host {
        let found = Profile { arch: Some(arch(case).to_owned()), ..found };
        CpuDocument::Host(Box::new(found.to_host())).format(FormatFlags::empty())
    } else {
        guest_text(&strict(found), None)
    };
    compare::text(&case.read_expected(corpus, "xml")?, &actual)
}

/// As the suite asks for guests: this model and no other.
fn strict(found: Profile) -> Profile {
    let (matches, fallback) = (Some(CpuMatch::Exact), Some(Fallback::Forbid));
    Profile { matches, fallback, ..found }
}

fn signature_text(registers: &Registers) -> String {
    let eax = registers.signature();
    let Signature { family, model, stepping } = Signature::of_cpuid(eax);
    let eax = Signature { family, model, stepping }.to_cpuid();
    format!(
        "{eax:06x}\nfamily:   {family:3} (0x{family:02x})\nmodel:    {model:3} (0x{model:02x})\n\
         stepping: {stepping:3} (0x{stepping:02x})\n"
    )
}

pub(super) fn signature(corpus: &Corpus, case: &Case) -> Verdict {
    let registers = registers(corpus, case, "cpuid")?;
    compare::text(&case.read_expected(corpus, "sig")?, &signature_text(&registers))
}

pub(super) fn qemu(corpus: &Corpus, case: &Case) -> Verdict {
    let (map, known) = (map()?, replies(corpus, case)?);
    let models = models(case, known.as_ref());
    let how = Decode { models: models.as_deref(), ..Decode::default() };
    let registers = offered(case, &map, known.as_ref())?;
    let found = map.x86.decode(&registers, &how).map_err(said)?;
    compare::text(&case.read_expected(corpus, "xml")?, &guest_text(&strict(found), None))
}

pub(super) fn qemu_signature(corpus: &Corpus, case: &Case) -> Verdict {
    let registers = offered(case, &*map()?, replies(corpus, case)?.as_ref())?;
    compare::text(&case.read_expected(corpus, "sig")?, &signature_text(&registers))
}

/// What a guest of the model that libvirt chose gets from QEMU is what QEMU says that it would get.
pub(super) fn update_live(corpus: &Corpus, case: &Case) -> Verdict {
    let map = map()?;
    let (enabled, disabled) =
        (registers(corpus, case, "enabled")?, registers(corpus, case, "disabled")?);
    let mut cpu = profile(corpus, case.input("guest_cpu")?)?;
    map.x86.update_live(&mut cpu, &enabled, &disabled, CpuCheck::Partial).map_err(said)?;
    let wanted = case.expected("equivalent_to").ok_or("the case expects nothing")?;
    let wanted = profile(corpus, wanted)?;
    if cpu.model != wanted.model {
        let models = models(case, replies(corpus, case)?.as_ref());
        let bits = map.x86.bits_of(&cpu).map_err(said)?;
        let model = wanted.model.clone().into_iter().collect::<Vec<_>>();
        let how = Decode { models: models.as_deref(), preferred: &model, ..Decode::default() };
        cpu = map.x86.decode(&bits, &how).map_err(said)?;
    }
    let on = |cpu: &Profile| -> Result<String, String> {
        let expanded = map.x86.expand(cpu).map_err(said)?;
        let on = expanded.features.iter().filter(|f| f.policy == Some(FeaturePolicy::Require));
        let mut names: Vec<_> = on.map(|feature| feature.name.clone()).collect();
        names.sort();
        Ok(format!("{:?}\n{}", cpu.model, names.join("\n")))
    };
    compare::text(&on(&wanted)?, &on(&cpu)?)
}
