// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a guest of one kind of machine can have.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use virtus_api::{
    ConnectGetDomainCapabilities, ConnectGetDomainCapabilitiesFlags, Error, ErrorCode, Result,
};
use virtus_core::Call;
use virtus_domain::routes::check_flags;
use virtus_host::process::find_program;

use crate::caps::{Accel, Capabilities};
use crate::complete::{emulates, unknown_machine};
use crate::domain_caps::{Host, Wanted, domain_capabilities};
use crate::driver::{Qemu, QemuDriver, no_emulator};
use crate::firmware::installed;

pub(super) async fn get(
    driver: Arc<QemuDriver>,
    _: Call,
    request: ConnectGetDomainCapabilities,
) -> Result<String> {
    check_flags(
        request.flags,
        ConnectGetDomainCapabilitiesFlags::all().bits(),
        "virConnectGetDomainCapabilities",
    )?;
    let flags = ConnectGetDomainCapabilitiesFlags::from_bits_truncate(request.flags);
    let ConnectGetDomainCapabilities { emulatorbin, arch, machine, virttype, .. } = request;
    let target = target(&driver, emulatorbin, arch, machine, virttype).await?;
    let wanted = Wanted {
        accel: target.accel,
        arch: &target.arch,
        machine: target.machine.as_deref(),
        without_deprecated: flags
            .contains(ConnectGetDomainCapabilitiesFlags::DISABLE_DEPRECATED_FEATURES),
    };
    let firmwares = installed();
    let document =
        domain_capabilities(&target.caps, wanted, &firmwares, &host(), &driver.qemu.cpus)?;
    Ok(document.format())
}

/// A kind of guest as clients ask about it.
pub(super) struct Target {
    pub(super) caps: Arc<Capabilities>,
    pub(super) accel: Accel,
    pub(super) arch: String,
    pub(super) machine: Option<String>,
}

/// The kind of guest that is meant; what is not said is the best that works here.
pub(super) async fn target(
    driver: &QemuDriver,
    emulator: Option<String>,
    arch: Option<String>,
    machine: Option<String>,
    virttype: Option<String>,
) -> Result<Target> {
    let usual = arch.clone().unwrap_or_else(virtus_host::node::arch);
    let binary = match &emulator {
        Some(path) => PathBuf::from(path),
        None => Qemu::binary_for(&usual)
            .ok_or_else(|| no_emulator(format!("qemu-system-{usual}").as_ref()))?,
    };
    let caps = driver.qemu.capabilities(&binary).await?;
    // A binary that is named says itself for which architecture it is.
    let arch = arch.unwrap_or_else(|| caps.arch.clone());
    if !emulates(&caps.arch, &arch) {
        return Err(invalid(format!(
            "emulator '{}' is for '{}', not for '{arch}'",
            binary.display(),
            caps.arch
        )));
    }
    let accel = accel(&caps, virttype.as_deref())?;
    if let (Some(name), Some(known)) = (&machine, caps.accelerator(accel))
        && known.machine(name).is_none()
    {
        return Err(unknown_machine(name, known, &caps));
    }
    Ok(Target { caps, accel, arch, machine })
}

/// What was asked for if it works here; if nothing was, the best that does.
fn accel(caps: &Capabilities, virttype: Option<&str>) -> Result<Accel> {
    let Some(word) = virttype else {
        let best = caps.accelerators.first().map_or(Accel::Tcg, |known| known.accel);
        return Ok(best);
    };
    let accel = Accel::of_domain_type(word)
        .ok_or_else(|| invalid(format!("unknown virttype: '{word}'")))?;
    if caps.accelerator(accel).is_none() {
        let binary = caps.binary.display();
        let error =
            invalid(format!("the accel '{word}' is not supported by '{binary}' on this host"));
        return Err(match (&caps.kvm_trouble, accel) {
            (Some(why), Accel::Kvm) => error.hint(why.clone()),
            _ => error,
        });
    }
    Ok(accel)
}

fn invalid(text: String) -> Error {
    Error::new(ErrorCode::InvalidArg, text)
}

fn host() -> Host {
    let groups = std::fs::read_dir("/sys/kernel/iommu_groups");
    let groups = groups.is_ok_and(|mut entries| entries.next().is_some());
    Host {
        vfio: groups && Path::new("/dev/vfio/vfio").exists(),
        tpm_versions: tpm_versions(),
        ..Host::default()
    }
}

/// The versions of TPM that this host can emulate.
pub(crate) fn tpm_versions() -> Vec<String> {
    let swtpm = find_program(Path::new("swtpm")).is_some();
    if swtpm { vec!["1.2".to_owned(), "2.0".to_owned()] } else { Vec::new() }
}
