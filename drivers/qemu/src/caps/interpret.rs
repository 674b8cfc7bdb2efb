// SPDX-License-Identifier: Apache-2.0 OR MIT
//! From a binary's answers to what it can do. Pure.

mod cpu;

use std::collections::HashSet;

use serde_json::Value;

use super::model::{Accel, Capabilities, GicVersion, Machine, SevInfo, SgxInfo, SgxSection};
use super::replies::Replies;
use super::rules;
use super::schema::Schema;
use super::{Flag, FlagSet};

/// What the answers depend on beside the binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Circumstances {
    /// Whether the host has macOS' hypervisor.
    pub hvf: bool,
}

impl Capabilities {
    /// What follows from the answers of a process with the best accelerator and, where that is not TCG,
    /// from those of a second one with TCG. Identity, times and microcode are left to the caller.
    #[must_use]
    pub fn from_replies(
        accelerated: &Replies,
        tcg: Option<&Replies>,
        circumstances: Circumstances,
    ) -> Self {
        let (version, package) = accelerated.version();
        let target = accelerated.plain("query-target")["arch"].as_str().unwrap_or_default();
        let mut caps = Self {
            version,
            package,
            arch: libvirt_arch(target).to_owned(),
            flags: flags(accelerated, circumstances),
            ..Self::default()
        };
        caps.read_sev(accelerated);
        caps.sgx = sgx(accelerated.plain("query-sgx-capabilities"));
        caps.gic = gic(accelerated.plain("query-gic-capabilities"));
        let accel = if caps.has(Flag::Kvm) {
            Accel::Kvm
        } else if caps.has(Flag::Hvf) {
            Accel::Hvf
        } else {
            Accel::Tcg
        };
        caps.read_accelerator(accel, accelerated);
        if let Some(tcg) = tcg.filter(|_| accel != Accel::Tcg && caps.has(Flag::Tcg)) {
            caps.read_accelerator(Accel::Tcg, tcg);
        }
        if accel == Accel::Kvm {
            caps.hyperv = cpu::hyperv(accelerated);
        }
        caps
    }

    fn read_accelerator(&mut self, accel: Accel, replies: &Replies) {
        let machines = machines(replies.plain("query-machines"), &self.arch);
        let cpus = cpu::models(replies.plain("query-cpu-definitions"), &self.arch);
        let host_cpu = cpu::host_cpu(replies, accel, &self.arch, &self.flags);
        let known = self.accelerator_mut(accel);
        known.machines = machines;
        known.cpus = cpus;
        known.host_cpu = host_cpu;
    }

    fn read_sev(&mut self, replies: &Replies) {
        let reply = replies.plain("query-sev-capabilities");
        let text = |name: &str| reply[name].as_str().map(str::to_owned);
        let (Some(cbitpos), Some(pdh)) = (small(&reply["cbitpos"]), text("pdh")) else {
            self.flags.remove(Flag::SevSnpGuest);
            return;
        };
        self.flags.insert(Flag::SevGuest);
        self.sev = Some(SevInfo {
            cbitpos,
            reduced_phys_bits: small(&reply["reduced-phys-bits"]).unwrap_or_default(),
            pdh,
            cert_chain: text("cert-chain").unwrap_or_default(),
            cpu0_id: text("cpu0-id"),
        });
    }
}

fn flags(replies: &Replies, circumstances: Circumstances) -> FlagSet {
    let mut flags = FlagSet::new();
    let schema = Schema::new(replies.plain("query-qmp-schema"));
    let mut set = |rows: &mut dyn Iterator<Item = Flag>| rows.for_each(|flag| flags.insert(flag));
    set(&mut matching(rules::COMMANDS, |name| schema.has_command(name)));
    set(&mut matching(rules::SCHEMA, |path| schema.has(path)));

    let types = words(replies.plain("qom-list-types"), "name");
    set(&mut matching(rules::TYPES, |name| types.contains(name)));
    set(&mut rules::NAMED_AFTER_TYPE.iter().copied().filter(|flag| types.contains(flag.name())));

    for (command, tables) in [
        ("device-list-properties", rules::DEVICE_PROPERTIES),
        ("qom-list-properties", rules::OBJECT_PROPERTIES),
    ] {
        for (typename, table) in tables {
            let known = replies.about_type(command, typename).map(|reply| words(reply, "name"));
            let known = known.unwrap_or_default();
            set(&mut matching(table, |name| known.contains(name)));
        }
    }
    if let Some(virt) = replies.newest_machine("virt") {
        let reply = replies.about_type("qom-list-properties", &format!("{virt}-machine"));
        let known = reply.map(|reply| words(reply, "name")).unwrap_or_default();
        set(&mut matching(rules::VIRT_MACHINE, |name| known.contains(name)));
    }

    let options = replies.plain("query-command-line-options");
    set(&mut rules::OPTIONS
        .iter()
        .filter(|(option, parameter, _)| has_option(options, option, *parameter))
        .map(|(_, _, flag)| *flag));
    let migration = words(replies.plain("query-migrate-capabilities"), "capability");
    set(&mut matching(rules::MIGRATION, |name| migration.contains(name)));
    for command in ["query-tpm-models", "query-tpm-types"] {
        let list = replies.plain(command).as_array().map(Vec::as_slice).unwrap_or_default();
        set(&mut matching(rules::TPM, |name| list.iter().any(|entry| entry == name)));
    }
    set_the_rest(&mut flags, replies, &types, circumstances);
    flags
}

