// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the agent tells of the guest: file systems, addresses, users, the operating system.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;
use virtus_api::{
    DomainFsinfo, DomainGetFsinfo, DomainGetFsinfoReply, DomainGetGuestInfo, DomainGetHostname,
    DomainInterface, DomainInterfaceAddresses, DomainIpAddr, ErrorCode, Result, TypedParam,
    TypedValue, params,
};
use virtus_core::Call;
use virtus_domain::leases;
use virtus_domain::routes::check_flags;
use virtus_xml::Domain;
use virtus_xml::domain::address::Address;

use params::domain_guest_info as name;

use super::agent::malformed;
use super::running;
use crate::driver::QemuDriver;
use crate::guest::{AGENT, Guest};

pub(super) async fn get_fsinfo(
    driver: Arc<QemuDriver>,
    _: Call,
    request: DomainGetFsinfo,
) -> Result<DomainGetFsinfoReply> {
    check_flags(request.flags, 0, "virDomainGetFSInfo")?;
    let (guest, snapshot) = running(&driver, &request.dom)?;
    let reply = guest.agent_execute("guest-get-fsinfo", None, AGENT).await?;
    let def = snapshot.def()?;
    let info: Vec<DomainFsinfo> = list(&reply, "guest-get-fsinfo")?
        .iter()
        .map(|fs| DomainFsinfo {
            mountpoint: text(&fs["mountpoint"]),
            name: text(&fs["name"]),
            fstype: text(&fs["type"]),
            dev_aliases: disks(fs).filter_map(|disk| target_of(&def, disk)).collect(),
        })
        .collect();
    let ret = number_of(info.len());
    Ok(DomainGetFsinfoReply { info, ret })
}

fn param(field: impl Into<Cow<'static, str>>, value: impl Into<TypedValue>) -> TypedParam {
    TypedParam::new(field, value)
}

