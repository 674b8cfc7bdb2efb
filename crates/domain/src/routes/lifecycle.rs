// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Start, end, pause, reboot.

use std::sync::Arc;

use virtus_api::{
    DomainCreate, DomainCreateFlags as Flags, DomainCreateWithFiles, DomainCreateWithFlags,
    DomainCreateXml, DomainCreateXmlWithFiles, DomainDestroy, DomainDestroyFlags,
    DomainDestroyFlagsValues as Destroy, DomainLifecycle, DomainLifecycleAction, DomainReboot,
    DomainRef, DomainReset, DomainResume, DomainSetLifecycleAction, DomainShutdown,
    DomainShutdownFlagValues as Channel, DomainShutdownFlags, DomainSuspend, Error, ErrorCode,
    Result,
};
use virtus_core::Call;
use virtus_xml::Domain;
use virtus_xml::domain::LifecycleAction;

use super::definition::read;
use super::{HasMachines, amend, check_flags, domain_error, find};
use crate::machine::{Files, GuestChannel, Stop};
use crate::start::Wishes;

fn wishes(flags: u32, call: &Call, name: &str) -> Result<Wishes> {
    let known = Flags::START_PAUSED
        | Flags::START_AUTODESTROY
        | Flags::START_BYPASS_CACHE
        | Flags::START_FORCE_BOOT
        | Flags::START_VALIDATE
        | Flags::START_RESET_NVRAM;
    check_flags(flags, known.bits(), name)?;
    let flags = Flags::from_bits_truncate(flags);
    Ok(Wishes {
        paused: flags.contains(Flags::START_PAUSED),
        reset_nvram: flags.contains(Flags::START_RESET_NVRAM),
        force_boot: flags.contains(Flags::START_FORCE_BOOT),
        owner: flags.contains(Flags::START_AUTODESTROY).then(|| call.session.id()),
        ..Wishes::default()
    })
}

pub(super) async fn create<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainCreate,
) -> Result<()> {
    let (handle, _) = find(&*driver, &request.dom)?;
    handle.start("virDomainCreate", Wishes::default()).await.map(|_| ())
}

pub(super) async fn create_flags<D: HasMachines>(
    driver: Arc<D>,
    call: Call,
    request: DomainCreateWithFlags,
) -> Result<DomainRef> {
    const NAME: &str = "virDomainCreateWithFlags";
    let wishes = wishes(request.flags & !Flags::START_VALIDATE.bits(), &call, NAME)?;
    let (handle, _) = find(&*driver, &request.dom)?;
    handle.start(NAME, wishes).await
}

pub(super) async fn create_xml<D: HasMachines>(
    driver: Arc<D>,
    call: Call,
    request: DomainCreateXml,
) -> Result<DomainRef> {
    const NAME: &str = "virDomainCreateXML";
    let wishes = wishes(request.flags, &call, NAME)?;
    let validate = Flags::from_bits_truncate(request.flags).contains(Flags::START_VALIDATE);
    let def = read(&**driver.machines().machine(), &request.xml_desc, validate)?;
    driver.machines().create(NAME, def, wishes).await
}

pub(super) async fn create_with_files<D: HasMachines>(
    driver: Arc<D>,
    mut call: Call,
    request: DomainCreateWithFiles,
) -> Result<DomainRef> {
    const NAME: &str = "virDomainCreateWithFiles";
    let wishes = wishes(request.flags & !Flags::START_VALIDATE.bits(), &call, NAME)?;
    let (handle, _) = find(&*driver, &request.dom)?;
    handle.start(NAME, Wishes { files: files(&mut call), ..wishes }).await
}

pub(super) async fn create_xml_with_files<D: HasMachines>(
    driver: Arc<D>,
    mut call: Call,
    request: DomainCreateXmlWithFiles,
) -> Result<DomainRef> {
    const NAME: &str = "virDomainCreateXMLWithFiles";
    let wishes = Wishes { files: files(&mut call), ..wishes(request.flags, &call, NAME)? };
    let validate = Flags::from_bits_truncate(request.flags).contains(Flags::START_VALIDATE);
    let def = read(&**driver.machines().machine(), &request.xml_desc, validate)?;
    driver.machines().create(NAME, def, wishes).await
}

/// What the client has sent along.
fn files(call: &mut Call) -> Files {
    Arc::new(std::mem::take(&mut call.fds))
}

pub(super) async fn destroy<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainDestroy,
) -> Result<()> {
    let (handle, _) = find(&*driver, &request.dom)?;
    handle.destroy(Stop::Destroy).await
}

pub(super) async fn destroy_flags<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainDestroyFlags,
) -> Result<()> {
    check_flags(request.flags, Destroy::GRACEFUL.bits(), "virDomainDestroyFlags")?;
    let (handle, _) = find(&*driver, &request.dom)?;
    let graceful = Destroy::from_bits_truncate(request.flags).contains(Destroy::GRACEFUL);
    handle.destroy(if graceful { Stop::DestroyGracefully } else { Stop::Destroy }).await
}

