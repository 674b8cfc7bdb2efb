// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the guest and its agent are asked for: name, time, file systems, keys. The guest has two file systems on
//! its first disk.

use std::sync::Arc;

use virtus_api::{
    DomainFsfreeze, DomainFsinfo, DomainFsthaw, DomainFstrim, DomainGetFsinfo,
    DomainGetFsinfoReply, DomainGetHostname, DomainGetTime, DomainGetTimeReply, DomainInjectNmi,
    DomainProcessSignal, DomainSendKey, DomainSendProcessSignal, DomainSetTime, DomainSetTimeFlags,
    DomainSetUserPassword, DomainSetUserPasswordFlags, Error, ErrorCode, KeycodeSet, Result,
};
use virtus_core::{Call, Routes};
use virtus_domain::keys::qnum;
use virtus_domain::routes::{by, check_flags, find};
use virtus_domain::{State, not_running};
use virtus_xml::domain::disk::DiskDevice;

use super::running;
use crate::guest::MOUNTS;
use crate::world::World;

/// The routes of this file.
pub(super) fn routes() -> Routes<World> {
    Routes::new()
        .on(by(get_hostname))
        .on(by(get_time))
        .on(by(set_time))
        .on(by(freeze))
        .on(by(thaw))
        .on(by(trim))
        .on(by(get_fsinfo))
        .on(by(set_password))
        .on(by(send_key))
        .on(by(inject_nmi))
        .on(by(send_signal))
}

async fn get_hostname(world: Arc<World>, _: Call, request: DomainGetHostname) -> Result<String> {
    check_flags(request.flags, 0, "virDomainGetHostname")?;
    let (_, snapshot) = running(&world, &request.dom)?;
    Ok(format!("{}host", snapshot.name))
}

async fn get_time(
    world: Arc<World>,
    _: Call,
    request: DomainGetTime,
) -> Result<DomainGetTimeReply> {
    check_flags(request.flags, 0, "virDomainGetTime")?;
    let (guest, snapshot) = running(&world, &request.dom)?;
    if !matches!(snapshot.state, State::Running(_)) {
        return Err(not_running(&snapshot.name));
    }
    let (seconds, nseconds) = guest.inside().time;
    Ok(DomainGetTimeReply { seconds, nseconds })
}

async fn set_time(world: Arc<World>, _: Call, request: DomainSetTime) -> Result<()> {
    check_flags(request.flags, DomainSetTimeFlags::all().bits(), "virDomainSetTime")?;
    let (guest, _) = running(&world, &request.dom)?;
    guest.inside().time = (request.seconds, request.nseconds);
    Ok(())
}

/// Which file systems are meant: those that are named, or all.
fn mounts(named: &[String]) -> Result<[bool; 2]> {
    let mut meant = [named.is_empty(); 2];
    for name in named {
        meant[mount(name)?] = true;
    }
    Ok(meant)
}

fn mount(name: &str) -> Result<usize> {
    MOUNTS.iter().position(|mount| *mount == name).ok_or_else(|| {
        Error::new(ErrorCode::OperationInvalid, format!("mount point not found: {name}"))
    })
}

async fn freeze(world: Arc<World>, _: Call, request: DomainFsfreeze) -> Result<i32> {
    check_flags(request.flags, 0, "virDomainFSFreeze")?;
    set_frozen(&world, &request.dom, &request.mountpoints, true)
}

async fn thaw(world: Arc<World>, _: Call, request: DomainFsthaw) -> Result<i32> {
    check_flags(request.flags, 0, "virDomainFSThaw")?;
    set_frozen(&world, &request.dom, &request.mountpoints, false)
}

/// Freezes or thaws; answers how many file systems that changed.
fn set_frozen(
    world: &World,
    dom: &virtus_api::DomainRef,
    named: &[String],
    frozen: bool,
) -> Result<i32> {
    let (guest, _) = running(world, dom)?;
    let meant = mounts(named)?;
    let mut inside = guest.inside();
    let changed =
        inside.frozen.iter_mut().zip(meant).filter(|(is, meant)| *meant && **is != frozen);
    let changed = changed.map(|(is, _)| *is = frozen).count();
    Ok(super::count(changed))
}

async fn trim(world: Arc<World>, _: Call, request: DomainFstrim) -> Result<()> {
    check_flags(request.flags, 0, "virDomainFSTrim")?;
    running(&world, &request.dom)?;
    request.mount_point.map_or(Ok(()), |name| mount(&name).map(drop))
}

async fn get_fsinfo(
    world: Arc<World>,
    _: Call,
    request: DomainGetFsinfo,
) -> Result<DomainGetFsinfoReply> {
    check_flags(request.flags, 0, "virDomainGetFSInfo")?;
    let (_, snapshot) = running(&world, &request.dom)?;
    let mut disks = snapshot.live()?.devices.disks.iter();
    let Some(disk) = disks.find(|disk| disk.device == DiskDevice::Disk) else {
        return Ok(DomainGetFsinfoReply { info: Vec::new(), ret: 0 });
    };
    let target = &disk.target.dev;
    let info = (1..).zip(MOUNTS).map(|(partition, mount)| DomainFsinfo {
        mountpoint: mount.to_owned(),
        name: format!("{target}{partition}"),
        fstype: "ext4".to_owned(),
        dev_aliases: vec![target.clone()],
    });
    let info: Vec<_> = info.collect();
    Ok(DomainGetFsinfoReply { ret: 2, info })
}

async fn set_password(world: Arc<World>, _: Call, request: DomainSetUserPassword) -> Result<()> {
    let known = DomainSetUserPasswordFlags::all().bits();
    check_flags(request.flags, known, "virDomainSetUserPassword")?;
    running(&world, &request.dom).map(drop)
}

async fn send_key(world: Arc<World>, _: Call, request: DomainSendKey) -> Result<()> {
    check_flags(request.flags, 0, "virDomainSendKey")?;
    running(&world, &request.dom)?;
    let set = i32::try_from(request.codeset).ok().and_then(|set| KeycodeSet::try_from(set).ok());
    let set = set.ok_or_else(|| {
        Error::new(ErrorCode::InvalidArg, format!("unknown key code set {}", request.codeset))
    })?;
    request.keycodes.iter().try_for_each(|code| qnum(set, *code).map(drop))
}

async fn inject_nmi(world: Arc<World>, _: Call, request: DomainInjectNmi) -> Result<()> {
    check_flags(request.flags, 0, "virDomainInjectNMI")?;
    running(&world, &request.dom).map(drop)
}

async fn send_signal(world: Arc<World>, _: Call, request: DomainSendProcessSignal) -> Result<()> {
    check_flags(request.flags, 0, "virDomainSendProcessSignal")?;
    let invalid = |text: String| Err(Error::new(ErrorCode::InvalidArg, text));
    if request.pid_value != 1 {
        return invalid("only sending a signal to pid 1 is supported".to_owned());
    }
    let known = i32::try_from(request.signum).ok();
    if known.and_then(|number| DomainProcessSignal::try_from(number).ok()).is_none() {
        return invalid(format!("signum value {} is out of range", request.signum));
    }
    find(&*world, &request.dom).map(drop)
}