fn list<'a>(reply: &'a Value, command: &str) -> Result<&'a Vec<Value>> {
    reply.as_array().ok_or_else(|| malformed(command))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn number_of(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn disks(fs: &Value) -> impl Iterator<Item = &Value> {
    fs["disk"].as_array().into_iter().flatten()
}

/// The name in the definition of a disk that the agent describes by its place on the buses.
fn target_of(def: &Domain, disk: &Value) -> Option<String> {
    let number = |value: &Value| value.as_u64();
    let pci = &disk["pci-controller"];
    let place = (
        number(&pci["domain"])?,
        number(&pci["bus"])?,
        number(&pci["slot"])?,
        number(&pci["function"])?,
    );
    let found = def.devices.disks.iter().find(|device| match &device.info.address {
        Some(Address::Pci(pci)) => (pci.domain.0, pci.bus.0, pci.slot.0, pci.function.0) == place,
        Some(Address::Drive(drive)) => {
            Some(u64::from(drive.bus)) == number(&disk["bus"])
                && Some(u64::from(drive.target)) == number(&disk["target"])
                && Some(u64::from(drive.unit)) == number(&disk["unit"])
        }
        _ => false,
    });
    found.map(|device| device.target.dev.clone())
}

pub(super) async fn get_hostname(
    driver: Arc<QemuDriver>,
    _: Call,
    request: DomainGetHostname,
) -> Result<String> {
    /// `VIR_DOMAIN_GET_HOSTNAME_LEASE`, which asks networks instead.
    const LEASE: u32 = 1;
    check_flags(request.flags, 3, "virDomainGetHostname")?;
    let (guest, snapshot) = running(&driver, &request.dom)?;
    if request.flags & LEASE != 0 {
        return leases::hostname(&driver.qemu.peers, snapshot.live()?).await;
    }
    hostname(&guest).await
}

async fn hostname(guest: &Guest) -> Result<String> {
    let reply = guest.agent_execute("guest-get-host-name", None, AGENT).await?;
    match reply["host-name"].as_str() {
        Some(name) => Ok(name.to_owned()),
        None => Err(malformed("guest-get-host-name")),
    }
}

pub(super) async fn get_addresses(
    driver: Arc<QemuDriver>,
    _: Call,
    request: DomainInterfaceAddresses,
) -> Result<Vec<DomainInterface>> {
    const AGENT_SOURCE: u32 = 1;
    const ARP_SOURCE: u32 = 2;
    check_flags(request.flags, 0, "virDomainInterfaceAddresses")?;
    let (guest, snapshot) = running(&driver, &request.dom)?;
    match request.source {
        AGENT_SOURCE => {
            let command = "guest-network-get-interfaces";
            let reply = guest.agent_execute(command, None, AGENT).await?;
            Ok(list(&reply, command)?.iter().map(interface).collect())
        }
        ARP_SOURCE => Ok(leases::learnt(snapshot.live()?)),
        _ => leases::leased(&driver.qemu.peers, snapshot.live()?).await,
    }
}

fn interface(value: &Value) -> DomainInterface {
    let addrs = value["ip-addresses"].as_array().into_iter().flatten();
    DomainInterface {
        name: text(&value["name"]),
        hwaddr: value["hardware-address"].as_str().map(str::to_owned),
        addrs: addrs
            .map(|addr| DomainIpAddr {
                r#type: i32::from(addr["ip-address-type"] == "ipv6"),
                addr: text(&addr["ip-address"]),
                prefix: addr["prefix"].as_u64().and_then(|p| u32::try_from(p).ok()).unwrap_or(0),
            })
            .collect(),
    }
}

/// `VIR_DOMAIN_GUEST_INFO_*`.
const USERS: u32 = 1;
const OS: u32 = 2;
const TIMEZONE: u32 = 4;
const HOSTNAME: u32 = 8;
const FILESYSTEM: u32 = 16;
const DISKS: u32 = 32;
const INTERFACES: u32 = 64;
const LOAD: u32 = 128;

pub(super) async fn get(
    driver: Arc<QemuDriver>,
    _: Call,
    request: DomainGetGuestInfo,
) -> Result<Vec<TypedParam>> {
    check_flags(request.flags, 0, "virDomainGetGuestInfo")?;
    let (guest, snapshot) = running(&driver, &request.dom)?;
    let def = snapshot.def()?;
    let mut all = Vec::new();
    for (kind, command) in [
        (USERS, "guest-get-users"),
        (OS, "guest-get-osinfo"),
        (TIMEZONE, "guest-get-timezone"),
        (HOSTNAME, "guest-get-host-name"),
        (FILESYSTEM, "guest-get-fsinfo"),
        (DISKS, "guest-get-disks"),
        (INTERFACES, "guest-network-get-interfaces"),
        (LOAD, "guest-get-load"),
    ] {
        let asked = request.types & kind != 0;
        if !asked && request.types != 0 {
            continue;
        }
        match guest.agent_execute(command, None, AGENT).await {
            Ok(reply) => describe(&mut all, kind, &reply, &def),
            // Of "everything", what this agent does not know is left out.
            Err(error) if !asked && error.code() == ErrorCode::OperationUnsupported => {}
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

fn describe(all: &mut Vec<TypedParam>, kind: u32, reply: &Value, def: &Domain) {
    let items = || reply.as_array().map(Vec::as_slice).unwrap_or_default();
    match kind {
        USERS => {
            all.push(param(name::USER_COUNT, number_of(items().len())));
            for (at, user) in items().iter().enumerate() {
                let field = |suffix: &str| format!("{}{at}{suffix}", name::USER_PREFIX);
                all.push(param(field(name::USER_SUFFIX_NAME), text(&user["user"])));
                if let Some(domain) = user["domain"].as_str() {
                    all.push(param(field(name::USER_SUFFIX_DOMAIN), domain));
                }
                // The agent tells seconds with a fraction, clients want milliseconds.
                let millis = user["login-time"].as_f64().map_or(0, |seconds| whole(seconds * 1e3));
                all.push(param(field(name::USER_SUFFIX_LOGIN_TIME), millis));
            }
        }
        OS => {
            for (field, member) in [
                (name::OS_ID, "id"),
                (name::OS_NAME, "name"),
                (name::OS_PRETTY_NAME, "pretty-name"),
                (name::OS_VERSION, "version"),
                (name::OS_VERSION_ID, "version-id"),
                (name::OS_MACHINE, "machine"),
                (name::OS_VARIANT, "variant"),
                (name::OS_VARIANT_ID, "variant-id"),
                (name::OS_KERNEL_RELEASE, "kernel-release"),
                (name::OS_KERNEL_VERSION, "kernel-version"),
            ] {
                if let Some(value) = reply[member].as_str() {
                    all.push(param(field, value));
                }
            }
        }
        TIMEZONE => {
            if let Some(zone) = reply["zone"].as_str() {
                all.push(param(name::TIMEZONE_NAME, zone));
            }
            let offset = reply["offset"].as_i64().and_then(|offset| i32::try_from(offset).ok());
            all.push(param(name::TIMEZONE_OFFSET, offset.unwrap_or_default()));
        }
        HOSTNAME => all.push(param(name::HOSTNAME_HOSTNAME, text(&reply["host-name"]))),
        FILESYSTEM => file_systems(all, items(), def),
        DISKS => all_disks(all, items(), def),
        INTERFACES => interfaces(all, items()),
        _ => {
            for (field, member) in
                [(name::LOAD_1M, "load1m"), (name::LOAD_5M, "load5m"), (name::LOAD_15M, "load15m")]
            {
                all.push(param(field, reply[member].as_f64().unwrap_or_default()));
            }
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a time of this era fits")]
#[expect(clippy::cast_sign_loss, reason = "a negative time reads as zero")]
fn whole(number: f64) -> u64 {
    number.max(0.0) as u64
}

fn file_systems(all: &mut Vec<TypedParam>, items: &[Value], def: &Domain) {
    all.push(param(name::FS_COUNT, number_of(items.len())));
    for (at, fs) in items.iter().enumerate() {
        let field = |suffix: &str| format!("{}{at}{suffix}", name::FS_PREFIX);
        all.push(param(field(name::FS_SUFFIX_MOUNTPOINT), text(&fs["mountpoint"])));
        all.push(param(field(name::FS_SUFFIX_NAME), text(&fs["name"])));
        all.push(param(field(name::FS_SUFFIX_FSTYPE), text(&fs["type"])));
        if let Some(total) = fs["total-bytes"].as_u64() {
            all.push(param(field(name::FS_SUFFIX_TOTAL_BYTES), total));
        }
        if let Some(used) = fs["used-bytes"].as_u64() {
            all.push(param(field(name::FS_SUFFIX_USED_BYTES), used));
        }
        let parts: Vec<&Value> = disks(fs).collect();
        all.push(param(field(name::FS_SUFFIX_DISK_COUNT), number_of(parts.len())));
        for (number, disk) in parts.into_iter().enumerate() {
            let part =
                |suffix: &str| field(&format!("{}{number}{suffix}", name::FS_SUFFIX_DISK_PREFIX));
            if let Some(target) = target_of(def, disk) {
                all.push(param(part(name::FS_SUFFIX_DISK_SUFFIX_ALIAS), target));
            }
            if let Some(serial) = disk["serial"].as_str() {
                all.push(param(part(name::FS_SUFFIX_DISK_SUFFIX_SERIAL), serial));
            }
            if let Some(device) = disk["dev"].as_str() {
                all.push(param(part(name::FS_SUFFIX_DISK_SUFFIX_DEVICE), device));
            }
        }
    }
}

fn all_disks(all: &mut Vec<TypedParam>, items: &[Value], def: &Domain) {
    all.push(param(name::DISK_COUNT, number_of(items.len())));
    for (at, disk) in items.iter().enumerate() {
        let field = |suffix: &str| format!("{}{at}{suffix}", name::DISK_PREFIX);
        all.push(param(field(name::DISK_SUFFIX_NAME), text(&disk["name"])));
        all.push(param(field(name::DISK_SUFFIX_PARTITION), disk["partition"] == true));
        let below: Vec<&Value> = disk["dependencies"].as_array().into_iter().flatten().collect();
        if !below.is_empty() {
            let count = number_of(below.len());
            all.push(param(field(name::DISK_SUFFIX_DEPENDENCY_COUNT), count));
        }
        for (number, other) in below.into_iter().enumerate() {
            let suffix = format!(
                "{}{number}{}",
                name::DISK_SUFFIX_DEPENDENCY_PREFIX,
                name::DISK_SUFFIX_DEPENDENCY_SUFFIX_NAME
            );
            all.push(param(field(&suffix), text(other)));
        }
        let address = &disk["address"];
        if let Some(serial) = address["serial"].as_str() {
            all.push(param(field(name::DISK_SUFFIX_SERIAL), serial));
        }
        if let Some(target) = target_of(def, address) {
            all.push(param(field(name::DISK_SUFFIX_ALIAS), target));
        }
        if let Some(bus) = address["bus-type"].as_str() {
            all.push(param(field(name::DISK_SUFFIX_GUEST_BUS), bus));
        }
        if let Some(alias) = disk["alias"].as_str() {
            all.push(param(field(name::DISK_SUFFIX_GUEST_ALIAS), alias));
        }
    }
}

fn interfaces(all: &mut Vec<TypedParam>, items: &[Value]) {
    all.push(param(name::IF_COUNT, number_of(items.len())));
    for (at, item) in items.iter().enumerate() {
        let field = |suffix: &str| format!("{}{at}{suffix}", name::IF_PREFIX);
        let card = interface(item);
        all.push(param(field(name::IF_SUFFIX_NAME), card.name));
        if let Some(mac) = card.hwaddr {
            all.push(param(field(name::IF_SUFFIX_HWADDR), mac));
        }
        all.push(param(field(name::IF_SUFFIX_ADDR_COUNT), number_of(card.addrs.len())));
        for (number, addr) in card.addrs.into_iter().enumerate() {
            let part =
                |suffix: &str| field(&format!("{}{number}{suffix}", name::IF_SUFFIX_ADDR_PREFIX));
            let kind = if addr.r#type == 0 { "ipv4" } else { "ipv6" };
            all.push(param(part(name::IF_SUFFIX_ADDR_SUFFIX_TYPE), kind));
            all.push(param(part(name::IF_SUFFIX_ADDR_SUFFIX_ADDR), addr.addr));
            all.push(param(part(name::IF_SUFFIX_ADDR_SUFFIX_PREFIX), addr.prefix));
        }
    }
}
