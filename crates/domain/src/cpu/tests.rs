// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A small world of models, and what is computed with it.

use virtus_xml::domain::cpu::{CpuMatch, CpuMode, FeaturePolicy};

use super::x86::{Decode, Kind, Register, Registers, Signature};
use super::{Baseline, Comparison, CpuMap, Profile, UsableModel};

const INDEX: &str = "<cpus>
  <arch name='x86'><include filename='x86'/></arch>
  <arch name='ppc64'><include filename='power'/></arch>
</cpus>";
const X86: &str = "<cpus>
  <vendor name='Acme' string='AcmeAcmeAcme'/>
  <feature name='add'><cpuid eax_in='1' edx='0x1'/></feature>
  <feature name='multiply'><cpuid eax_in='1' edx='0x2'/></feature>
  <feature name='divide'><cpuid eax_in='7' ecx_in='1' ebx='0x80000000'/></feature>
  <feature name='clock' migratable='no'><msr index='0x10' eax='0x0' edx='0x8'/></feature>
  <model name='old'>
    <decode host='on' guest='on'/><feature name='add'/><feature name='clock' removed='yes'/>
  </model>
  <model name='new'>
    <decode host='on' guest='on'/>
    <model name='old'/>
    <signature family='21' model='33' stepping='2-3'/>
    <vendor name='Acme'/>
    <feature name='multiply'/><feature name='divide'/>
  </model>
  <model name='new-v1'><decode host='on' guest='off'/><model name='new'/></model>
</cpus>";
const POWER: &str = "<cpus>
  <vendor name='IBM'/>
  <model name='POWER8'><vendor name='IBM'/><pvr value='0x4b0000' mask='0xffff0000'/></model>
  <model name='POWER9'><vendor name='IBM'/><pvr value='0x4e0000' mask='0xffff0000'/></model>
</cpus>";

fn map() -> CpuMap {
    let text = |name: &str| {
        Ok(match name {
            "index.xml" => INDEX,
            "x86" => X86,
            _ => POWER,
        }
        .to_owned())
    };
    CpuMap::load(text).unwrap()
}

fn cpu(model: &str, features: &[(&str, FeaturePolicy)]) -> Profile {
    let mut cpu = Profile { model: Some(model.to_owned()), ..Profile::default() };
    features.iter().for_each(|(name, policy)| cpu.set(name, *policy));
    cpu
}

/// `model +on -off`.
fn shown(cpu: &Profile) -> String {
    let mut text = cpu.model.clone().unwrap_or_default();
    for feature in &cpu.features {
        let mark = if feature.policy == Some(FeaturePolicy::Disable) { '-' } else { '+' };
        text.push_str(&format!(" {mark}{}", feature.name));
    }
    text
}

fn registers(leaf_1: [u32; 4], leaf_7: u32, msr: u32) -> Registers {
    let mut bits = Registers::of_vendor("AcmeAcmeAcme").unwrap();
    bits.insert(Register::Leaf { eax: 1, ecx: 0 }, leaf_1);
    bits.insert(Register::Leaf { eax: 7, ecx: 1 }, [0, leaf_7, 0, 0]);
    bits.insert(Register::Msr(0x10), [0, 0, 0, msr]);
    bits
}

#[test]
fn signatures_are_packed_as_cpuid_packs_them() {
    let signature = Signature { family: 21, model: 33, stepping: 2 };
    assert_eq!(signature.to_cpuid(), 0x0062_0f12);
    assert_eq!(Signature::of_cpuid(0x0062_0f12), signature);
}

