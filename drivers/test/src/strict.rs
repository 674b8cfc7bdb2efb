// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What libvirt's test driver refuses, though the machinery that drivers share could do it: a client that is tested here
//! meets the same refusals.

use virtus_api::{
    AnyRequest, CallId, DomainCreateFlags as Create, DomainGetBlockIoTune,
    DomainModificationImpact as Impact, DomainSetBlockIoTune, DomainSetVcpus, DomainSetVcpusFlags,
    DomainSnapshotDeleteFlags as Delete, DomainUndefineFlagsValues as Undefine,
    DomainVcpuFlags as Vcpus, DomainXmlFlags as Xml, Error, ErrorCode, ErrorDomain, Result,
    Subject,
};
use virtus_domain::named::find_disk;
use virtus_domain::routes::{TYPED_STRINGS, check_flags, find, one_of_both, targets};
use virtus_domain::{Snapshot, State};
use virtus_xml::Domain;

use crate::world::World;

/// How many vCPUs a guest can have.
pub(crate) const MOST_VCPUS: u32 = 32;

const VCPUS: u32 = Vcpus::LIVE.union(Vcpus::CONFIG).union(Vcpus::MAXIMUM).bits();

/// The flags that it knows of calls of which other drivers know more. Undefining has one more than libvirt's: here
/// checkpoints are not forgotten without it.
const FLAGS: &[(CallId, u32)] = &[
    (CallId::DomainCreateWithFlags, 0),
    (CallId::DomainCreateWithFiles, 0),
    (CallId::DomainCreateXml, Create::START_VALIDATE.bits()),
    (CallId::DomainCreateXmlWithFiles, Create::START_VALIDATE.bits()),
    (CallId::DomainShutdownFlags, 0),
    (
        CallId::DomainUndefineFlags,
        Undefine::MANAGED_SAVE
            .union(Undefine::SNAPSHOTS_METADATA)
            .union(Undefine::CHECKPOINTS_METADATA)
            .bits(),
    ),
    (CallId::DomainGetXmlDesc, Xml::SECURE.union(Xml::INACTIVE).union(Xml::MIGRATABLE).bits()),
    (CallId::DomainSetVcpusFlags, VCPUS),
    (CallId::DomainGetVcpusFlags, VCPUS),
    (CallId::DomainPinVcpuFlags, 0),
    (CallId::DomainSetIothreadParams, Impact::LIVE.bits()),
    (CallId::DomainGetBlockIoTune, Impact::all().bits() | TYPED_STRINGS),
    (CallId::DomainSetBlockIoTune, Impact::all().bits()),
    (CallId::DomainGetSchedulerParametersFlags, 0),
    (CallId::DomainGetLaunchSecurityInfo, 0),
    (CallId::DomainSnapshotDelete, Delete::CHILDREN.union(Delete::CHILDREN_ONLY).bits()),
];

/// The calls that are about one definition, although those of other drivers can be about both.
const OF_ONE: &[CallId] = &[
    CallId::DomainSetMemoryFlags,
    CallId::DomainPinEmulator,
    CallId::DomainAddIothread,
    CallId::DomainDelIothread,
    CallId::DomainPinIothread,
    CallId::DomainSetMemoryParameters,
    CallId::DomainGetMemoryParameters,
    CallId::DomainSetBlkioParameters,
    CallId::DomainGetBlkioParameters,
    CallId::DomainSetNumaParameters,
    CallId::DomainSetPerfEvents,
    CallId::DomainSetBlockIoTune,
    CallId::DomainGetBlockIoTune,
    CallId::DomainSetInterfaceParameters,
    CallId::DomainSetMemoryStatsPeriod,
];

/// Refuses what libvirt's test driver would.
pub(crate) fn check(world: &World, request: &AnyRequest) -> Result<()> {
    refuse(world, request).map_err(|error| error.or_domain(ErrorDomain::Test))
}

