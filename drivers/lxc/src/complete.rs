// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a definition of a container means that leaves things open. Pure apart from chance; idempotent.

use std::path::Path;

use uuid::Uuid;
use virtus_api::{Error, ErrorCode, Result};
use virtus_xml::Domain;
use virtus_xml::domain::DomainType;
use virtus_xml::domain::chardev::ChardevTargetType;

/// The first bytes of addresses of cards that have none: the number that libvirt gives them.
pub(crate) const MAC_PREFIX: [u8; 3] = [0x52, 0x54, 0x00];
/// The first process of a container that names none.
const INIT: &str = "/sbin/init";

/// Fills in what the user left open, for a host of the architecture `arch` with this controller.
///
/// # Errors
/// Where it is no definition of a container.
pub fn complete(def: &mut Domain, arch: &str, controller: &Path) -> Result<()> {
    let arch = def.os.kind.arch.get_or_insert_with(|| arch.to_owned()).clone();
    let (kind, os) = (def.kind, &def.os.kind.name);
    if kind != DomainType::Lxc || os != "exe" {
        let text =
            format!("could not find capabilities for ostype={os} arch={arch} domaintype={kind}");
        return Err(Error::new(ErrorCode::InvalidArg, text)
            .hint("containers are of <domain type='lxc'> and <os><type>exe</type>"));
    }
    def.name_missing(MAC_PREFIX, &mut random);
    def.os.init.get_or_insert_with(|| INIT.to_owned());
    def.devices.emulator.get_or_insert_with(|| controller.to_string_lossy().into_owned());
    for (port, console) in (0..).zip(&mut def.devices.consoles) {
        let target = console.target.get_or_insert_default();
        target.kind.get_or_insert(ChardevTargetType::Lxc);
        target.port.get_or_insert(port);
    }
    Ok(())
}

/// UUIDs are the workspace's source of chance.
pub(crate) fn random(bytes: &mut [u8]) {
    for chunk in bytes.chunks_mut(16) {
        chunk.copy_from_slice(&Uuid::new_v4().as_bytes()[..chunk.len()]);
    }
}

#[cfg(test)]
mod tests {
    use virtus_xml::{FormatFlags, ParseFlags};

    use super::*;

    const LEAST: &str = "<domain type='lxc'><name>a</name><memory>1024</memory>\
        <os><type>exe</type></os><devices><interface type='ethernet'/>\
        <console type='pty'/><console type='pty'/></devices></domain>";

    fn completed(text: &str) -> Result<Domain> {
        let mut def = Domain::parse(text, ParseFlags::INACTIVE)?.value;
        complete(&mut def, "x86_64", Path::new("/usr/libexec/libvirt_lxc"))?;
        Ok(def)
    }

    #[test]
    fn the_least_definition_gets_all_that_a_container_needs() {
        let def = completed(LEAST).unwrap();
        let text = def.format(FormatFlags::INACTIVE);
        for part in [
            "<type arch='x86_64'>exe</type>",
            "<init>/sbin/init</init>",
            "<emulator>/usr/libexec/libvirt_lxc</emulator>",
            "<mac address='52:54:00:",
            "<target type='lxc' port='1'/>",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert_eq!(completed(&text).unwrap(), def);
    }

    #[test]
    fn machines_are_not_containers() {
        let error = completed(&LEAST.replace("exe", "hvm")).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidArg);
        assert!(error.text().contains("ostype=hvm"), "{error}");
        assert!(completed(&LEAST.replace("type='lxc'", "type='kvm'")).is_err());
    }
}
