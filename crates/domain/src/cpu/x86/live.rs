// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a hypervisor made of a guest's CPU, written back into the definition.

use virtus_api::Result;
use virtus_xml::domain::cpu::{CpuCheck, CpuMode, FeaturePolicy};

use super::{Map, Registers};
use crate::cpu::{Profile, failed};

impl Map {
    /// Notes what the hypervisor added (`enabled` has it) and what it left out (`disabled` has it, or `enabled`
    /// lacks it). With `CpuCheck::Full` either is an error.
    pub fn update_live(
        &self,
        cpu: &mut Profile,
        enabled: &Registers,
        disabled: &Registers,
        check: CpuCheck,
    ) -> Result<()> {
        let open = matches!(cpu.mode, Some(CpuMode::HostPassthrough | CpuMode::Maximum));
        let wanted = self.bits_of(cpu)?;
        let unwanted = self.bits_with(cpu, FeaturePolicy::Disable)?;
        let (mut extra, mut missing) = (Vec::new(), Vec::new());
        for feature in &self.features {
            let required = wanted.contains(&feature.bits);
            let off = !required && (!open || unwanted.contains(&feature.bits));
            let there = enabled.contains(&feature.bits);
            if off && there {
                extra.push(feature.name.as_str());
            }
            if disabled.contains(&feature.bits) || required && !there {
                missing.push(feature.name.as_str());
            }
        }
        if check == CpuCheck::Full {
            verdict(&extra, &missing)?;
            if !disabled.is_empty() {
                return Err(failed("guest CPU doesn't match specification"));
            }
        } else {
            extra.iter().for_each(|name| cpu.set(name, FeaturePolicy::Require));
            missing.iter().for_each(|name| cpu.set(name, FeaturePolicy::Disable));
        }
        self.disable_removed(cpu);
        Ok(())
    }
}

fn verdict(extra: &[&str], missing: &[&str]) -> Result<()> {
    let list = |what: &str, names: &[&str]| {
        (!names.is_empty()).then(|| format!("{what} features: {}", names.join(",")))
    };
    let odd: Vec<_> =
        [list("extra", extra), list("missing", missing)].into_iter().flatten().collect();
    if odd.is_empty() {
        return Ok(());
    }
    Err(failed(format!("guest CPU doesn't match specification: {}", odd.join(", "))))
}
