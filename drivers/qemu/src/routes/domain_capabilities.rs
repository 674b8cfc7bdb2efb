// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a guest of one kind of machine can have.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use virtus_api::{ConnectGetDomainCapabilities, Error, ErrorCode, Result};
use virtus_core::Call;
use virtus_domain::routes::check_flags;
use virtus_host::process::find_program;

use crate::caps::{Accel, Capabilities};
use crate::complete::{emulates, unknown_machine};
use crate::domain_caps::{Host, Wanted, domain_capabilities};
use crate::driver::{Qemu, QemuDriver, no_emulator};
use crate::firmware::installed;

/// `VIR_CONNECT_GET_DOMAIN_CAPABILITIES_DISABLE_DEPRECATED_FEATURES`.
const DISABLE_DEPRECATED: u32 = 1;

pub(super) async fn get(
    driver: Arc<QemuDriver>,
    _: Call,
    request: ConnectGetDomainCapabilities,
) -> Result<String> {
    check_flags(request.flags, DISABLE_DEPRECATED, "virConnectGetDomainCapabilities")?;
    let arch = request.arch.clone().unwrap_or_else(virtus_host::node::arch);
    let binary = match &request.emulatorbin {
        Some(path) => PathBuf::from(path),
        None => Qemu::binary_for(&arch)
            .ok_or_else(|| no_emulator(format!("qemu-system-{arch}").as_ref()))?,
    };
    let caps = driver.qemu.capabilities(&binary).await?;
    // A binary that is named says itself for which architecture it is.
    let arch = request.arch.unwrap_or_else(|| caps.arch.clone());
    if !emulates(&caps.arch, &arch) {
        return Err(invalid(format!(
            "emulator '{}' is for '{}', not for '{arch}'",
            binary.display(),
            caps.arch
        )));
    }
    let accel = accel(&caps, request.virttype.as_deref())?;
    let machine = request.machine.as_deref();
    if let (Some(name), Some(known)) = (machine, caps.accelerator(accel))
        && known.machine(name).is_none()
    {
        return Err(unknown_machine(name, known, &caps));
    }
    let firmwares = installed();
    let without_deprecated = request.flags & DISABLE_DEPRECATED != 0;
    let wanted = Wanted { accel, arch: &arch, machine, without_deprecated };
    let document = domain_capabilities(&caps, wanted, &firmwares, &host(), &driver.qemu.cpus)?;
    Ok(document.format())
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