pub(super) async fn shutdown<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainShutdown,
) -> Result<()> {
    let (handle, _) = find(&*driver, &request.dom)?;
    handle.shut_down("virDomainShutdown", GuestChannel::Default).await
}

pub(super) async fn shutdown_flags<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainShutdownFlags,
) -> Result<()> {
    const NAME: &str = "virDomainShutdownFlags";
    let by = channel(request.flags, NAME)?;
    let (handle, _) = find(&*driver, &request.dom)?;
    handle.shut_down(NAME, by).await
}

pub(super) async fn reboot<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainReboot,
) -> Result<()> {
    // The reboot flags have the numbers of the shutdown flags.
    let by = channel(request.flags, "virDomainReboot")?;
    let (handle, _) = find(&*driver, &request.dom)?;
    handle.reboot("virDomainReboot", by).await
}

/// The channel that flags ask for; agent and ACPI together mean "what works", in that order.
fn channel(flags: u32, name: &str) -> Result<GuestChannel> {
    check_flags(flags, Channel::all().bits(), name)?;
    let flags = Channel::from_bits_truncate(flags);
    if flags.is_empty() || flags == Channel::ACPI_POWER_BTN | Channel::GUEST_AGENT {
        return Ok(GuestChannel::Default);
    }
    for (flag, channel) in [
        (Channel::ACPI_POWER_BTN, GuestChannel::Acpi),
        (Channel::GUEST_AGENT, GuestChannel::Agent),
        (Channel::INITCTL, GuestChannel::Initctl),
        (Channel::SIGNAL, GuestChannel::Signal),
        (Channel::PARAVIRT, GuestChannel::Paravirt),
    ] {
        if flags == flag {
            return Ok(channel);
        }
    }
    Err(Error::new(ErrorCode::InvalidArg, format!("these flags of {name} do not go together")))
}

pub(super) async fn reset<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainReset,
) -> Result<()> {
    check_flags(request.flags, 0, "virDomainReset")?;
    let (handle, _) = find(&*driver, &request.dom)?;
    handle.reset("virDomainReset").await
}

pub(super) async fn suspend<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainSuspend,
) -> Result<()> {
    let (handle, _) = find(&*driver, &request.dom)?;
    handle.suspend("virDomainSuspend").await
}

pub(super) async fn resume<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainResume,
) -> Result<()> {
    let (handle, _) = find(&*driver, &request.dom)?;
    handle.resume("virDomainResume").await
}

pub(super) async fn set_action<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainSetLifecycleAction,
) -> Result<()> {
    const NAME: &str = "virDomainSetLifecycleAction";
    let unknown = |what: &str, value: u32| {
        Error::new(ErrorCode::InvalidArg, format!("unknown {what} {value} in {NAME}"))
    };
    let lifecycle =
        i32::try_from(request.r#type).ok().and_then(|n| DomainLifecycle::try_from(n).ok());
    let lifecycle = lifecycle.ok_or_else(|| unknown("lifecycle type", request.r#type))?;
    let action = i32::try_from(request.action).ok().and_then(|n| n.try_into().ok());
    let action = as_written(action.ok_or_else(|| unknown("action", request.action))?);
    use LifecycleAction::{CoredumpDestroy, CoredumpRestart};
    if lifecycle != DomainLifecycle::Crash && matches!(action, CoredumpDestroy | CoredumpRestart) {
        let of = if lifecycle == DomainLifecycle::Reboot { "reboot" } else { "poweroff" };
        let text = format!("Lifecycle event '{of}' doesn't support '{action}' action");
        return Err(domain_error(ErrorCode::ConfigUnsupported, text));
    }
    let note = move |def: &mut Domain| {
        *field(def, lifecycle) = Some(action);
        Ok(())
    };
    // The hypervisor reads the live definition when the guest's life ends.
    amend(&*driver, &request.dom, request.flags, NAME, note, |_, _, _, _| Ok(())).await
}

fn field(def: &mut Domain, lifecycle: DomainLifecycle) -> &mut Option<LifecycleAction> {
    match lifecycle {
        DomainLifecycle::Poweroff => &mut def.body.on_poweroff,
        DomainLifecycle::Reboot => &mut def.body.on_reboot,
        DomainLifecycle::Crash => &mut def.body.on_crash,
    }
}

fn as_written(action: DomainLifecycleAction) -> LifecycleAction {
    match action {
        DomainLifecycleAction::Destroy => LifecycleAction::Destroy,
        DomainLifecycleAction::Restart => LifecycleAction::Restart,
        DomainLifecycleAction::RestartRename => LifecycleAction::RenameRestart,
        DomainLifecycleAction::Preserve => LifecycleAction::Preserve,
        DomainLifecycleAction::CoredumpDestroy => LifecycleAction::CoredumpDestroy,
        DomainLifecycleAction::CoredumpRestart => LifecycleAction::CoredumpRestart,
    }
}
