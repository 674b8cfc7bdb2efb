// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<hyperv>` of `<features>`: what makes Windows feel at home.

use super::features::State;
use crate::value::OnOff;

element! {
    /// `<hyperv>`.
    pub struct Hyperv {
        attr mode: Option<HypervMode> = "mode",
        child relaxed: Option<State> = "relaxed",
        child vapic: Option<State> = "vapic",
        child spinlocks: Option<Spinlocks> = "spinlocks",
        child vpindex: Option<State> = "vpindex",
        child runtime: Option<State> = "runtime",
        child synic: Option<State> = "synic",
        child stimer: Option<Stimer> = "stimer",
        child reset: Option<State> = "reset",
        child vendor_id: Option<VendorId> = "vendor_id",
        child frequencies: Option<State> = "frequencies",
        child reenlightenment: Option<State> = "reenlightenment",
        child tlbflush: Option<Tlbflush> = "tlbflush",
        child ipi: Option<State> = "ipi",
        child evmcs: Option<State> = "evmcs",
        child avic: Option<State> = "avic",
        child emsr_bitmap: Option<State> = "emsr_bitmap",
        child xmm_input: Option<State> = "xmm_input"
    }
}

spellings! {
    /// Who chooses the features.
    pub enum HypervMode { None = "none", Custom = "custom", Passthrough = "passthrough" }
}

element! {
    /// `<spinlocks>`.
    pub struct Spinlocks {
        attr state: Option<OnOff> = "state",
        attr retries: Option<u32> = "retries"
    }
}

element! {
    /// `<stimer>`.
    pub struct Stimer {
        attr state: Option<OnOff> = "state",
        child direct: Option<State> = "direct"
    }
}

element! {
    /// `<vendor_id>`.
    pub struct VendorId {
        attr state: Option<OnOff> = "state",
        attr value: Option<String> = "value"
    }
}

element! {
    /// `<tlbflush>`.
    pub struct Tlbflush {
        attr state: Option<OnOff> = "state",
        child direct: Option<State> = "direct",
        child extended: Option<State> = "extended"
    }
}
