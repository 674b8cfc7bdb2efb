// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<virtualport>`: what a switch that is more than a bridge must know of a port.

use uuid::Uuid;
use virtus_api::Result;

use crate::chance::Chance;
use crate::reader::Node;
use crate::value::{Allowed, Value, c_number};
use crate::writer::Escaped;

element! {
    /// `<virtualport>`.
    pub struct VirtualPort {
        attr kind: Option<VirtualPortType> = "type",
        child parameters: Option<VirtualPortParameters> = "parameters"
    }
    then Self::check
}

spellings! {
    /// Which kind of switch a port is on.
    pub enum VirtualPortType {
        Qbg = "802.1Qbg", Qbh = "802.1Qbh", Openvswitch = "openvswitch", Midonet = "midonet",
    }
}

element! {
    /// `<parameters>` of a virtual port. Which ones there may be depends on the type; all, if it is not said.
    pub struct VirtualPortParameters {
        attr managerid: Option<Number<0xff>> = "managerid",
        attr typeid: Option<Number<0x00ff_ffff>> = "typeid",
        attr typeidversion: Option<Number<0xff>> = "typeidversion",
        attr instanceid: Option<Uuid> = "instanceid",
        attr interfaceid: Option<Uuid> = "interfaceid",
        attr profileid: Option<String> = "profileid"
    }
}

/// A number up to `MAX`; read in decimal, hexadecimal or octal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Number<const MAX: u64>(pub u64);

impl<const MAX: u64> Value for Number<MAX> {
    const ALLOWED: Allowed = Allowed::A(if MAX == 0xff {
        "a number from 0 to 255"
    } else {
        "a number from 0 to 16777215"
    });
    fn parse(text: &str) -> Option<Self> {
        c_number(text).filter(|number| *number <= MAX).map(Self)
    }
    fn write(&self, out: &mut Escaped<'_>) {
        out.put(self.0);
    }
}

/// The longest name of a profile.
const MAX_PROFILE: usize = 39;

impl VirtualPort {
    fn check(&mut self, node: Node<'_>) -> Result<()> {
        let Some(given) = &mut self.parameters else { return Ok(()) };
        given.profileid.take_if(|profile| profile.is_empty());
        if given.profileid.as_ref().is_some_and(|profile| profile.len() > MAX_PROFILE) {
            return Err(
                node.error(format_args!("profileid is longer than {MAX_PROFILE} characters"))
            );
        }
        if let Some(kind) = self.kind {
            let allowed: &[&str] = match kind {
                VirtualPortType::Qbg => &["managerid", "typeid", "typeidversion", "instanceid"],
                VirtualPortType::Qbh => &["profileid"],
                VirtualPortType::Openvswitch => &["interfaceid", "profileid"],
                VirtualPortType::Midonet => &["interfaceid"],
            };
            for (name, there) in given.names() {
                if there && !allowed.contains(&name) {
                    return Err(node.error(format_args!(
                        "extra {name} unsupported for virtualport type {kind}; allowed: {}",
                        allowed.join(", ")
                    )));
                }
            }
        }
        self.parameters.take_if(|given| *given == VirtualPortParameters::default());
        Ok(())
    }
}

impl VirtualPort {
    /// Gives a card's port the identifiers that its switch tells ports apart by; without a type, both.
    pub fn name_missing(&mut self, chance: &mut Chance<'_>) {
        let (instance, interface) = match self.kind {
            None => (true, true),
            Some(VirtualPortType::Qbg) => (true, false),
            Some(VirtualPortType::Openvswitch) => (false, true),
            Some(VirtualPortType::Qbh | VirtualPortType::Midonet) => return,
        };
        let given = self.parameters.get_or_insert_default();
        if instance {
            given.instanceid.get_or_insert_with(|| chance.uuid());
        }
        if interface {
            given.interfaceid.get_or_insert_with(|| chance.uuid());
        }
    }
}

impl VirtualPortParameters {
    /// Every parameter and whether it is there.
    fn names(&self) -> [(&'static str, bool); 6] {
        [
            ("managerid", self.managerid.is_some()),
            ("typeid", self.typeid.is_some()),
            ("typeidversion", self.typeidversion.is_some()),
            ("instanceid", self.instanceid.is_some()),
            ("interfaceid", self.interfaceid.is_some()),
            ("profileid", self.profileid.is_some()),
        ]
    }
}
