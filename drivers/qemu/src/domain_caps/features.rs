// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What else a guest or the driver can do.

use virtus_xml::domain_capabilities::{
    Facility, FeatureFacilities, Sev, Sgx, SgxSection, SgxSections,
};
use virtus_xml::units::Kib;
use virtus_xml::value::YesNo;

use super::{Asked, Host, facility, variants};
use crate::caps::{Accel, Flag, SevInfo, SgxInfo};
use crate::machine;

pub(super) fn features(asked: &Asked<'_>, host: &Host) -> FeatureFacilities {
    let there = |flag| Some(facility(asked.has(flag)));
    let caps = asked.caps;
    FeatureFacilities {
        gic: Some(gic(asked)),
        vmcoreinfo: there(Flag::Vmcoreinfo),
        genid: there(Flag::Vmgenid),
        backing_store_input: Some(Facility::yes()),
        backup: Some(Facility::yes()),
        async_teardown: there(Flag::RunWithAsyncTeardown),
        s390_pv: machine::is_s390(&asked.guest).then(|| facility(asked.has(Flag::S390PvGuest))),
        ps2: Some(facility(machine::has_ps2(&asked.guest))),
        sev: Some(caps.sev.as_ref().map(|info| sev(info, host)).unwrap_or_default()),
        sgx: Some(caps.sgx.as_ref().map(sgx).unwrap_or_default()),
        hyperv: caps.hyperv.as_ref().map(|known| match known.supported {
            true => Facility::yes().with("features", &known.features),
            false => Facility::no(),
        }),
        launch_security: Some(launch_security(asked)),
    }
}

fn gic(asked: &Asked<'_>) -> Facility {
    if !machine::is_arm_virt(&asked.guest) {
        return Facility::no();
    }
    let usable = asked.caps.gic.iter().filter(|gic| match asked.wanted.accel {
        Accel::Kvm => gic.kernel,
        _ => gic.emulated,
    });
    let versions: Vec<_> = usable.map(|gic| gic.version).collect();
    if versions.is_empty() { Facility::no() } else { Facility::yes().with("version", versions) }
}

fn sev(info: &SevInfo, host: &Host) -> Sev {
    Sev {
        supported: YesNo::Yes,
        cbitpos: Some(info.cbitpos),
        reduced_phys_bits: Some(info.reduced_phys_bits),
        max_guests: host.sev_guests.map(|guests| guests.0),
        max_es_guests: host.sev_guests.map(|guests| guests.1),
        cpu0_id: info.cpu0_id.clone(),
    }
}

fn sgx(info: &SgxInfo) -> Sgx {
    let word = |there: bool| Some(if there { YesNo::Yes } else { YesNo::No });
    let sections = info.sections.iter().map(|section| SgxSection {
        node: section.node,
        size: section.size,
        unit: Some("KiB".to_owned()),
    });
    Sgx {
        supported: YesNo::Yes,
        flc: word(info.flc),
        sgx1: word(info.sgx1),
        sgx2: word(info.sgx2),
        section_size: Some(Kib(info.section_size)),
        sections: Some(SgxSections { sections: sections.collect() })
            .filter(|all| !all.sections.is_empty()),
    }
}

fn launch_security(asked: &Asked<'_>) -> Facility {
    let mut kinds = Vec::new();
    if asked.caps.sev.is_some() {
        kinds.extend(asked.known(&[("sev", Flag::SevGuest), ("sev-snp", Flag::SevSnpGuest)]));
    }
    kinds.extend(asked.known(&[("s390-pv", Flag::S390PvGuest)]));
    variants("sectype", kinds)
}