/// What needs more than one row of a table.
fn set_the_rest(
    flags: &mut FlagSet,
    replies: &Replies,
    types: &HashSet<&str>,
    circumstances: Circumstances,
) {
    let kvm = replies.plain("query-kvm");
    if kvm["enabled"] == true && kvm["present"] == true {
        flags.insert(Flag::Kvm);
    }
    if circumstances.hvf {
        flags.insert(Flag::Hvf);
    }
    if types.contains("sev-snp-guest") {
        flags.insert(Flag::SevSnpGuest);
    }
    let arch = replies.plain("query-target")["arch"].as_str().unwrap_or_default();
    if matches!(arch, "sparc" | "sparc64") && types.contains("esp") {
        flags.insert(Flag::Ncr53c90);
    }
    let blk = replies.about_type("device-list-properties", "virtio-blk-pci");
    let scsi_off = |entry: &Value| entry["name"] == "scsi" && entry["default-value"] == false;
    if blk.and_then(Value::as_array).is_some_and(|list| list.iter().any(scsi_off)) {
        flags.insert(Flag::VirtioBlkPciScsiDefaultDisabled);
    }
}

fn matching<'a>(
    table: &'a [(&'a str, Flag)],
    has: impl Fn(&str) -> bool + 'a,
) -> impl Iterator<Item = Flag> + 'a {
    table.iter().filter(move |(name, _)| has(name)).map(|(_, flag)| *flag)
}

fn has_option(options: &Value, option: &str, parameter: Option<&str>) -> bool {
    options.as_array().is_some_and(|options| {
        options.iter().filter(|entry| entry["option"] == option).any(|entry| match parameter {
            Some(parameter) => words(&entry["parameters"], "name").contains(parameter),
            None => true,
        })
    })
}

/// The texts under `key` of a list of objects.
fn words<'a>(list: &'a Value, key: &str) -> HashSet<&'a str> {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(|entry| entry[key].as_str()).collect()
}

fn small(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|number| u32::try_from(number).ok())
}

/// libvirt's name of an architecture, from QEMU's.
fn libvirt_arch(target: &str) -> &str {
    match target {
        "i386" => "i686",
        "arm" => "armv7l",
        "or1k" => "or32",
        other => other,
    }
}

/// The machine that libvirt takes when none is named, whatever QEMU's own default becomes.
fn preferred_machine(arch: &str) -> Option<&'static str> {
    Some(match arch {
        "i686" | "x86_64" => "pc",
        "ppc64" | "ppc64le" => "pseries",
        "ppc" => "g3beige",
        "s390x" => "s390-ccw-virtio",
        "sparc" => "SS-5",
        "sparc64" => "sun4u",
        "alpha" => "clipper",
        "m68k" => "mcf5208evb",
        "mips" | "mipsel" | "mips64" | "mips64el" => "malta",
        "armv7l" | "armv7b" | "aarch64" | "riscv32" | "riscv64" | "loongarch64" => "virt",
        _ => return None,
    })
}

fn machines(reply: &Value, arch: &str) -> Vec<Machine> {
    let list = reply.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut machines: Vec<Machine> =
        list.iter().filter(|entry| entry["name"] != "none").map(machine).collect();
    let preferred = preferred_machine(arch).and_then(|name| {
        machines.iter().position(|m| m.name == name || m.alias.as_deref() == Some(name))
    });
    let first = preferred.or_else(|| machines.iter().position(|machine| machine.default));
    if let Some(first) = first {
        machines[..=first].rotate_right(1);
    }
    machines
}

fn machine(entry: &Value) -> Machine {
    let text = |name: &str| entry[name].as_str().map(str::to_owned);
    let yes = |name: &str| entry[name] == true;
    Machine {
        name: text("name").unwrap_or_default(),
        alias: text("alias"),
        hotplug_cpus: yes("hotpluggable-cpus"),
        max_cpus: small(&entry["cpu-max"]).unwrap_or_default(),
        default: yes("is-default"),
        default_cpu: text("default-cpu-type"),
        numa_mem: yes("numa-mem-supported"),
        default_ram_id: text("default-ram-id"),
        deprecated: yes("deprecated"),
        acpi: entry["acpi"].as_bool(),
    }
}

fn gic(reply: &Value) -> Vec<GicVersion> {
    let list = reply.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter()
        .filter_map(|entry| {
            Some(GicVersion {
                version: small(&entry["version"])?,
                kernel: entry["kernel"] == true,
                emulated: entry["emulated"] == true,
            })
        })
        .collect()
}

fn sgx(reply: &Value) -> Option<SgxInfo> {
    let list = reply["sections"].as_array()?;
    let sections: Vec<SgxSection> = list
        .iter()
        .filter_map(|entry| {
            let size = entry["size"].as_u64()? / 1024;
            Some(SgxSection { node: small(&entry["node"])?, size })
        })
        .collect();
    Some(SgxInfo {
        flc: reply["flc"] == true,
        sgx1: reply["sgx1"] == true,
        sgx2: reply["sgx2"] == true,
        section_size: sections.iter().map(|section| section.size).sum(),
        sections,
    })
}

#[cfg(test)]
mod tests;