fn refuse(world: &World, request: &AnyRequest) -> Result<()> {
    let call = request.call();
    if let Some((_, known)) = FLAGS.iter().find(|(other, _)| *other == call) {
        check_flags(request.flags(), *known, call.meta().shown())?;
    }
    if OF_ONE.contains(&call) {
        one_of_both(request.flags())?;
    }
    let judge = match call {
        CallId::DomainSuspend => can_suspend,
        CallId::DomainResume => can_resume,
        CallId::DomainShutdown | CallId::DomainShutdownFlags => can_shut_down,
        CallId::DomainPinVcpu | CallId::DomainPinVcpuFlags => can_pin_vcpus,
        CallId::DomainSetVcpus | CallId::DomainSetVcpusFlags => can_have_vcpus,
        CallId::DomainGetBlockIoTune | CallId::DomainSetBlockIoTune => has_disk,
        _ => return Ok(()),
    };
    let Subject::Domain(dom) = request.subject() else { return Ok(()) };
    judge(request, &find(world, dom)?.1)
}

fn can_suspend(_: &AnyRequest, guest: &Snapshot) -> Result<()> {
    must(matches!(guest.state, State::Running(_)), guest, "running")
}

fn can_resume(_: &AnyRequest, guest: &Snapshot) -> Result<()> {
    must(matches!(guest.state, State::Paused(_)), guest, "paused")
}

fn can_shut_down(_: &AnyRequest, guest: &Snapshot) -> Result<()> {
    must(guest.is_active(), guest, "running")
}

fn can_pin_vcpus(_: &AnyRequest, guest: &Snapshot) -> Result<()> {
    if guest.is_active() {
        return Ok(());
    }
    let text = "cannot pin vcpus on an inactive domain";
    Err(Error::new(ErrorCode::OperationInvalid, text))
}

fn must(holds: bool, guest: &Snapshot, what: &str) -> Result<()> {
    if holds {
        return Ok(());
    }
    let text = format!("domain '{}' not {what}", guest.name);
    Err(Error::new(ErrorCode::OperationInvalid, text))
}

fn can_have_vcpus(request: &AnyRequest, guest: &Snapshot) -> Result<()> {
    let with_flags = request.get().map(|wish: &DomainSetVcpusFlags| (wish.nvcpus, wish.flags));
    let plain = || request.get().map(|wish: &DomainSetVcpus| (wish.nvcpus, Vcpus::LIVE.bits()));
    let Some((count, flags)) = with_flags.or_else(plain) else { return Ok(()) };
    let within = |what: &str, most: u32| {
        if count <= most {
            return Ok(());
        }
        let text = format!("requested cpu amount exceeds {what} ({count} > {most})");
        Err(Error::new(ErrorCode::InvalidArg, text))
    };
    within("maximum supported amount", MOST_VCPUS)?;
    if flags & Vcpus::MAXIMUM.bits() != 0 {
        return Ok(());
    }
    let wanted = targets(flags, guest)?;
    let most = |def: &Domain| def.vcpu.as_ref().map_or(1, |vcpu| vcpu.max);
    if wanted.live {
        within("maximum", most(guest.live()?))?;
    }
    if wanted.config {
        within("maximum", most(&*guest.persistent()?))?;
    }
    Ok(())
}

fn has_disk(request: &AnyRequest, guest: &Snapshot) -> Result<()> {
    targets(request.flags() & !TYPED_STRINGS, guest)?;
    let text = match (request.get(), request.get()) {
        (Some(DomainGetBlockIoTune { disk: Some(disk), .. }), _) if !known(guest, disk) => {
            format!("disk '{disk}' was not found in the domain config")
        }
        (_, Some(DomainSetBlockIoTune { disk, .. })) if !known(guest, disk) => {
            format!("missing persistent configuration for disk '{disk}'")
        }
        _ => return Ok(()),
    };
    Err(Error::new(ErrorCode::InvalidArg, text))
}

fn known(guest: &Snapshot, disk: &str) -> bool {
    guest.def().is_ok_and(|def| find_disk(&def, disk).is_some())
}
