// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The CPUs of libvirt's suite: descriptions of models as libvirt installed them here, hosts as the suite makes them up.

use std::fs;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use serde_json::Value;
use virtus_api::{Error, Result};
use virtus_domain::cpu::{CpuMap, Profile};
use virtus_qemu::cpu::Cpus;
use virtus_xml::domain::cpu::FeaturePolicy;

/// The descriptions of models; an error where libvirt-common is not installed.
pub(super) fn map() -> Result<Arc<CpuMap>> {
    static MAP: OnceLock<Result<Arc<CpuMap>>> = OnceLock::new();
    let load = || {
        let folder = Path::new("/usr/share/libvirt/cpu_map");
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read_to_string(&path).map_err(|cause| Error::system(path.display(), &cause))
        };
        CpuMap::load(read).map(Arc::new)
    };
    MAP.get_or_init(load).clone()
}

/// Model, maker, and the features that it has besides.
const HOSTS: [(&str, Option<&str>, &str); 6] = [
    ("core2duo", Some("Intel"), "ds acpi ss ht tm pbe ds_cpl vmx est tm2 cx16 xtpr lahf_lm"),
    (
        "Haswell",
        Some("Intel"),
        "vme ds acpi ss ht tm pbe dtes64 monitor ds_cpl vmx smx est tm2 xtpr pdcm osxsave f16c rdrand cmt pdpe1gb abm \
         invtsc lahf_lm",
    ),
    ("Broadwell", None, ""),
    ("POWER8", None, ""),
    ("POWER9", None, ""),
    ("POWER10", None, ""),
];

/// The host CPU of that name.
pub(super) fn named(name: &str) -> Option<Profile> {
    let (model, vendor, features) = HOSTS.into_iter().find(|host| host.0 == name)?;
    let mut host = Profile {
        host: true,
        model: Some(model.to_owned()),
        vendor: vendor.map(str::to_owned),
        ..Profile::default()
    };
    for feature in features.split_whitespace() {
        host.set(feature, FeaturePolicy::Require);
    }
    Some(host)
}

/// What a case's host has; `x86` is the CPU of hosts of that architecture unless the case names another.
pub(super) fn cpus(params: &Value, x86: &str) -> Result<Cpus> {
    let arch = params["arch"].as_str().unwrap_or("x86_64");
    let usual = match arch {
        "x86_64" | "i686" => Some(x86),
        "ppc64" | "ppc64le" => Some("POWER8"),
        _ => None,
    };
    Ok(Cpus {
        map: map()?,
        arch: arch.to_owned(),
        host: params["host_cpu"].as_str().or(usual).and_then(named),
        address_bits: if arch == "s390x" { 0 } else { 64 },
    })
}
