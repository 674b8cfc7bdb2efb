// SPDX-License-Identifier: Apache-2.0 OR MIT
//! KVM is offered where it runs guests, and only there: an openable /dev/kvm promises less than one thinks.

use virtus_tests::{DEADLINE, Guest, Options, Outcome, Testbed};

use crate::{Case, Skip, contains, equal};

pub(crate) const CASES: &[Case] = &[
    ("what_is_offered_runs_and_what_is_not_is_explained", offered_or_explained),
    ("without_the_device_it_is_not_offered", not_offered),
];

fn offered_or_explained() -> Outcome {
    if !std::path::Path::new("/dev/kvm").exists() {
        return Err(Skip("there is no /dev/kvm".to_owned()).into());
    }
    let bed = Testbed::with(&Options { kvm: true, ..Options::default() })?;
    if !bed.is_ours() {
        return Err(Skip("stock libvirtd believes the device".to_owned()).into());
    }
    let offered = bed.virsh("capabilities")?.contains("<domain type='kvm'");
    let file = bed.write("fast.xml", &Guest::linux("fast")?.on_kvm().xml())?;
    let defined = bed.try_virsh(&format!("define {file}"))?;
    if offered {
        bed.virsh("start fast")?;
        return bed.terminal("console fast")?.expect("virtus-guest: up", DEADLINE).map(drop);
    }
    let text = if defined.ok() { bed.virsh_fails("start fast")? } else { defined.err };
    contains(&text.to_lowercase(), "kvm")?;
    equal(&format!("`internal error` in {text}"), text.contains("internal error"), false)
}

fn not_offered() -> Outcome {
    let bed = Testbed::new()?;
    let offered = bed.virsh("capabilities")?.contains("<domain type='kvm'");
    equal("KVM without /dev/kvm", offered, false)?;
    contains(&bed.virsh("capabilities")?, "<domain type='qemu'")
}
