// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Names of features that differ between definitions and QEMU. Both spell the others alike.

/// Definitions' names and QEMU's; all of x86.
const DIFFERING: [(&str, &str); 12] = [
    ("cmp_legacy", "cmp-legacy"),
    ("ds_cpl", "ds-cpl"),
    ("fxsr_opt", "fxsr-opt"),
    ("kvm_pv_eoi", "kvm-pv-eoi"),
    ("kvm_pv_unhalt", "kvm-pv-unhalt"),
    ("lahf_lm", "lahf-lm"),
    ("nodeid_msr", "nodeid-msr"),
    ("pclmuldq", "pclmulqdq"),
    ("perfctr_core", "perfctr-core"),
    ("perfctr_nb", "perfctr-nb"),
    ("tsc_adjust", "tsc-adjust"),
    // QEMU's slip.
    ("vmx-invvpid-single-context-noglobals", "vmx-invept-single-context-noglobals"),
];

/// Features of x86 that QEMU does not let one choose: the guest has them with others, or they are the host's.
const LIBVIRTS_ALONE: [&str; 5] = ["cmt", "mbm_total", "mbm_local", "osxsave", "ospke"];

fn is_x86(arch: &str) -> bool {
    matches!(arch, "x86_64" | "i686")
}

/// QEMU's name of a feature.
pub(crate) fn to_qemu<'a>(arch: &str, feature: &'a str) -> &'a str {
    let known = DIFFERING.iter().find(|pair| pair.0 == feature).filter(|_| is_x86(arch));
    known.map_or(feature, |pair| pair.1)
}

/// The name in definitions of one of QEMU's features.
pub(crate) fn from_qemu<'a>(arch: &str, feature: &'a str) -> &'a str {
    let known = DIFFERING.iter().find(|pair| pair.1 == feature).filter(|_| is_x86(arch));
    known.map_or(feature, |pair| pair.0)
}

/// Whether definitions have a feature that is not for QEMU.
pub(crate) fn is_libvirts_alone(arch: &str, feature: &str) -> bool {
    is_x86(arch) && LIBVIRTS_ALONE.contains(&feature)
}
