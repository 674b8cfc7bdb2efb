// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the capabilities document tells of the guests that a binary runs. Pure.

use std::path::Path;

use virtus_xml::capabilities::{Guest, GuestArch, GuestDomain, GuestFeatures, Machine, Toggle};
use virtus_xml::value::{OnOff, YesNo};

use crate::caps::{self, Accel, Capabilities, Flag};

/// The guests of one architecture that a binary runs.
#[must_use]
pub fn guest(arch: &str, binary: &Path, caps: &Capabilities) -> Guest {
    let emulator = Some(binary.to_string_lossy().into_owned());
    let machines = |accel: Accel| -> Vec<Machine> {
        let known = caps.accelerator(accel).map(|accel| accel.machines.as_slice());
        known.unwrap_or_default().iter().flat_map(machine).collect()
    };
    let tcg = machines(Accel::Tcg);
    let mut domains = vec![GuestDomain { kind: "qemu".to_owned(), ..GuestDomain::default() }];
    for (accel, flag) in [(Accel::Kvm, Flag::Kvm), (Accel::Hvf, Flag::Hvf)] {
        if !caps.has(flag) {
            continue;
        }
        let own = machines(accel);
        let machines = if own == tcg { Vec::new() } else { own };
        domains.push(GuestDomain {
            kind: accel.name().to_owned(),
            emulator: emulator.clone().filter(|_| !machines.is_empty()),
            machines,
            ..GuestDomain::default()
        });
    }
    let x86 = matches!(arch, "x86_64" | "i686");
    let toggle = |default| Some(Toggle { default, toggle: YesNo::Yes });
    Guest {
        os_type: "hvm".to_owned(),
        arch: GuestArch {
            name: arch.to_owned(),
            wordsize: word_size(arch),
            emulator,
            machines: tcg,
            domains,
            ..GuestArch::default()
        },
        features: Some(GuestFeatures {
            pae: arch == "i686",
            nonpae: arch == "i686",
            acpi: toggle(OnOff::On).filter(|_| x86 || arch == "aarch64"),
            apic: Some(Toggle { default: OnOff::On, toggle: YesNo::No }).filter(|_| x86),
            cpuselection: true,
            deviceboot: true,
            disksnapshot: Some(Toggle { default: OnOff::On, toggle: YesNo::No }),
            external_snapshot: true,
            ..GuestFeatures::default()
        }),
    }
}

fn word_size(arch: &str) -> u32 {
    match arch {
        "x86_64" | "aarch64" | "ppc64" | "ppc64le" | "s390x" | "riscv64" | "loongarch64"
        | "alpha" | "mips64" | "mips64el" | "sparc64" => 64,
        _ => 32,
    }
}

/// A machine type and the name that stands for it.
fn machine(machine: &caps::Machine) -> Vec<Machine> {
    let named = |name: &str, canonical: Option<&str>| Machine {
        canonical: canonical.map(str::to_owned),
        max_cpus: Some(machine.max_cpus).filter(|most| *most > 0),
        deprecated: machine.deprecated.then_some(YesNo::Yes),
        name: name.to_owned(),
    };
    let mut all = vec![named(&machine.name, None)];
    if let Some(alias) = &machine.alias {
        all.push(named(alias, Some(&machine.name)));
    }
    all
}
