// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<os>`: machine, firmware, kernel, boot order.

use super::storage::{StorageSource, StorageType};
use crate::schema::kinds;
use crate::value::YesNo;

element! {
    /// `<os>`.
    pub struct Os {
        attr firmware: Option<Firmware> = "firmware",
        child kind: OsType = "type",
        leaf init: Option<String> = "init",
        leaf initargs: Vec<String> = "initarg",
        child initenvs: Vec<InitEnv> = "initenv",
        leaf initdir: Option<String> = "initdir",
        leaf inituser: Option<String> = "inituser",
        leaf initgroup: Option<String> = "initgroup",
        child firmware_features: Option<FirmwareFeatures> = "firmware",
        child loader: Option<Loader> = "loader",
        child nvram: Option<Box<Nvram>> = "nvram",
        leaf kernel: Option<String> = "kernel",
        leaf initrd: Option<String> = "initrd",
        leaf cmdline: Option<String> = "cmdline",
        leaf shim: Option<String> = "shim",
        leaf root: Option<String> = "root",
        leaf dtb: Option<String> = "dtb",
        child acpi: Option<AcpiTables> = "acpi",
        child boot: Vec<BootDevice> = "boot",
        child bootmenu: Option<BootMenu> = "bootmenu",
        child bios: Option<Bios> = "bios",
        child smbios: Option<Smbios> = "smbios"
    }
    schema {
        one OsType = "type",
        leaf kinds::AbsolutePath = "init",
        leaf kinds::AbsolutePath = "kernel",
        leaf kinds::AbsolutePath = "initrd",
        leaf kinds::AbsolutePath = "shim",
        leaf kinds::AbsolutePath = "dtb"
    }
}

spellings! {
    /// Which kind of firmware is to be found.
    pub enum Firmware { Bios = "bios", Efi = "efi" }
}

element! {
    /// `<type arch='x86_64' machine='q35'>hvm</type>`.
    pub struct OsType {
        attr arch: Option<String> = "arch",
        attr machine: Option<String> = "machine",
        text name: String
    }
    schema {
        attr kinds::Arch = "arch",
        attr kinds::MachineName = "machine",
        text kinds::OsName
    }
}

element! {
    /// `<initenv name='…'>` of a container.
    pub struct InitEnv {
        required name: String = "name",
        text value: String
    }
}

element! {
    /// `<firmware>`: what the firmware that is found must have.
    pub struct FirmwareFeatures { child features: Vec<FirmwareFeature> = "feature" }
}

element! {
    /// One feature.
    pub struct FirmwareFeature {
        required enabled: YesNo = "enabled",
        required name: FirmwareFeatureName = "name"
    }
}

spellings! {
    /// What firmware can have.
    pub enum FirmwareFeatureName { EnrolledKeys = "enrolled-keys", SecureBoot = "secure-boot" }
}

element! {
    /// `<loader>`: the firmware's code.
    pub struct Loader {
        attr readonly: Option<YesNo> = "readonly",
        attr secure: Option<YesNo> = "secure",
        attr kind: Option<LoaderType> = "type",
        attr stateless: Option<YesNo> = "stateless",
        attr format: Option<String> = "format",
        text path: Option<String>
    }
}

spellings! {
    /// How firmware is mapped.
    pub enum LoaderType { Rom = "rom", Pflash = "pflash" }
}

element! {
    /// `<nvram>`: the firmware's variables.
    pub struct Nvram {
        attr template: Option<String> = "template",
        attr template_format: Option<String> = "templateFormat",
        attr kind: Option<StorageType> = "type",
        attr format: Option<String> = "format",
        child source: Option<StorageSource> = "source",
        text path: Option<String>
    }
}

element! {
    /// `<acpi>`: extra tables.
    pub struct AcpiTables { child tables: Vec<AcpiTable> = "table" }
}

element! {
    /// One table.
    pub struct AcpiTable {
        required kind: AcpiTableType = "type",
        text path: String
    }
}

spellings! {
    /// What a table's file contains.
    pub enum AcpiTableType { Raw = "raw", Rawset = "rawset", Slic = "slic", Msdm = "msdm" }
}

element! {
    /// `<boot dev='hd'/>`.
    pub struct BootDevice { required dev: BootDev = "dev" }
}

spellings! {
    /// Kinds of devices that can be booted.
    pub enum BootDev { Fd = "fd", Hd = "hd", Cdrom = "cdrom", Network = "network" }
}

element! {
    /// `<bootmenu>`.
    pub struct BootMenu {
        attr enable: Option<YesNo> = "enable",
        attr timeout: Option<u32> = "timeout"
    }
    schema {
        attr u16 = "timeout"
    }
}

element! {
    /// `<bios>`.
    pub struct Bios {
        attr useserial: Option<YesNo> = "useserial",
        attr reboot_timeout: Option<i32> = "rebootTimeout"
    }
}

element! {
    /// `<smbios mode='sysinfo'/>`.
    pub struct Smbios { required mode: SmbiosMode = "mode" }
}

spellings! {
    /// Whose SMBIOS data the guest sees.
    pub enum SmbiosMode { Emulate = "emulate", Host = "host", Sysinfo = "sysinfo" }
}

impl Nvram {
    /// Whether nothing is stated.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
