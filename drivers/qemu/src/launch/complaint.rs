// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Why QEMU ended before it could be spoken to: its own words, and what they mean for the user.

use std::path::Path;

use virtus_api::{Error, ErrorCode, ErrorDomain};
use virtus_host::access::{Want, obstacle};
use virtus_host::process::Exit;
use virtus_host::user::Identity;
use virtus_xml::Domain;

use crate::guest::Guest;
use crate::guest_log::GuestLog;

/// Words in QEMU's output, the code that clients get, and what the user can do.
const KNOWN: &[(&str, ErrorCode, &str)] = &[
    (
        "Failed to get \"write\" lock",
        ErrorCode::OperationFailed,
        "another process uses this image; stop it, or mark the disk <shareable/>",
    ),
    (
        "Failed to get shared \"write\" lock",
        ErrorCode::OperationFailed,
        "another process writes to this image; stop it, or mark the disk <shareable/>",
    ),
    (
        "Permission denied",
        ErrorCode::OperationFailed,
        "give the QEMU user access to this file, or move it to a folder that it can enter",
    ),
    (
        "No such file or directory",
        ErrorCode::OperationFailed,
        "see that the file is there, and that its path in the domain XML is right",
    ),
    (
        "Address already in use",
        ErrorCode::OperationFailed,
        "choose another port, or let one be found: autoport='yes'",
    ),
    (
        "unsupported machine type",
        ErrorCode::ConfigUnsupported,
        "list the machine types of this QEMU with 'virsh capabilities' or 'virsh domcapabilities'",
    ),
    (
        "is not a valid device model name",
        ErrorCode::ConfigUnsupported,
        "this QEMU has no such device; a package with more devices may be missing",
    ),
    (
        "There is no option group 'spice'",
        ErrorCode::ConfigUnsupported,
        "this QEMU has no SPICE: install its module, or use <graphics type='vnc'/>",
    ),
    (
        "Could not access KVM kernel module",
        ErrorCode::ConfigUnsupported,
        "KVM does not work here: use <domain type='qemu'>, or load the kvm module",
    ),
    (
        "failed to initialize kvm",
        ErrorCode::ConfigUnsupported,
        "KVM does not work here: use <domain type='qemu'>, or load the kvm module",
    ),
    (
        "Cannot allocate memory",
        ErrorCode::NoMemory,
        "give the guest less memory, or free some on the host",
    ),
    (
        "cannot set up guest memory",
        ErrorCode::NoMemory,
        "give the guest less memory, or free some on the host",
    ),
];

/// The error of a QEMU that has ended.
pub(super) async fn of(guest: &Guest, log: &GuestLog, exit: Exit) -> Error {
    let said = log.said().await;
    let attempt = format!("cannot start {}: QEMU ended ({exit})", guest.subject());
    let text = if said.is_empty() { attempt } else { format!("{attempt}: {said}") };
    match KNOWN.iter().find(|(words, ..)| said.contains(words)) {
        Some((_, code, hint)) => Error::new(*code, text).in_domain(ErrorDomain::Qemu).hint(*hint),
        None => Error::new(ErrorCode::OperationFailed, text)
            .in_domain(ErrorDomain::Qemu)
            .hint(format!("the whole output stands in '{}'", guest.facts.log.display())),
    }
}

/// Adds what QEMU's words leave out: which image they are about, and what keeps its user from opening it.
pub(super) fn explain(error: Error, def: &Domain, identity: &Identity) -> Error {
    let said = error.text().to_owned();
    for disk in &def.devices.disks {
        let Some(source) = &disk.source else { continue };
        let Some(path) = source.file.as_deref().or(source.dev.as_deref()) else { continue };
        if said.contains(path) {
            let want = if disk.is_readonly() { Want::Read } else { Want::ReadWrite };
            let Some(obstacle) = obstacle(Path::new(path), identity, want) else { continue };
            let reason = obstacle.into_error();
            let cure = reason.hint_text().map_or_else(String::new, |hint| format!("; {hint}"));
            return error.hint(format!("{}{cure}", reason.text()));
        }
        // QEMU names its own nodes, which mean nothing to the user.
        if source.index.is_some_and(|index| said.contains(&format!("\"libvirt-{index}-"))) {
            return error.context(format!("image '{path}' of disk '{}'", disk.target.dev));
        }
    }
    error
}
