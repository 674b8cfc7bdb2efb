// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which binary, architecture and machine a guest runs on; refuses machines that the binary does not have.

use virtus_api::{Error, ErrorCode, Result};
use virtus_xml::Domain;

use crate::caps::{Accel, Accelerator, Capabilities};
use crate::machine::{is_s390, machine};

/// Fills in the emulator, the architecture and the machine; replaces an alias by the machine that it stands for.
pub(super) fn settle(domain: &mut Domain, caps: &Capabilities) -> Result<()> {
    let accel = Accel::of_domain_type(domain.kind.as_str());
    let name = domain.name.clone();
    let body = &mut domain.body;
    if body.devices.emulator.is_none() {
        body.devices.emulator = Some(caps.binary.display().to_string());
    }
    let kind = &mut body.os.kind;
    match &kind.arch {
        None => kind.arch = Some(caps.arch.clone()),
        Some(arch) if !emulates(&caps.arch, arch) => {
            return Err(Error::new(
                ErrorCode::ConfigUnsupported,
                format!(
                    "domain '{name}' is for '{arch}', but '{}' emulates '{}'",
                    caps.binary.display(),
                    caps.arch
                ),
            ));
        }
        Some(_) => {}
    }
    let Some(known) = accel.and_then(|accel| caps.accelerator(accel)) else {
        return missing_accel(domain, caps);
    };
    match &kind.machine {
        None => {
            kind.machine = known.default_machine().map(|machine| machine.name.clone());
        }
        Some(word) => match known.machine(word) {
            Some(machine) => kind.machine = Some(machine.name.clone()),
            None => {
                return Err(unknown_machine(word, known, caps).context(format!("domain '{name}'")));
            }
        },
    }
    Ok(())
}

/// Old definitions for s390x say that they have ACPI, which nobody heeded: it is dropped, so that they can go on.
pub(super) fn drop_acpi(domain: &mut Domain, caps: &Capabilities) {
    let known = Accel::of_domain_type(domain.kind.as_str())
        .and_then(|accel| caps.machine(accel, machine(domain)));
    if is_s390(domain) && known.and_then(|known| known.acpi) == Some(false) {
        domain.features.acpi = false;
    }
}

/// Whether a binary for one architecture runs guests of another: the 32-bit or other-endian half of its own.
pub(crate) fn emulates(binary: &str, guest: &str) -> bool {
    binary == guest
        || matches!(
            (binary, guest),
            ("x86_64", "i686") | ("aarch64", "armv7l" | "armv6l") | ("ppc64", "ppc64le")
        )
}

/// Without KVM a definition for KVM is kept, so that it is not lost; the start says what is missing.
fn missing_accel(domain: &mut Domain, caps: &Capabilities) -> Result<()> {
    let Some(any) = caps.accelerators.first() else { return Ok(()) };
    let kind = &mut domain.body.os.kind;
    let word = kind.machine.clone();
    let found = match &word {
        Some(word) => any.machine(word),
        None => any.default_machine(),
    };
    if let Some(machine) = found {
        kind.machine = Some(machine.name.clone());
    }
    Ok(())
}

/// The refusal of a machine type, which names those that were perhaps meant.
pub(crate) fn unknown_machine(word: &str, known: &Accelerator, caps: &Capabilities) -> Error {
    let mut near: Vec<(usize, &str)> = known
        .machines
        .iter()
        .flat_map(|machine| std::iter::once(machine.name.as_str()).chain(machine.alias.as_deref()))
        .map(|name| (distance(word, name), name))
        .collect();
    near.sort_unstable();
    near.dedup();
    let names: Vec<&str> = near.into_iter().take(3).map(|(_, name)| name).collect();
    Error::new(
        ErrorCode::ConfigUnsupported,
        format!(
            "'{}' has no machine type '{word}'; the nearest are {}",
            caps.binary.display(),
            names.join(", ")
        ),
    )
    .hint(format!(
        "list all with 'virsh capabilities' or '{} -machine help'",
        caps.binary.display()
    ))
}

/// How many letters must change.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let change = corner + usize::from(a != *b);
            corner = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(corner + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    #[test]
    fn distances_count_changed_letters() {
        assert_eq!(super::distance("pc-q35-10.0", "pc-q35-10.0"), 0);
        assert_eq!(super::distance("q35", "q36"), 1);
        assert_eq!(super::distance("", "abc"), 3);
    }
}
