// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<launchSecurity>` and `<keywrap>`: what keeps the host out of the guest.

use virtus_api::Result;

use crate::reader::{Element, Node};
use crate::schema::Shape;
use crate::value::{Hex, OnOff, YesNo};
use crate::writer::Writer;

element! {
    /// `<launchSecurity>`.
    pub struct LaunchSecurity {
        required kind: LaunchSecurityType = "type",
        attr kernel_hashes: Option<YesNo> = "kernelHashes",
        attr author_key: Option<YesNo> = "authorKey",
        attr vcek: Option<YesNo> = "vcek",
        leaf cbitpos: Option<u32> = "cbitpos",
        leaf reduced_phys_bits: Option<u32> = "reducedPhysBits",
        custom policy: Option<Policy> = "policy",
        leaf dh_cert: Option<String> = "dhCert",
        leaf session: Option<String> = "session",
        leaf guest_visible_workarounds: Option<String> = "guestVisibleWorkarounds",
        leaf id_block: Option<String> = "idBlock",
        leaf id_auth: Option<String> = "idAuth",
        leaf host_data: Option<String> = "hostData"
    }
}

spellings! {
    /// By which technology.
    pub enum LaunchSecurityType { Sev = "sev", SevSnp = "sev-snp", S390Pv = "s390-pv", Tdx = "tdx" }
}

/// The policy of a protected guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policy(pub u64);

impl Element for Policy {
    const SHAPE: &'static Shape = shape!(Policy: text Hex<4>);
    fn read(node: Node<'_>) -> Result<Self> {
        node.text_value::<Hex<4>>().map(|policy| Self(policy.0))
    }
    fn write(&self, tag: &str, out: &mut Writer) {
        out.leaf(tag, &Hex::<4>(self.0));
    }
}

impl LaunchSecurity {
    /// The policy of SEV has 4 digits, that of SEV-SNP 8.
    fn policy(&self, tag: &str, out: &mut Writer) {
        match &self.policy {
            Some(policy) if self.kind == LaunchSecurityType::SevSnp => {
                out.leaf(tag, &Hex::<8>(policy.0))
            }
            Some(policy) => policy.write(tag, out),
            None => {}
        }
    }
}

element! {
    /// `<keywrap>` of s390x.
    pub struct Keywrap { child ciphers: Vec<KeywrapCipher> = "cipher" }
}

element! {
    /// One cipher.
    pub struct KeywrapCipher {
        required name: KeywrapName = "name",
        required state: OnOff = "state"
    }
}

spellings! {
    /// What wraps keys.
    pub enum KeywrapName { Aes = "aes", Dea = "dea" }
}
