// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Definitions as people and installers write them, and the command lines that become of them.
//!
//! `guests/NAME.xml` becomes `guests/NAME.args`; `UPDATE_EXPECT=1` writes those anew. The binary is Debian's QEMU
//! 10.0.2 as Virtus asked it, with two of its machines.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its data stops")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use virtus_api::{Error, Result};
use virtus_qemu::caps::{Accel, Accelerator, Capabilities, Flag};
use virtus_qemu::complete::{Defaults, complete};
use virtus_qemu::cpu::Cpus;
use virtus_qemu::plan::{self, CommandLine, Config, Context, Dirs, descriptors};
use virtus_xml::{Domain, ParseFlags};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests")
}

/// The binary, on a host where KVM works as TCG does.
fn capabilities() -> Capabilities {
    let text = std::fs::read_to_string(folder().join("qemu-10.0.2.x86_64.xml")).unwrap();
    let mut caps = Capabilities::from_cache_xml(&text).unwrap();
    let kvm = Accelerator { accel: Accel::Kvm, ..caps.accelerators[0].clone() };
    caps.accelerators.insert(0, kvm);
    caps.flags.insert(Flag::Kvm);
    caps
}

fn command_line(text: &str, caps: &Capabilities) -> Result<CommandLine> {
    let mut domain = Domain::parse(text, ParseFlags::INACTIVE | ParseFlags::ABI_UPDATE)?.value;
    domain.name_missing([0x52, 0x54, 0], &mut |bytes: &mut [u8]| bytes.fill(7));
    let defaults = Defaults { abi_update: true, ..Defaults::default() };
    complete(&mut domain, caps, &defaults)?;
    let cpus = Cpus { arch: "x86_64".to_owned(), ..Cpus::default() };
    plan::live(&mut domain, caps, &cpus)?;
    let mut cx = Context {
        id: 1,
        dirs: Dirs {
            lib: "/var/lib/libvirt/qemu".to_owned(),
            channel: "/run/libvirt/qemu/channel".to_owned(),
            ..Dirs::default()
        },
        config: Config::default(),
        hugetlbfs: Vec::new(),
        fds: BTreeMap::new(),
        secrets: BTreeMap::new(),
        host_cdroms: Vec::new(),
        peers: BTreeMap::new(),
        host_arch: "x86_64".to_owned(),
        fd_groups: BTreeMap::new(),
        format_nodes: !caps.has(Flag::BlockjobBackingMaskProtocol),
        nbdkit: None,
        auto_nodes: Vec::new(),
        cpu_nodes: BTreeMap::new(),
        incoming: None,
        pipewire_dir: None,
        now: 1_700_000_000,
        zone_seconds: 0,
    };
    // The numbers that a launcher would have: one after the other.
    let mut next = 20;
    for wanted in descriptors(&domain) {
        let numbers = (0..wanted.count).map(|_| {
            next += 1;
            next
        });
        cx.fds.insert(wanted.key, numbers.collect());
    }
    plan::command_line(&domain, caps, &cx)
}

/// An option and its value on a line.
fn lines(outcome: Result<CommandLine>) -> String {
    let said = |error: &Error| match error.hint_text() {
        Some(hint) => format!("refused: {}\nhint: {hint}\n", error.text()),
        None => format!("refused: {}\n", error.text()),
    };
    let line = match outcome {
        Ok(line) => line,
        Err(error) => return said(&error),
    };
    let mut out = String::new();
    for (name, value) in &line.env {
        out += &format!("{name}={}\n", value.as_deref().unwrap_or_default());
    }
    out += &line.program;
    for word in &line.args {
        out.push(if word.starts_with('-') { '\n' } else { ' ' });
        out += word;
    }
    out + "\n"
}

#[test]
fn ordinary_guests_become_these_command_lines() {
    let caps = capabilities();
    let mut guests: Vec<_> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "xml"))
        .filter(|path| !path.ends_with("qemu-10.0.2.x86_64.xml"))
        .collect();
    guests.sort();
    assert!(!guests.is_empty());
    for guest in guests {
        let text = std::fs::read_to_string(&guest).unwrap();
        let now = lines(command_line(&text, &caps));
        let expected = guest.with_extension("args");
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            #[expect(clippy::disallowed_methods, reason = "expectations of the repository")]
            std::fs::write(&expected, &now).unwrap();
        }
        let written = std::fs::read_to_string(&expected).unwrap_or_default();
        assert_eq!(now, written, "{}", guest.display());
    }
}
