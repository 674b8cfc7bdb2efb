// SPDX-License-Identifier: Apache-2.0 OR MIT
//! CPU models as every hypervisor that knows libvirt's descriptions of them answers: which there are, and what
//! several hosts have in common.

use std::sync::Arc;

use tokio::task::spawn_blocking;
use virtus_api::{
    ConnectBaselineCpu, ConnectBaselineCpuFlags, ConnectGetCpuModelNames,
    ConnectGetCpuModelNamesReply, Error, ErrorCode, ErrorDomain, Result,
};
use virtus_core::{Call, Routes};
use virtus_xml::schema::{Described, kinds};
use virtus_xml::{CpuDocument, Document, FormatFlags, ParseFlags};

use super::{HasMachines, by, check_flags};
use crate::cpu::{Baseline, CpuMap, Family, Profile};

/// A driver that knows the descriptions of CPU models.
pub trait HasCpuMap: HasMachines {
    /// The descriptions.
    fn cpu_map(&self) -> impl Future<Output = Arc<CpuMap>> + Send;
}

/// What every such driver answers.
#[must_use]
pub fn cpu_routes<D: HasCpuMap>() -> Routes<D> {
    Routes::new().on(by(model_names::<D>)).on(by(baseline::<D>))
}

async fn model_names<D: HasCpuMap>(
    driver: Arc<D>,
    _: Call,
    request: ConnectGetCpuModelNames,
) -> Result<ConnectGetCpuModelNamesReply> {
    check_flags(request.flags, 0, "virConnectGetCPUModelNames")?;
    let arch = request.arch.as_str();
    check_arch(arch)?;
    let map = driver.cpu_map().await;
    // None: whatever the hypervisor knows.
    let models = map.models(arch).unwrap_or_default();
    let ret = i32::try_from(models.len()).unwrap_or(i32::MAX);
    let wanted = models.into_iter().filter(|_| request.need_results != 0);
    Ok(ConnectGetCpuModelNamesReply { models: wanted.map(str::to_owned).collect(), ret })
}

/// Refuses architectures of which nothing is known.
fn check_arch(arch: &str) -> Result<()> {
    if Family::of(arch).is_some() {
        return Ok(());
    }
    Err(if is_arch(arch) {
        let text = format!("'{arch}' architecture is not supported by CPU driver");
        Error::new(ErrorCode::NoSupport, text).in_domain(ErrorDomain::Cpu)
    } else {
        Error::new(ErrorCode::InvalidArg, format!("cannot find architecture {arch}"))
    })
}

fn is_arch(name: &str) -> bool {
    (kinds::Arch::KIND.accepts)(name)
}

async fn baseline<D: HasCpuMap>(
    driver: Arc<D>,
    _: Call,
    request: ConnectBaselineCpu,
) -> Result<String> {
    let flags = baseline_flags(request.flags, "virConnectBaselineCPU")?;
    let map = driver.cpu_map().await;
    // All models are tried on many documents.
    let computing = spawn_blocking(move || baseline_of(&map, &request.xml_cp_us, flags));
    computing.await.unwrap_or_else(|cause| {
        let text = format!("computing a baseline was broken off: {cause}");
        Err(Error::new(ErrorCode::InternalError, text).in_domain(ErrorDomain::Cpu))
    })
}

fn baseline_of(map: &CpuMap, texts: &[String], flags: ConnectBaselineCpuFlags) -> Result<String> {
    let cpus = cpu_profiles(texts)?;
    let lacks = |what: &'static str| {
        Error::new(ErrorCode::XmlError, what)
            .in_domain(ErrorDomain::Cpu)
            .hint("give the host's <cpu>, as 'virsh capabilities' has it")
    };
    if cpus.iter().any(|cpu| cpu.arch.is_none()) {
        return Err(lacks("Missing CPU architecture"));
    }
    if cpus.iter().any(|cpu| cpu.model.is_none()) {
        return Err(lacks("Missing CPU model name"));
    }
    let arch = cpus.first().and_then(|cpu| cpu.arch.clone()).unwrap_or_default();
    if !arch.is_empty() && !is_arch(&arch) {
        let text = format!("Unknown architecture {arch}");
        return Err(Error::new(ErrorCode::ConfigUnsupported, text).in_domain(ErrorDomain::Cpu));
    }
    let migratable = flags.contains(ConnectBaselineCpuFlags::MIGRATABLE);
    let how = Baseline { migratable, ..Baseline::default() };
    let common = map.baseline(&arch, &cpus, &how)?;
    baseline_document(map, &arch, common, flags)
}

/// The flags of a call that computes a baseline.
///
/// # Errors
/// `VIR_ERR_INVALID_ARG` for others.
pub fn baseline_flags(flags: u32, call: &str) -> Result<ConnectBaselineCpuFlags> {
    check_flags(flags, ConnectBaselineCpuFlags::all().bits(), call)?;
    Ok(ConnectBaselineCpuFlags::from_bits_truncate(flags))
}

/// The CPUs that documents describe.
///
/// # Errors
/// Those of their documents.
pub fn cpu_profiles(texts: &[String]) -> Result<Vec<Profile>> {
    let read = |text: &String| CpuDocument::parse(text, ParseFlags::empty());
    texts.iter().map(|text| Ok(Profile::of(&read(text)?.value))).collect()
}

/// What several CPUs have in common, as a guest's document.
///
/// # Errors
/// `VIR_ERR_CONFIG_UNSUPPORTED` if a feature is asked for that nobody knows.
pub fn baseline_document(
    map: &CpuMap,
    arch: &str,
    common: Profile,
    flags: ConnectBaselineCpuFlags,
) -> Result<String> {
    let common = match flags.contains(ConnectBaselineCpuFlags::EXPAND_FEATURES) {
        true => map.expand(arch, &common)?,
        false => common,
    };
    Ok(CpuDocument::Guest(Box::new(common.to_guest())).format(FormatFlags::empty()))
}
