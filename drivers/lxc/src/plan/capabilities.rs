// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a container's processes may do beside what their user may.

use std::collections::BTreeSet;

use virtus_api::{Error, ErrorCode, Result};
use virtus_xml::domain::lxc::{Capabilities, CapabilitiesPolicy};
use virtus_xml::value::OnOff;

use crate::blueprint::Capability;

/// Those that the definition allows.
pub(super) fn allowed(stated: Option<&Capabilities>) -> Result<BTreeSet<Capability>> {
    let all: BTreeSet<Capability> = Capability::ALL.into();
    let Some(stated) = stated else { return Ok(&all - &Capability::WITHHELD.into()) };
    let mut allowed = match stated.policy {
        CapabilitiesPolicy::Default => &all - &Capability::WITHHELD.into(),
        CapabilitiesPolicy::Allow => all,
        CapabilitiesPolicy::Deny => BTreeSet::new(),
    };
    for (name, state) in &stated.named {
        let capability = by_name(name).ok_or_else(|| {
            Error::new(ErrorCode::ConfigUnsupported, format!("there is no capability '{name}'"))
        })?;
        match state {
            OnOff::On => allowed.insert(capability),
            OnOff::Off => allowed.remove(&capability),
        };
    }
    Ok(allowed)
}

/// A capability by the kernel's name without `CAP_`, in small letters.
fn by_name(name: &str) -> Option<Capability> {
    let plain = name.replace('_', "");
    Capability::ALL.into_iter().find(|known| format!("{known:?}").eq_ignore_ascii_case(&plain))
}

#[cfg(test)]
mod tests {
    use virtus_xml::domain::lxc::CAPABILITIES;

    use super::*;

    #[test]
    fn every_name_of_a_definition_is_a_capability() {
        for name in CAPABILITIES {
            assert!(by_name(name).is_some(), "{name}");
        }
    }

    #[test]
    fn names_overrule_the_policy() {
        assert!(!allowed(None).unwrap().contains(&Capability::Mknod));
        let stated = Capabilities {
            policy: CapabilitiesPolicy::Deny,
            named: vec![("mknod".to_owned(), OnOff::On), ("chown".to_owned(), OnOff::Off)],
        };
        assert_eq!(allowed(Some(&stated)).unwrap(), [Capability::Mknod].into());
    }
}