#[test]
fn a_cpu_is_described_by_the_nearest_model() {
    let map = map();
    let decode = |bits: &Registers, kind, models: Option<&[UsableModel]>| {
        let found = map.x86.decode(bits, &Decode { kind, models, ..Decode::default() }).unwrap();
        assert_eq!(found.vendor.as_deref(), Some("Acme"));
        shown(&found)
    };
    let all = registers([0x0062_0f12, 0, 0, 3], 1 << 31, 8);
    assert_eq!(decode(&all, Kind::Host, None), "new-v1 +clock");
    assert_eq!(decode(&all, Kind::Guest, None), "new +clock");
    let old = [UsableModel { name: "old".to_owned(), ..UsableModel::default() }];
    assert_eq!(decode(&all, Kind::Guest, Some(&old)), "old +multiply +divide +clock");
    // A guest may do without; a host has what it has.
    let some = registers([0x0062_0f12, 0, 0, 1], 1 << 31, 0);
    assert_eq!(decode(&some, Kind::Guest, None), "new -multiply");
    assert_eq!(decode(&some, Kind::Host, None), "old +divide");
    // What the hypervisor's model needs and the host lacks is off.
    let blocked = [UsableModel { name: "new".to_owned(), blockers: vec!["clock".to_owned()] }];
    let most = registers([0, 0, 0, 3], 1 << 31, 0);
    assert_eq!(decode(&most, Kind::Guest, Some(&blocked)), "new -clock");
}

#[test]
fn comparison_says_what_is_missing() {
    let map = map();
    let host = Profile { host: true, ..cpu("new", &[]) };
    let compare = |guest: &Profile| map.compare("x86_64", &host, guest).unwrap();
    assert_eq!(compare(&cpu("new", &[])), Comparison::Identical);
    assert_eq!(compare(&cpu("old", &[])), Comparison::Superset);
    let strict = Profile { matches: Some(CpuMatch::Strict), ..cpu("old", &[]) };
    let Comparison::Incompatible(why) = compare(&strict) else { panic!() };
    assert!(why.ends_with("Extra features: multiply, divide"), "{why}");
    let Comparison::Incompatible(why) = compare(&cpu("new", &[("clock", FeaturePolicy::Require)]))
    else {
        panic!()
    };
    assert!(why.ends_with("required features: clock"), "{why}");
    let forbid = cpu("old", &[("divide", FeaturePolicy::Forbid)]);
    assert!(matches!(compare(&forbid), Comparison::Incompatible(_)));
    assert!(map.compare("x86_64", &host, &cpu("unheard", &[])).is_err());
}

#[test]
fn a_definition_that_depends_on_the_host_becomes_concrete() {
    let map = map();
    let host = cpu("new", &[("clock", FeaturePolicy::Require)]);
    let updated = |mut cpu: Profile| {
        map.update("x86_64", &mut cpu, Some(&host)).unwrap();
        shown(&cpu)
    };
    let optional = [("multiply", FeaturePolicy::Optional), ("clock", FeaturePolicy::Disable)];
    assert_eq!(updated(cpu("old", &optional)), "old +multiply -clock");
    assert_eq!(updated(cpu("old", &[])), "old -clock");
    let host_model = Profile { mode: Some(CpuMode::HostModel), ..Profile::default() };
    assert_eq!(updated(host_model.clone()), "new +clock");
    assert!(map.update("x86_64", &mut host_model.clone(), None).is_err());
    assert_eq!(shown(&map.migratable("x86_64", &host)), "new");
}

#[test]
fn several_hosts_have_a_common_cpu() {
    let map = map();
    let baseline = |cpus: &[Profile]| map.baseline("x86_64", cpus, &Baseline::default());
    let common = baseline(&[cpu("new", &[]), cpu("old", &[("divide", FeaturePolicy::Require)])]);
    assert_eq!(shown(&common.unwrap()), "new -multiply");
    assert!(baseline(&[]).is_err());
}

#[test]
fn power_runs_as_older_power() {
    let map = map();
    let host = map.of_pvr(0x004e_1202).unwrap();
    assert_eq!(host.model.as_deref(), Some("POWER9"));
    let as_older = |older: &str| {
        let cpu = Profile { mode: Some(CpuMode::HostModel), ..cpu(older, &[]) };
        map.compare("ppc64le", &host, &cpu)
    };
    assert_eq!(as_older("power8").unwrap(), Comparison::Identical);
    assert!(matches!(as_older("power10").unwrap(), Comparison::Incompatible(_)));
    assert!(as_older("power").is_err());
}
