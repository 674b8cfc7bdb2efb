// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What kind of machine a definition asks for, as far as devices and their places depend on it.

use virtus_xml::Domain;

/// The guest's architecture.
pub(crate) fn arch(domain: &Domain) -> &str {
    domain.os.kind.arch.as_deref().unwrap_or_default()
}

/// The machine type.
pub(crate) fn machine(domain: &Domain) -> &str {
    domain.os.kind.machine.as_deref().unwrap_or_default()
}

pub(crate) fn is_x86(domain: &Domain) -> bool {
    matches!(arch(domain), "x86_64" | "i686")
}

pub(crate) fn is_arm(domain: &Domain) -> bool {
    matches!(arch(domain), "armv6l" | "armv7l" | "armv7b" | "aarch64")
}

pub(crate) fn is_ppc64(domain: &Domain) -> bool {
    matches!(arch(domain), "ppc64" | "ppc64le")
}

pub(crate) fn is_s390(domain: &Domain) -> bool {
    matches!(arch(domain), "s390" | "s390x")
}

pub(crate) fn is_riscv(domain: &Domain) -> bool {
    matches!(arch(domain), "riscv32" | "riscv64")
}

pub(crate) fn is_q35(domain: &Domain) -> bool {
    is_x86(domain) && (machine(domain).starts_with("pc-q35") || machine(domain) == "q35")
}

pub(crate) fn is_i440fx(domain: &Domain) -> bool {
    let machine = machine(domain);
    is_x86(domain)
        && (machine == "pc"
            || ["pc-0.", "pc-1.", "pc-i440", "rhel"].iter().any(|head| machine.starts_with(head)))
}

pub(crate) fn is_arm_virt(domain: &Domain) -> bool {
    is_arm(domain) && is_virt(domain)
}

pub(crate) fn is_riscv_virt(domain: &Domain) -> bool {
    is_riscv(domain) && is_virt(domain)
}

pub(crate) fn is_loongarch_virt(domain: &Domain) -> bool {
    arch(domain) == "loongarch64" && is_virt(domain)
}

fn is_virt(domain: &Domain) -> bool {
    machine(domain) == "virt" || machine(domain).starts_with("virt-")
}

pub(crate) fn is_pseries(domain: &Domain) -> bool {
    is_ppc64(domain) && (machine(domain) == "pseries" || machine(domain).starts_with("pseries-"))
}

pub(crate) fn is_s390_ccw(domain: &Domain) -> bool {
    is_s390(domain) && machine(domain).starts_with("s390-ccw")
}

/// Whether the machine has a controller for PS/2 mice and keyboards.
pub(crate) fn has_ps2(domain: &Domain) -> bool {
    is_x86(domain) && !matches!(machine(domain), "microvm")
}

/// Whether the machine brings its own first IDE controller.
pub(crate) fn has_builtin_ide(domain: &Domain) -> bool {
    is_i440fx(domain) || matches!(machine(domain), "malta" | "sun4u" | "g3beige" | "mac99")
}

/// Whether the board brings its own SCSI controller.
pub(crate) fn has_builtin_esp(domain: &Domain) -> bool {
    let machine = machine(domain);
    match arch(domain) {
        "sparc" => {
            machine.starts_with("SS-")
                || matches!(machine, "LX" | "SPARCbook" | "SPARCClassic" | "Voyager")
        }
        "mips64" | "mips64el" => matches!(machine, "magnum" | "pica61"),
        "m68k" => matches!(machine, "next-cube" | "q800"),
        _ => false,
    }
}

/// Whether the board has a PCI bus; on many architectures that is not known, and so believed.
pub(crate) fn has_pci(domain: &Domain) -> bool {
    let embedded = is_arm(domain) || is_riscv(domain) || arch(domain) == "loongarch64";
    !embedded
        || is_virt(domain)
        || machine(domain) == "versatilepb"
        || machine(domain).starts_with("realview-eb")
}

/// Whether the root bus is called `pci.0`, because there can be others; else it is `pci`.
pub(crate) fn has_many_pci_buses(domain: &Domain) -> bool {
    is_x86(domain)
        || is_ppc64(domain)
        || arch(domain) == "ppc"
        || is_s390(domain)
        || is_virt(domain)
}

/// How many processors there may be.
pub(crate) fn max_vcpus(domain: &Domain) -> u32 {
    domain.vcpu.as_ref().map_or(1, |vcpu| vcpu.max)
}
