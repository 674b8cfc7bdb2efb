// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Family, model and stepping, and how CPUID packs them.

use virtus_xml::capabilities;
use virtus_xml::cpu_map::MapSignature;

/// The numbers by which makers tell their CPUs apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Signature {
    pub family: u32,
    pub model: u32,
    pub stepping: u32,
}

impl Signature {
    /// What `eax` of CPUID leaf 1 says: bits 27-20 add to the family of bits 11-8, bits 19-16 stand before the
    /// model of bits 7-4.
    #[must_use]
    pub fn of_cpuid(eax: u32) -> Self {
        Self {
            family: (eax >> 20 & 0xff) + (eax >> 8 & 0xf),
            model: (eax >> 12 & 0xf0) + (eax >> 4 & 0xf),
            stepping: eax & 0xf,
        }
    }

    /// The value of `eax`.
    #[must_use]
    pub fn to_cpuid(self) -> u32 {
        let extended = self.family.saturating_sub(0xf) & 0xff;
        let family = self.family.min(0xf);
        extended << 20
            | (self.model >> 4 & 0xf) << 16
            | family << 8
            | (self.model & 0xf) << 4
            | self.stepping & 0xf
    }

    /// Whether a CPU with this signature is of the kind that `known` describes.
    pub(super) fn is(self, known: &MapSignature) -> bool {
        let stepping = known.stepping.as_ref();
        (self.family, self.model) == (known.family, known.model)
            && stepping.is_none_or(|set| set.contains(self.stepping))
    }

    /// One CPU that `known` describes.
    pub(in crate::cpu) fn first_of(known: &MapSignature) -> Self {
        let stepping = known.stepping.as_ref().and_then(|set| set.first()).unwrap_or_default();
        Self { family: known.family, model: known.model, stepping }
    }
}

impl From<Signature> for capabilities::Signature {
    fn from(signature: Signature) -> Self {
        let Signature { family, model, stepping } = signature;
        Self { family, model, stepping }
    }
}
