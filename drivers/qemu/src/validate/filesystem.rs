// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Folders that are shared with the guest.

use virtus_api::Result;
use virtus_xml::domain::address::Address;
use virtus_xml::domain::filesystem::{
    AccessMode, Filesystem, FilesystemDriverType as Driver, FilesystemType, Multidevs,
};

use super::{Rules, need, unsupported};
use crate::caps::Flag;

pub(super) fn validate(rules: Rules<'_>) -> Result<()> {
    rules.domain.devices.filesystems.iter().try_for_each(|one| filesystem(rules, one))
}

fn filesystem(rules: Rules<'_>, fs: &Filesystem) -> Result<()> {
    let driver = fs.driver.as_ref().and_then(|driver| driver.kind).unwrap_or_default();
    let element = format!("<filesystem> with <driver type='{driver}'>");
    need(fs.kind == FilesystemType::Mount, || {
        format!("<filesystem type='{}'>: QEMU has 'mount'", fs.kind)
    })?;
    need(fs.space_hard_limit.is_none() && fs.space_soft_limit.is_none(), || {
        "<filesystem>: QEMU has no <space_hard_limit> and <space_soft_limit>".to_owned()
    })?;
    let multidevs = fs.multidevs.is_some_and(|multidevs| multidevs != Multidevs::Default);
    if multidevs {
        rules.needs(Flag::FsdevMultidevs, "<filesystem multidevs>")?;
    }
    let modes = fs.fmode.is_some() || fs.dmode.is_some();
    need(!modes || fs.accessmode == Some(AccessMode::Mapped), || {
        "<filesystem>: 'fmode' and 'dmode' need accessmode='mapped'".to_owned()
    })?;
    let sandbox = fs.binary.as_ref().is_some_and(|binary| binary.sandbox.is_some());
    need(!sandbox || driver == Driver::Virtiofs, || format!("{element} has no <sandbox>"))?;
    let passthrough = || {
        need(matches!(fs.accessmode, None | Some(AccessMode::Passthrough)), || {
            format!("{element} needs accessmode='passthrough'")
        })
    };
    match driver {
        Driver::Path => Ok(()),
        Driver::Handle => passthrough(),
        Driver::Loop | Driver::Nbd | Driver::Ploop => {
            Err(unsupported(format!("{element}: allowed are path, handle, virtiofs and mtp")))
        }
        Driver::Mtp => {
            rules.needs(Flag::UsbMtp, &element)?;
            passthrough()
        }
        Driver::Virtiofs => {
            passthrough()?;
            virtiofs(rules, fs, &element)
        }
    }
}

fn virtiofs(rules: Rules<'_>, fs: &Filesystem, element: &str) -> Result<()> {
    let driver = fs.driver.as_ref();
    let external = fs.source.as_ref().is_some_and(|source| source.socket.is_some());
    need(!(external && fs.readonly), || {
        format!("{element}: <readonly/> is up to whoever starts the process of the socket")
    })?;
    for (name, set) in [
        ("wrpolicy", !external && driver.is_some_and(|driver| driver.wrpolicy.is_some())),
        ("model", fs.model.is_some()),
        ("format", driver.is_some_and(|driver| driver.format.is_some())),
        ("multidevs", fs.multidevs.is_some_and(|multidevs| multidevs != Multidevs::Default)),
        ("fmode", fs.fmode.is_some()),
        ("dmode", fs.dmode.is_some()),
    ] {
        need(!set, || format!("{element} has no '{name}'"))?;
    }
    rules.needs(Flag::VhostUserFs, element)?;
    rules.needs_shared_memory(element)?;
    if fs.info.boot.is_some() {
        rules.needs(Flag::VhostUserFsBootindex, format_args!("{element}<boot order>"))?;
        need(matches!(fs.info.address, None | Some(Address::Pci(_))), || {
            format!("{element}: <boot order> needs an address of type 'pci'")
        })?;
    }
    Ok(())
}
