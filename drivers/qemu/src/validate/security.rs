// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sealed guests and TPMs.

use virtus_api::Result;
use virtus_xml::domain::security::LaunchSecurityType;
use virtus_xml::domain::tpm::{Tpm, TpmBackendType, TpmModel, TpmVersion};

use super::{Host, Rules, need, unsupported};
use crate::caps::Flag;
use crate::machine::{arch, is_x86};

pub(super) fn validate(rules: Rules<'_>, host: &Host) -> Result<()> {
    launch(rules)?;
    let tpms = &rules.domain.devices.tpms;
    let is_proxy = |tpm: &&Tpm| tpm.model == Some(TpmModel::SpaprProxy);
    let proxies = tpms.iter().filter(is_proxy).count();
    need(proxies <= 1, || format!("there are {proxies} TPM proxies; QEMU has one"))?;
    need(tpms.len() - proxies <= 1, || {
        format!("there are {} <tpm>s; a guest has one, and one proxy", tpms.len() - proxies)
    })?;
    tpms.iter().try_for_each(|one| tpm(rules, host, one))
}

fn launch(rules: Rules<'_>) -> Result<()> {
    let Some(security) = &rules.domain.launch_security else { return Ok(()) };
    let kind = security.kind;
    let element = format!("<launchSecurity type='{kind}'>");
    match kind {
        LaunchSecurityType::Sev => {
            rules.needs(Flag::SevGuest, &element)?;
            if security.kernel_hashes.is_some() {
                rules
                    .needs(Flag::SevGuestKernelHashes, format_args!("{element}: 'kernelHashes'"))?;
            }
            Ok(())
        }
        LaunchSecurityType::SevSnp => rules.needs(Flag::SevSnpGuest, &element),
        LaunchSecurityType::S390Pv => {
            rules.needs(Flag::ConfidentialGuestSupport, &element)?;
            rules.needs(Flag::S390PvGuest, &element)
        }
        LaunchSecurityType::Tdx => Ok(()),
    }
}

fn tpm(rules: Rules<'_>, host: &Host, tpm: &Tpm) -> Result<()> {
    let Some(backend) = &tpm.backend else { return Ok(()) };
    let (kind, model) = (backend.kind, tpm.model.unwrap_or(TpmModel::Tis));
    if let Some(version) = backend.version.filter(|_| kind == TpmBackendType::Emulator) {
        let known = host.tpm_versions.as_ref();
        if let Some(known) = known.filter(|known| !known.iter().any(|v| v == version.as_str())) {
            return Err(unsupported(format!(
                "<tpm><backend version='{version}'>: this host can emulate {}",
                if known.is_empty() { "none".to_owned() } else { known.join(", ") }
            )));
        }
        if version == TpmVersion::V12 {
            need(model == TpmModel::Tis, || {
                format!("<tpm model='{model}'> has version 2.0, not '{version}'")
            })?;
            need(is_x86(rules.domain), || {
                format!(
                    "<tpm><backend version='{version}'>: architecture '{}' has 2.0",
                    arch(rules.domain)
                )
            })?;
        }
    }
    let (element, flag) = match kind {
        TpmBackendType::Passthrough => ("passthrough", Flag::TpmPassthrough),
        TpmBackendType::Emulator => ("emulator", Flag::TpmEmulator),
        TpmBackendType::External => ("external", Flag::TpmEmulator),
    };
    rules.needs(flag, format_args!("<tpm><backend type='{element}'>"))?;
    let flag = match model {
        TpmModel::Tis | TpmModel::Default => Flag::TpmTis,
        TpmModel::Crb => Flag::TpmCrb,
        TpmModel::Spapr => Flag::TpmSpapr,
        TpmModel::SpaprProxy => Flag::SpaprTpmProxy,
    };
    need(model != TpmModel::SpaprProxy || kind == TpmBackendType::Passthrough, || {
        format!("<tpm model='{model}'> needs <backend type='passthrough'>, not '{kind}'")
    })?;
    rules.needs(flag, format_args!("<tpm model='{model}'>"))
}
