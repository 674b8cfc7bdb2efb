// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Define, undefine, rename, autostart.

use std::sync::Arc;

use uuid::Uuid;
use virtus_api::{
    DomainDefineFlags, DomainDefineXml, DomainDefineXmlFlags, DomainManagedSaveRemove, DomainRef,
    DomainRename, DomainSetAutostart, DomainUndefine, DomainUndefineFlags,
    DomainUndefineFlagsValues as Undefine, Error, ErrorCode, Result,
};
use virtus_core::Call;
use virtus_xml::{Domain, ParseFlags};

use super::{HasMachines, check_flags, domain_error, exclusive, find};
use crate::define::Leftovers;
use crate::definitions::check_name;
use crate::machine::{Machine, Origin};

/// Reads a client's definition and fills in what it left open.
pub(super) fn read<M: Machine>(machine: &M, xml: &str, validate: bool) -> Result<Domain> {
    let mut flags = ParseFlags::INACTIVE | ParseFlags::ABI_UPDATE;
    flags.set(ParseFlags::VALIDATE, validate);
    let parsed = Domain::parse(xml, flags)?;
    let mut def = parsed.value;
    for warning in &parsed.warnings {
        tracing::info!(
            "definition of '{}', line {}, column {}: {}",
            def.name,
            warning.line,
            warning.column,
            warning.text
        );
    }
    check_name(&def.name)?;
    match def.uuid {
        None => def.uuid = Some(Uuid::new_v4()),
        Some(uuid) if uuid.is_nil() || uuid.is_max() => {
            return Err(domain_error(
                ErrorCode::XmlError,
                format!("the <uuid> {uuid} is not possible for a domain"),
            ));
        }
        Some(_) => {}
    }
    machine.complete(&mut def, Origin::User)?;
    Ok(def)
}

pub(super) async fn define<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainDefineXml,
) -> Result<DomainRef> {
    let def = read(&**driver.machines().machine(), &request.xml, false)?;
    driver.machines().define("virDomainDefineXML", def).await
}

pub(super) async fn define_flags<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainDefineXmlFlags,
) -> Result<DomainRef> {
    check_flags(request.flags, DomainDefineFlags::all().bits(), "virDomainDefineXMLFlags")?;
    let validate =
        DomainDefineFlags::from_bits_truncate(request.flags).contains(DomainDefineFlags::VALIDATE);
    let def = read(&**driver.machines().machine(), &request.xml, validate)?;
    driver.machines().define("virDomainDefineXMLFlags", def).await
}

pub(super) async fn undefine<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainUndefine,
) -> Result<()> {
    let (handle, _) = find(&*driver, &request.dom)?;
    handle.undefine("virDomainUndefine", Leftovers::default()).await
}

pub(super) async fn undefine_flags<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainUndefineFlags,
) -> Result<()> {
    check_flags(request.flags, Undefine::all().bits(), "virDomainUndefineFlags")?;
    exclusive(
        request.flags,
        (Undefine::NVRAM.bits(), "VIR_DOMAIN_UNDEFINE_NVRAM"),
        (Undefine::KEEP_NVRAM.bits(), "VIR_DOMAIN_UNDEFINE_KEEP_NVRAM"),
    )?;
    exclusive(
        request.flags,
        (Undefine::TPM.bits(), "VIR_DOMAIN_UNDEFINE_TPM"),
        (Undefine::KEEP_TPM.bits(), "VIR_DOMAIN_UNDEFINE_KEEP_TPM"),
    )?;
    let flags = Undefine::from_bits_truncate(request.flags);
    let (handle, _) = find(&*driver, &request.dom)?;
    let leftovers = Leftovers {
        managed_save: flags.contains(Undefine::MANAGED_SAVE),
        snapshots: flags.contains(Undefine::SNAPSHOTS_METADATA),
        checkpoints: flags.contains(Undefine::CHECKPOINTS_METADATA),
        nvram: flags.contains(Undefine::NVRAM),
        keep_nvram: flags.contains(Undefine::KEEP_NVRAM),
        tpm: flags.contains(Undefine::TPM),
        keep_tpm: flags.contains(Undefine::KEEP_TPM),
    };
    handle.undefine("virDomainUndefineFlags", leftovers).await
}

pub(super) async fn set_autostart<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainSetAutostart,
) -> Result<()> {
    let (handle, _) = find(&*driver, &request.dom)?;
    handle.set_autostart("virDomainSetAutostart", request.autostart != 0).await
}

pub(super) async fn rename<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainRename,
) -> Result<i32> {
    check_flags(request.flags, 0, "virDomainRename")?;
    let (handle, _) = find(&*driver, &request.dom)?;
    let name = request.new_name.ok_or_else(|| {
        Error::new(ErrorCode::InvalidArg, "new_name in virDomainRename is missing")
    })?;
    handle.rename("virDomainRename", name).await?;
    Ok(0)
}

pub(super) async fn managed_save_remove<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainManagedSaveRemove,
) -> Result<()> {
    check_flags(request.flags, 0, "virDomainManagedSaveRemove")?;
    let (handle, _) = find(&*driver, &request.dom)?;
    handle.discard_saved("virDomainManagedSaveRemove").await
}
