// SPDX-License-Identifier: Apache-2.0 OR MIT
//! CPU models: whether this host can run one, and what several hypervisors have in common.

use std::sync::Arc;

use virtus_api::{
    ConnectBaselineCpuFlags, ConnectBaselineHypervisorCpu, ConnectCompareCpu,
    ConnectCompareCpuFlags, ConnectCompareHypervisorCpu, CpuCompareResult, Error, ErrorCode,
    Result,
};
use virtus_core::{Call, Routes};
use virtus_domain::cpu::{Baseline, Comparison, CpuMap, Family, Profile};
use virtus_domain::routes::{
    HasCpuMap, baseline_document, baseline_flags, check_flags, cpu_profiles, cpu_routes,
};
use virtus_xml::domain::cpu::Fallback;
use virtus_xml::{CpuDocument, Document, ParseFlags};

use super::by;
use super::domain_capabilities::{Target, target};
use crate::cpu::{HostModel, Offer};
use crate::driver::QemuDriver;

/// The routes of this topic.
pub(super) fn routes() -> Routes<QemuDriver> {
    cpu_routes().on(by(compare)).on(by(compare_with_hypervisor)).on(by(baseline_for_hypervisor))
}

impl HasCpuMap for QemuDriver {
    async fn cpu_map(&self) -> Arc<CpuMap> {
        self.qemu.cpus.map.clone()
    }
}

async fn compare(driver: Arc<QemuDriver>, _: Call, request: ConnectCompareCpu) -> Result<i32> {
    let cpus = &driver.qemu.cpus;
    let host = cpus.host.clone().unwrap_or_default();
    let flags = request.flags;
    comparison(&cpus.map, &cpus.arch, &host, &request.xml, flags, "virConnectCompareCPU")
}

async fn compare_with_hypervisor(
    driver: Arc<QemuDriver>,
    _: Call,
    request: ConnectCompareHypervisorCpu,
) -> Result<i32> {
    let ConnectCompareHypervisorCpu { emulator, arch, machine, virttype, xml_cpu, flags } = request;
    let target = target(&driver, emulator, arch, machine, virttype).await?;
    only_x86(&target.arch, "comparing with the hypervisor's CPU")?;
    let host = host_model(&driver, &target)?;
    let call = "virConnectCompareHypervisorCPU";
    comparison(&driver.qemu.cpus.map, &target.arch, &host.reported, &xml_cpu, flags, call)
}

fn comparison(
    map: &CpuMap,
    arch: &str,
    host: &Profile,
    text: &str,
    flags: u32,
    call: &str,
) -> Result<i32> {
    check_flags(flags, ConnectCompareCpuFlags::all().bits(), call)?;
    let flags = ConnectCompareCpuFlags::from_bits_truncate(flags);
    let validate = flags.contains(ConnectCompareCpuFlags::VALIDATE_XML);
    let parse = if validate { ParseFlags::VALIDATE } else { ParseFlags::empty() };
    let cpu = Profile::of(&CpuDocument::parse(text, parse)?.value);
    let verdict = map.compare(arch, host, &cpu)?;
    if flags.contains(ConnectCompareCpuFlags::FAIL_INCOMPATIBLE) {
        verdict.clone().check()?;
    }
    let answer = match verdict {
        Comparison::Identical => CpuCompareResult::Identical,
        Comparison::Superset => CpuCompareResult::Superset,
        Comparison::Incompatible(why) => {
            tracing::debug!("the CPU is incompatible: {why}");
            CpuCompareResult::Incompatible
        }
    };
    Ok(answer.number())
}

async fn baseline_for_hypervisor(
    driver: Arc<QemuDriver>,
    _: Call,
    request: ConnectBaselineHypervisorCpu,
) -> Result<String> {
    let ConnectBaselineHypervisorCpu { emulator, arch, machine, virttype, xml_cp_us, flags } =
        request;
    let flags = baseline_flags(flags, "virConnectBaselineHypervisorCPU")?;
    let cpus = cpu_profiles(&xml_cp_us)?;
    let target = target(&driver, emulator, arch, machine, virttype).await?;
    only_x86(&target.arch, "computing a baseline of hypervisor CPUs")?;
    let migratable = flags.contains(ConnectBaselineCpuFlags::MIGRATABLE);
    let offer = offer(&target)?;
    let (models, features) = (offer.usable_models(), offer.features_on(migratable));
    let how = Baseline { models: models.as_deref(), features: features.as_deref(), migratable };
    let map = &driver.qemu.cpus.map;
    let common = map.baseline(&target.arch, &cpus, &how)?;
    let common = Profile { fallback: Some(Fallback::Forbid), ..common };
    baseline_document(map, &target.arch, common, flags)
}

fn offer(target: &Target) -> Result<Offer<'_>> {
    let known = target.caps.accelerator(target.accel).ok_or_else(|| {
        let text = format!("nothing is known of guests under '{}'", target.accel.name());
        Error::new(ErrorCode::OperationUnsupported, text)
    })?;
    Ok(Offer { arch: &target.arch, known })
}

fn host_model(driver: &QemuDriver, target: &Target) -> Result<HostModel> {
    let found = HostModel::of(&driver.qemu.cpus, offer(target)?)?;
    found.ok_or_else(|| {
        let text =
            format!("the CPU that '{}' gives guests has no model", target.caps.binary.display());
        Error::new(ErrorCode::OperationUnsupported, text)
    })
}

fn only_x86(arch: &str, attempt: &str) -> Result<()> {
    match Family::of(arch) {
        Some(Family::X86) => Ok(()),
        _ => Err(Error::new(
            ErrorCode::OperationUnsupported,
            format!("{attempt} is not supported for architecture {arch}"),
        )),
    }
}
