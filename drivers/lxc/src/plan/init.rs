// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A container's first process.

use virtus_xml::Domain;

use crate::blueprint::{Account, Init};

/// Its first process, in the environment that the documentation promises.
pub(super) fn init(def: &Domain) -> Init {
    let os = &def.os;
    let uuid = def.uuid.unwrap_or_default().to_string();
    let mut env = vec![
        ("PATH", "/bin:/usr/bin".to_owned()),
        ("TERM", "linux".to_owned()),
        ("HOME", "/".to_owned()),
        ("container", "libvirt-lxc".to_owned()),
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

/// A name, or a number; after `+` always a number.
fn account(text: &str) -> Account {
    match text.strip_prefix('+').unwrap_or(text).parse() {
        Ok(id) => Account::Id(id),
        Err(_) => Account::Name(text.to_owned()),
    }
}
