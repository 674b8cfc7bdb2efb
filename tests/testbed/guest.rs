// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The guests of the tests: a small Linux that boots in seconds, and one that only stands in its firmware.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use crate::run::run;
use crate::{Outcome, target_folder};

/// The folder that holds `vmlinuz` and `initrd`; made on first use by tests/guest/build.sh.
pub fn guest_folder() -> Outcome<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let build = || -> Outcome<PathBuf> {
        let folder = target_folder().join("guest");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("guest/build.sh");
        let done = run(Command::new(script).arg(&folder), Duration::from_secs(300))?;
        if done.ok() { Ok(folder) } else { Err(format!("no guest: {}", done.err).into()) }
    };
    BUILT.get_or_init(|| build().map_err(|error| error.to_string())).clone().map_err(Into::into)
}

/// A domain's XML in the making.
#[derive(Clone, Debug)]
pub struct Guest {
    kind: &'static str,
    name: String,
    memory: u32,
    vcpus: String,
    boot: String,
    head: String,
    features: String,
    devices: String,
    tail: String,
}

impl Guest {
    /// Linux with its shell on the serial console.
    pub fn linux(name: &str) -> Outcome<Self> {
        let folder = guest_folder()?;
        let folder = folder.display();
        let mut guest = Self::firmware(name);
        guest.memory = 128;
        guest.boot = format!(
            "<kernel>{folder}/vmlinuz</kernel><initrd>{folder}/initrd</initrd>\
             <cmdline>console=ttyS0 quiet</cmdline>"
        );
        guest.features = "<acpi/><apic/>".to_owned();
        Ok(guest.device("<serial type='pty'><target port='0'/></serial><console type='pty'/>"))
    }

    /// The least there can be: firmware that finds nothing to boot. Starts at once and needs 32 MiB.
    pub fn firmware(name: &str) -> Self {
        Self {
            kind: "qemu",
            name: name.to_owned(),
            memory: 32,
            vcpus: "<vcpu>1</vcpu>".to_owned(),
            boot: String::new(),
            head: String::new(),
            features: "<acpi/>".to_owned(),
            devices: String::new(),
            tail: String::new(),
        }
    }

    /// Adds XML to `<devices>`.
    #[must_use]
    pub fn device(mut self, xml: &str) -> Self {
        self.devices.push_str(xml);
        self
    }

    /// Adds XML after the name.
    #[must_use]
    pub fn head(mut self, xml: &str) -> Self {
        self.head.push_str(xml);
        self
    }

    /// Adds XML before `<devices>` (lifecycle actions, CPU, clock).
    #[must_use]
    pub fn with(mut self, xml: &str) -> Self {
        self.tail.push_str(xml);
        self
    }

    /// Replaces the `<vcpu>` element.
    #[must_use]
    pub fn vcpus(mut self, xml: &str) -> Self {
        xml.clone_into(&mut self.vcpus);
        self
    }

    /// On KVM instead of QEMU's own emulation.
    #[must_use]
    pub fn on_kvm(mut self) -> Self {
        self.kind = "kvm";
        self
    }

    /// Memory in MiB.
    #[must_use]
    pub fn memory(mut self, mebibytes: u32) -> Self {
        self.memory = mebibytes;
        self
    }

    /// The channel on which the guest's agent answers.
    #[must_use]
    pub fn agent(self) -> Self {
        self.device(
            "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>",
        )
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn xml(&self) -> String {
        let Self { kind, name, memory, vcpus, boot, head, features, devices, tail } = self;
        format!(
            "<domain type='{kind}'>\n  <name>{name}</name>\n  {head}\n  <memory unit='MiB'>{memory}</memory>\n  \
             {vcpus}\n  <os><type arch='x86_64' machine='q35'>hvm</type>{boot}</os>\n  \
             <features>{features}</features>\n  {tail}\n  <devices>{devices}</devices>\n</domain>\n"
        )
    }
}
