// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Chooses the firmware that fits what a definition asks for, and writes down what was chosen.

use virtus_api::{Error, ErrorCode, Result};
use virtus_xml::Domain;
use virtus_xml::domain::features::Smm;
use virtus_xml::domain::os::{
    Firmware as Kind, FirmwareFeature, FirmwareFeatureName, FirmwareFeatures, Loader, LoaderType,
};
use virtus_xml::domain::security::LaunchSecurityType;
use virtus_xml::domain::storage::StorageType;
use virtus_xml::value::{OnOff, YesNo};

use super::Defaults;
use crate::firmware::{Firmware, FlashMode, Image, Mapping};
use crate::machine::{arch, machine};

/// Pairs of code and variables that distributions had before there were descriptors.
const CLASSIC: [(&str, &str); 5] = [
    ("/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"),
    ("/usr/share/AAVMF/AAVMF32_CODE.fd", "/usr/share/AAVMF/AAVMF32_VARS.fd"),
    ("/usr/share/OVMF/OVMF_CODE.ms.fd", "/usr/share/OVMF/OVMF_VARS.ms.fd"),
    ("/usr/share/OVMF/OVMF_CODE.secboot.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
    ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
];

/// Fills in loader, variables and features.
pub(super) fn settle(domain: &mut Domain, defaults: &Defaults) -> Result<()> {
    let asked = domain.os.firmware;
    forget_empty_paths(domain);
    let rom = domain.os.loader.as_ref().and_then(|loader| loader.kind) == Some(LoaderType::Rom);
    if let Some(loader) = &mut domain.body.os.loader
        && loader.path.is_some()
    {
        loader.kind.get_or_insert(LoaderType::Rom);
    }
    let flash =
        domain.os.loader.as_ref().and_then(|loader| loader.kind) == Some(LoaderType::Pflash);
    if asked.is_none() && !flash {
        // Code that is called a ROM has no format to choose.
        if !rom {
            default_format(domain);
        }
        return Ok(());
    }
    let found = defaults.firmwares.iter().find(|firmware| fits(domain, firmware, defaults));
    let Some(found) = found else {
        if asked.is_none() {
            classic(domain, defaults);
            return Ok(());
        }
        default_format(domain);
        if !defaults.abi_update {
            // A definition is not lost because a firmware is: its start says what is missing.
            return Ok(());
        }
        let kind = asked.map_or("efi", Kind::as_str);
        return Err(Error::new(
            ErrorCode::OperationFailed,
            format!(
                "Unable to find '{kind}' firmware that is compatible with the current configuration"
            ),
        )
        .hint(
            "install a firmware package such as ovmf, or name the files in <loader> and <nvram>",
        ));
    };
    let found = found.clone();
    apply(domain, &found, defaults);
    Ok(())
}

/// A loader without a format is raw.
fn default_format(domain: &mut Domain) {
    if let Some(loader) = &mut domain.body.os.loader {
        loader.format.get_or_insert_with(|| "raw".to_owned());
    }
}

/// Files that no descriptor knows are taken as they are.
fn classic(domain: &mut Domain, defaults: &Defaults) {
    default_format(domain);
    let path = nvram_path(domain, defaults, "raw");
    let Some(loader) = &domain.body.os.loader else { return };
    if loader.readonly == Some(YesNo::No) || loader.stateless == Some(YesNo::Yes) {
        return;
    }
    let known = CLASSIC
        .iter()
        .find(|(code, _)| loader.path.as_deref() == Some(*code))
        .map(|(_, variables)| (*variables).to_owned());
    let os = &mut domain.body.os;
    if os.nvram.is_none() && known.is_none() {
        return;
    }
    let nvram = os.nvram.get_or_insert_default();
    if let Some(known) = known {
        nvram.template.get_or_insert(known);
        nvram.template_format.get_or_insert_with(|| "raw".to_owned());
    }
    nvram.format.get_or_insert_with(|| "raw".to_owned());
    if nvram.path.is_none() && nvram.source.is_none() {
        nvram.path = Some(path);
    }
}

/// An element that has only attributes names no file.
fn forget_empty_paths(domain: &mut Domain) {
    let os = &mut domain.body.os;
    if let Some(loader) = &mut os.loader {
        loader.path.take_if(|path| path.is_empty());
    }
    if let Some(nvram) = &mut os.nvram {
        nvram.path.take_if(|path| path.is_empty());
    }
}

fn nvram_path(domain: &Domain, defaults: &Defaults, format: &str) -> String {
    let tail = if format == "raw" { "fd" } else { format };
    format!("{}/{}_VARS.{tail}", defaults.dirs.nvram, domain.name)
}

fn wanted(domain: &Domain, name: FirmwareFeatureName) -> Option<bool> {
    let features = &domain.os.firmware_features.as_ref()?.features;
    features.iter().find(|feature| feature.name == name).map(|feature| feature.enabled.is_yes())
}

/// Whether a firmware is what the definition asks for.
fn fits(domain: &Domain, firmware: &Firmware, defaults: &Defaults) -> bool {
    let os = &domain.os;
    let interface = match os.firmware {
        Some(Kind::Bios) => "bios",
        Some(Kind::Efi) | None => "uefi",
    };
    if !firmware.interfaces.iter().any(|known| known == interface)
        || !firmware.runs_on(arch(domain), machine(domain))
    {
        return false;
    }
    let none = Loader::default();
    let loader = os.loader.as_ref().unwrap_or(&none);
    let secure = firmware.has("secure-boot");
    let needs_smm = firmware.has("requires-smm");
    let smm_off = domain.features.smm.as_ref().is_some_and(|smm| smm.state == Some(OnOff::Off));
    let keys = firmware.has("enrolled-keys");
    if loader.path.as_deref().is_some_and(|path| path != firmware.code())
        || wanted(domain, FirmwareFeatureName::SecureBoot).is_some_and(|want| want != secure)
        || wanted(domain, FirmwareFeatureName::EnrolledKeys).is_some_and(|want| want != keys)
        || (needs_smm && smm_off)
    {
        return false;
    }
    match loader.secure {
        Some(YesNo::Yes) if !needs_smm => return false,
        Some(YesNo::No) if needs_smm => return false,
        _ => {}
    }
    if let Some(pm) = &domain.pm {
        for (state, name) in [(&pm.suspend_to_mem, "acpi-s3"), (&pm.suspend_to_disk, "acpi-s4")] {
            let wanted = state.as_ref().is_some_and(|state| state.enabled == Some(YesNo::Yes));
            if wanted && !firmware.has(name) {
                return false;
            }
        }
    }
    let sealed = match domain.launch_security.as_ref().map(|security| security.kind) {
        Some(LaunchSecurityType::Sev) => {
            let policy = domain.launch_security.as_ref().and_then(|s| s.policy).map_or(0, |p| p.0);
            // Bit 2 of the policy asks for encrypted registers too.
            if policy & 4 != 0 { firmware.has("amd-sev-es") } else { firmware.has("amd-sev") }
        }
        Some(LaunchSecurityType::SevSnp) => firmware.has("amd-sev-snp"),
        Some(LaunchSecurityType::Tdx) => firmware.has("intel-tdx"),
        _ => true,
    };
    if !sealed {
        return false;
    }
    match &firmware.mapping {
        Mapping::Flash { mode, code, variables } => {
            fits_flash(domain, loader, *mode, code, variables.as_ref(), defaults.abi_update)
        }
        Mapping::Memory(_) => {
            loader.kind != Some(LoaderType::Pflash)
                && loader.readonly != Some(YesNo::No)
                && os.nvram.is_none()
                && loader.stateless != Some(YesNo::No)
                && loader.format.as_deref().is_none_or(|format| format == "raw")
        }
        Mapping::Kernel(_) => false,
    }
}

fn fits_flash(
    domain: &Domain,
    loader: &Loader,
    mode: FlashMode,
    code: &Image,
    variables: Option<&Image>,
    new: bool,
) -> bool {
    let nvram = domain.os.nvram.as_ref();
    if loader.kind == Some(LoaderType::Rom) || loader.readonly == Some(YesNo::No) {
        return false;
    }
    let stateless = loader.stateless == Some(YesNo::Yes);
    if stateless != (mode == FlashMode::Stateless) || mode == FlashMode::Combined {
        return false;
    }
    let format = loader
        .format
        .as_deref()
        .or_else(|| nvram.and_then(|nvram| nvram.format.as_deref()))
        .or_else(|| nvram.and_then(|nvram| nvram.template_format.as_deref()));
    // Definitions from before there was a choice have raw images; whoever names a file has named its format.
    let old = (!new && loader.path.is_none()).then_some("raw");
    let format = if loader.path.is_some() { loader.format.as_deref() } else { format.or(old) };
    if format.is_some_and(|format| format != code.format) {
        return false;
    }
    let template = nvram.and_then(|nvram| nvram.template.as_deref());
    template.is_none_or(|template| variables.is_some_and(|image| image.path == template))
}

fn apply(domain: &mut Domain, firmware: &Firmware, defaults: &Defaults) {
    let variables_path = |format: &str| nvram_path(domain, defaults, format);
    let (raw, qcow2) = (variables_path("raw"), variables_path("qcow2"));
    let body = &mut domain.body;
    let os = &mut body.os;
    let loader = os.loader.get_or_insert_with(Loader::default);
    loader.path = Some(firmware.code().to_owned());
    let mut elsewhere = false;
    match &firmware.mapping {
        Mapping::Flash { mode, code, variables } => {
            loader.kind = Some(LoaderType::Pflash);
            loader.readonly = Some(YesNo::Yes);
            loader.format = Some(code.format.clone());
            if *mode == FlashMode::Stateless {
                loader.stateless = Some(YesNo::Yes);
            }
            if let (FlashMode::Split, Some(image)) = (mode, variables) {
                let nvram = os.nvram.get_or_insert_default();
                nvram.format = Some(image.format.clone());
                // What lies in the network is there already; nobody knows what keys are in it.
                elsewhere = nvram.kind == Some(StorageType::Network);
                if !elsewhere {
                    nvram.template = Some(image.path.clone());
                    nvram.template_format = Some(image.format.clone());
                }
                if nvram.path.is_none() && nvram.source.is_none() {
                    nvram.path = Some(if image.format == "raw" { raw } else { qcow2 });
                }
            }
        }
        Mapping::Memory(_) | Mapping::Kernel(_) => {
            loader.kind = Some(LoaderType::Rom);
            loader.format.get_or_insert_with(|| "raw".to_owned());
        }
    }
    if firmware.has("requires-smm") {
        loader.secure = Some(YesNo::Yes);
        let smm = body.features.smm.get_or_insert_with(Smm::default);
        smm.state = Some(OnOff::On);
    }
    os.firmware.get_or_insert(Kind::Efi);
    let feature =
        |name: FirmwareFeatureName, on: bool| FirmwareFeature { enabled: YesNo::from(on), name };
    let keys = feature(FirmwareFeatureName::EnrolledKeys, firmware.has("enrolled-keys"));
    let secure = feature(FirmwareFeatureName::SecureBoot, firmware.has("secure-boot"));
    let known = Some(keys).filter(|_| !elsewhere);
    os.firmware_features =
        Some(FirmwareFeatures { features: known.into_iter().chain([secure]).collect() });
}
