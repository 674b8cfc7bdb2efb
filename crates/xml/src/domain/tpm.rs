// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<tpm>`: a trusted platform module.

use uuid::Uuid;

use super::device::Device;
use crate::value::YesNo;

element! {
    /// `<tpm>`.
    pub struct Tpm {
        attr model: Option<TpmModel> = "model",
        child backend: Option<TpmBackend> = "backend",
        part info: Device
    }
}

impl Tpm {
    /// The host's module is where the kernel puts the first, unless another is named.
    pub(crate) fn settle(&mut self) {
        let Some(backend) = &mut self.backend else { return };
        if backend.kind == TpmBackendType::Passthrough {
            let device = backend.device.get_or_insert_with(TpmDevice::default);
            device.path.get_or_insert_with(|| "/dev/tpm0".to_owned());
        }
    }
}

spellings! {
    /// What the guest sees.
    pub enum TpmModel {
        Tis = "tpm-tis", Crb = "tpm-crb", Spapr = "tpm-spapr", SpaprProxy = "spapr-tpm-proxy", Default = "default",
    }
}

element! {
    /// `<backend>`: what is behind it.
    pub struct TpmBackend {
        required kind: TpmBackendType = "type",
        attr version: Option<TpmVersion> = "version",
        attr persistent_state: Option<YesNo> = "persistent_state",
        attr debug: Option<u32> = "debug",
        child profile: Option<TpmProfile> = "profile",
        child encryption: Option<TpmEncryption> = "encryption",
        child active_pcr_banks: Option<PcrBanks> = "active_pcr_banks",
        child device: Option<TpmDevice> = "device",
        child source: Option<TpmSource> = "source"
    }
}

spellings! {
    /// Where the TPM is.
    pub enum TpmBackendType { Passthrough = "passthrough", Emulator = "emulator", External = "external" }
}

spellings! {
    /// Which specification it follows.
    pub enum TpmVersion { V12 = "1.2", V20 = "2.0" }
}

element! {
    /// `<profile>` of an emulated TPM.
    pub struct TpmProfile {
        attr source: Option<String> = "source",
        attr remove_disabled: Option<RemoveDisabled> = "removeDisabled",
        attr name: Option<String> = "name"
    }
}

spellings! {
    /// How algorithms are found that the host forbids.
    pub enum RemoveDisabled { Check = "check", FipsHost = "fips-host" }
}

element! {
    /// `<encryption secret='…'/>`.
    pub struct TpmEncryption { required secret: Uuid = "secret" }
}

element! {
    /// `<active_pcr_banks>`.
    pub struct PcrBanks {
        flag sha1: bool = "sha1",
        flag sha256: bool = "sha256",
        flag sha384: bool = "sha384",
        flag sha512: bool = "sha512"
    }
}

element! {
    /// `<device path='/dev/tpm0'/>`.
    pub struct TpmDevice { attr path: Option<String> = "path" }
}

element! {
    /// `<source>`: the state of an emulated TPM, or the socket of an external one.
    pub struct TpmSource {
        required kind: TpmSourceType = "type",
        attr mode: Option<String> = "mode",
        required path: String = "path"
    }
}

spellings! {
    /// What the path names.
    pub enum TpmSourceType { File = "file", Dir = "dir", Unix = "unix" }
}
