// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A container's first process.

use virtus_xml::Domain;

use crate::blueprint::{Account, Init};

/// The kernel's limit.
const LONGEST_HOSTNAME: usize = 64;

/// Its first process, in the environment that stock gives it.
pub(super) fn init(def: &Domain) -> Init {
    let os = &def.os;
    let uuid = def.uuid.unwrap_or_default().to_string();
    let mut env = vec![
        ("PATH", "/bin:/sbin".to_owned()),
        ("TERM", "linux".to_owned()),
        ("HOME", "/".to_owned()),
        // The documentation says "libvirt-lxc"; this is what stock sets and systemd knows.
        ("container", "lxc-libvirt".to_owned()),
        ("container_uuid", uuid.clone()),
        ("LIBVIRT_LXC_UUID", uuid),
        ("LIBVIRT_LXC_NAME", def.name.clone()),
    ];
    let consoles = def.devices.consoles.len();
    if consoles > 1 {
        let ttys: Vec<_> = (1..consoles).map(|number| format!("pts/{number}")).collect();
        env.push(("container_ttys", ttys.join(" ")));
    }
    if let Some(line) = &os.cmdline {
        env.push(("LIBVIRT_LXC_CMDLINE", line.clone()));
    }
    let mut env: Vec<_> = env.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    for own in &os.initenvs {
        env.retain(|(name, _)| *name != own.name);
        env.push((own.name.clone(), own.value.clone()));
    }
    Init {
        program: os.init.clone().unwrap_or_default().into(),
        args: os.initargs.clone(),
        env,
        folder: os.initdir.clone().map(Into::into),
        user: os.inituser.as_deref().map(account),
        group: os.initgroup.as_deref().map(account),
        descriptors: Vec::new(),
    }
}

/// The host name: what of the container's name can be one.
pub(super) fn hostname(def: &Domain) -> Option<String> {
    let plain = def.name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-');
    let name: String = plain.skip_while(|c| *c == '-').take(LONGEST_HOSTNAME).collect();
    (!name.is_empty()).then_some(name)
}

/// A name, or a number; after `+` always a number.
fn account(text: &str) -> Account {
    match text.strip_prefix('+').unwrap_or(text).parse() {
        Ok(id) => Account::Id(id),
        Err(_) => Account::Name(text.to_owned()),
    }
}
