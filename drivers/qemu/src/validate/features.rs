// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<features>` that the machine, or this QEMU, does not have.

use virtus_api::Result;
use virtus_xml::domain::DomainType;
use virtus_xml::domain::features::{IoapicDriver, State};
use virtus_xml::domain::hyperv::HypervMode;
use virtus_xml::value::{OnOff, YesNo};

use super::{Rules, need};
use crate::caps::Flag;
use crate::machine::{
    has_ps2, is_arm_virt, is_i440fx, is_ppc64, is_pseries, is_q35, is_riscv_virt, is_x86, machine,
};

pub(super) fn validate(rules: Rules<'_>) -> Result<()> {
    by_machine(rules)?;
    by_capability(rules)?;
    tseg(rules)?;
    iommu(rules)
}

/// Features that only one kind of machine has.
fn by_machine(rules: Rules<'_>) -> Result<()> {
    let domain = rules.domain;
    let features = &domain.features;
    let (x86, pseries) = (is_x86(domain), is_pseries(domain));
    let eoi = features.apic.as_ref().is_some_and(|apic| apic.eoi.is_some());
    let ioapic = features.ioapic.as_ref().is_some_and(|ioapic| ioapic.driver.is_some());
    let enlightened = features.hyperv.as_ref().is_some_and(|h| h.mode != Some(HypervMode::None));
    let pc = x86 && (is_i440fx(domain) || is_q35(domain) || machine(domain) == "isapc");
    for (name, stated, there) in [
        ("gic", features.gic.is_some(), is_arm_virt(domain)),
        ("hpt", features.hpt.is_some(), pseries),
        ("htm", features.htm.is_some(), pseries),
        ("nested-hv", features.nested_hv.is_some(), pseries),
        ("ccf-assist", features.ccf_assist.is_some(), pseries),
        ("cfpc", features.cfpc.is_some(), pseries),
        ("sbbc", features.sbbc.is_some(), pseries),
        ("ibs", features.ibs.is_some(), pseries),
        ("ioapic", ioapic, x86),
        ("apic eoi", eoi, x86),
        ("pvspinlock", features.pvspinlock.is_some(), x86),
        ("hyperv", enlightened, x86 || is_arm_virt(domain)),
        ("vmport", features.vmport.is_some(), pc),
        ("ps2", features.ps2.is_some(), has_ps2(domain)),
        ("ras", features.ras.is_some(), is_arm_virt(domain)),
        ("aia", features.aia.is_some(), is_riscv_virt(domain)),
    ] {
        need(!stated || there, || format!("<features><{name}> is not on {}", rules.board()))?;
    }
    let off = |state: &Option<State>| state.as_ref().is_some_and(|s| s.state == Some(OnOff::Off));
    need(!(off(&features.pmu) && is_ppc64(domain)), || {
        format!("<features><pmu state='off'>: {} always has one", rules.board())
    })
}

/// Features that only some builds have.
fn by_capability(rules: Rules<'_>) -> Result<()> {
    let domain = rules.domain;
    let features = &domain.features;
    let on =
        |state: &Option<State>| state.as_ref().is_some_and(|s| s.state.is_none_or(OnOff::is_on));
    let teardown = features.async_teardown.as_ref();
    for (name, wanted, flag) in [
        ("vmport", features.vmport.is_some(), Flag::MachineVmportOpt),
        ("vmcoreinfo", on(&features.vmcoreinfo), Flag::Vmcoreinfo),
        ("ps2", features.ps2.is_some(), Flag::MachineI8042Opt),
        ("ras", features.ras.is_some(), Flag::MachineVirtRas),
        ("aia", features.aia.is_some(), Flag::MachineVirtAia),
        (
            "async-teardown",
            teardown.is_some_and(|state| state.enabled.is_none_or(YesNo::is_yes)),
            Flag::RunWithAsyncTeardown,
        ),
    ] {
        if wanted {
            rules.needs(flag, format_args!("<features><{name}>"))?;
        }
    }
    if let Some(tcg) = &features.tcg {
        need(domain.kind == DomainType::Qemu, || {
            format!("<features><tcg> is for <domain type='qemu'>, not '{}'", domain.kind)
        })?;
        let whole = tcg.tb_cache.is_none_or(|cache| cache.0.is_multiple_of(1024));
        need(whole, || "<features><tcg><tb-cache> must be a number of whole MiB".to_owned())?;
    }
    Ok(())
}

fn tseg(rules: Rules<'_>) -> Result<()> {
    let Some(smm) = rules.domain.features.smm.as_ref() else { return Ok(()) };
    let Some(tseg) = smm.tseg.filter(|_| smm.state.is_none_or(OnOff::is_on)) else {
        return Ok(());
    };
    need(is_q35(rules.domain), || {
        format!("<smm><tseg> needs a q35 machine, not {}", rules.board())
    })?;
    rules.needs(Flag::MchExtendedTsegMbytes, "<smm><tseg>")?;
    need(tseg.bytes.is_multiple_of(1 << 20), || {
        format!("<smm><tseg>: {} bytes are not a number of whole MiB", tseg.bytes)
    })
}

/// What an IOMMU needs of the interrupt controllers.
fn iommu(rules: Rules<'_>) -> Result<()> {
    let domain = rules.domain;
    let Some(driver) = domain.devices.iommu.as_ref().and_then(|iommu| iommu.driver.as_ref()) else {
        return Ok(());
    };
    let remaps = driver.intremap == Some(OnOff::On);
    let ioapic = domain.features.ioapic.as_ref().and_then(|ioapic| ioapic.driver);
    need(!remaps || ioapic == Some(IoapicDriver::Qemu), || {
        "<iommu> with intremap='on' needs <features><ioapic driver='qemu'/>".to_owned()
    })?;
    need(driver.eim != Some(OnOff::On) || remaps, || {
        "<iommu> with eim='on' needs intremap='on'".to_owned()
    })
}
