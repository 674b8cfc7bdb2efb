// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The calls that every local hypervisor answers the same way. A driver includes them and adds or
//! replaces what is its own. What is not in the table answers `VIR_ERR_NO_SUPPORT`.

mod checkpoint_changes;
mod checkpoints;
mod cpu;
mod definition;
mod device;
mod events;
mod info;
mod job;
mod lifecycle;
mod list;
mod memory;
mod metadata;
mod moments;
mod node;
mod node_memory;
mod snapshot_changes;
mod snapshots;
mod tuning;
mod vcpu;

use std::future::Future;
use std::sync::Arc;

use virtus_api::{
    DomainModificationImpact, DomainRef, Error, ErrorCode, ErrorDomain, Request, Result,
};
pub use virtus_core::flags::{check_flags, exclusive};
use virtus_core::{BoxFuture, Call, Routes};
use virtus_xml::Domain;

use crate::handle::Handle;
use crate::jobs::Job;
use crate::keeper::Keeper;
use crate::machine::Machine;
use crate::machines::Machines;
use crate::snapshot::{Snapshot, not_running};

pub use cpu::{HasCpuMap, baseline_document, baseline_flags, cpu_profiles, cpu_routes};
pub use device::device_routes;
pub use list::meant;
pub use node::{HasNode, node_routes};
pub use tuning::pinning::{cpus_of_all, note_iothread_pin, tell_bound, wanted_cpus};
pub use tuning::{TYPED_STRINGS, no_more_than, scheduler_routes, share_routes, tuning_routes};

/// A driver of local machines.
pub trait HasMachines: Send + Sync + 'static {
    /// What it runs.
    type Machine: Machine;

    /// Its machines.
    fn machines(&self) -> &Arc<Machines<Self::Machine>>;
}

/// What every driver of local machines answers.
#[must_use]
pub fn routes<D: HasMachines>() -> Routes<D> {
    Routes::new()
        .on(by(list::num_of_domains::<D>))
        .on(by(list::list_domains::<D>))
        .on(by(list::num_of_defined_domains::<D>))
        .on(by(list::list_defined_domains::<D>))
        .on(by(list::list_all::<D>))
        .on(by(list::lookup_by_id::<D>))
        .on(by(list::lookup_by_uuid::<D>))
        .on(by(list::lookup_by_name::<D>))
        .on(by(info::get_info::<D>))
        .on(by(info::get_state::<D>))
        .on(by(info::get_xml::<D>))
        .on(by(info::get_os_type::<D>))
        .on(by(info::is_active::<D>))
        .on(by(info::is_persistent::<D>))
        .on(by(info::is_updated::<D>))
        .on(by(info::get_autostart::<D>))
        .on(by(info::get_control_info::<D>))
        .on(by(info::has_managed_save::<D>))
        .on(by(definition::define::<D>))
        .on(by(definition::define_flags::<D>))
        .on(by(definition::undefine::<D>))
        .on(by(definition::undefine_flags::<D>))
        .on(by(definition::set_autostart::<D>))
        .on(by(definition::rename::<D>))
        .on(by(definition::managed_save_remove::<D>))
        .on(by(lifecycle::create::<D>))
        .on(by(lifecycle::create_flags::<D>))
        .on(by(lifecycle::create_xml::<D>))
        .on(by(lifecycle::destroy::<D>))
        .on(by(lifecycle::destroy_flags::<D>))
        .on(by(lifecycle::shutdown::<D>))
        .on(by(lifecycle::shutdown_flags::<D>))
        .on(by(lifecycle::reboot::<D>))
        .on(by(lifecycle::reset::<D>))
        .on(by(lifecycle::suspend::<D>))
        .on(by(lifecycle::resume::<D>))
        .on(by(lifecycle::set_action::<D>))
        .on(by(memory::get_max::<D>))
        .on(by(memory::set::<D>))
        .on(by(memory::set_flags::<D>))
        .on(by(memory::set_max::<D>))
        .on(by(vcpu::get_max::<D>))
        .on(by(vcpu::get_flags::<D>))
        .on(by(vcpu::set::<D>))
        .on(by(vcpu::set_flags::<D>))
        .on(by(metadata::get::<D>))
        .on(by(metadata::set::<D>))
        .on(by(job::info::<D>))
        .on(by(job::stats::<D>))
        .on(by(job::abort::<D>))
        .on(by(job::abort_flags::<D>))
        .on(by(events::register::<D>))
        .on(by(events::deregister::<D>))
        .on(by(events::register_any::<D>))
        .on(by(events::deregister_any::<D>))
        .on(by(events::callback_register_any::<D>))
        .on(by(events::callback_deregister_any::<D>))
        .include(snapshots::routes())
        .include(checkpoints::routes())
}

/// What every driver answers whose machines' first process can inherit descriptors of a client.
#[must_use]
pub fn files_routes<D: HasMachines>() -> Routes<D> {
    Routes::new()
        .on(by(lifecycle::create_with_files::<D>))
        .on(by(lifecycle::create_xml_with_files::<D>))
}

/// What every driver answers whose machines can return to former moments.
#[must_use]
pub fn moment_routes<D: HasMachines>() -> Routes<D>
where
    D::Machine: Keeper,
{
    snapshot_changes::routes().include(checkpoint_changes::routes())
}

/// A handler whose errors speak for the driver unless something closer to the cause does.
pub fn by<D, R, F, Fut>(
    handler: F,
) -> impl Fn(Arc<D>, Call, R) -> BoxFuture<Result<R::Reply>> + Send + Sync + 'static
where
    D: HasMachines,
    R: Request,
    F: Fn(Arc<D>, Call, R) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<R::Reply>> + Send + 'static,
{
    move |driver, call, request| {
        let answer = handler(driver, call, request);
        Box::pin(async move {
            answer.await.map_err(|error: Error| error.or_domain(D::Machine::ERROR_DOMAIN))
        })
    }
}

type Running<D> = <<D as HasMachines>::Machine as Machine>::Running;
type Found<D> = (Arc<Handle<<D as HasMachines>::Machine>>, Arc<Snapshot>);

/// The machine that a call is about, and what is known of it.
///
/// # Errors
/// `VIR_ERR_NO_DOMAIN`.
pub fn find<D: HasMachines>(driver: &D, dom: &DomainRef) -> Result<Found<D>> {
    let handle = driver.machines().find(dom)?;
    let snapshot = handle.snapshot();
    Ok((handle, snapshot))
}

/// Which definitions a change is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Targets {
    pub live: bool,
    pub config: bool,
}

/// What `VIR_DOMAIN_AFFECT_*` means for this machine now.
///
/// # Errors
/// `VIR_ERR_OPERATION_INVALID` if it does not run, or is transient, and that half is asked for.
pub fn targets(flags: u32, snapshot: &Snapshot) -> Result<Targets> {
    let impact = DomainModificationImpact::from_bits_truncate(flags);
    let (mut live, mut config) = (
        impact.contains(DomainModificationImpact::LIVE),
        impact.contains(DomainModificationImpact::CONFIG),
    );
    if !live && !config {
        live = snapshot.is_active();
        config = !live;
    }
    if live && !snapshot.is_active() {
        return Err(not_running(&snapshot.name));
    }
    if config && snapshot.persistent.is_none() {
        return Err(Error::new(
            ErrorCode::OperationInvalid,
            "transient domains do not have any persistent config",
        ));
    }
    Ok(Targets { live, config })
}

/// Changes the definitions that a call is for: the persistent one, then the live one, once `apply` has let the machine
/// that runs follow. It is given the live definition as it is and as it will be.
///
/// # Errors
/// As [`targets`]; those of `change` and `apply`, then nothing has changed.
pub async fn amend<D: HasMachines>(
    driver: &D,
    dom: &DomainRef,
    flags: u32,
    name: &'static str,
    change: impl Fn(&mut Domain) -> Result<()> + Send + 'static,
    apply: impl FnOnce(&D::Machine, &Running<D>, &Domain, &Domain) -> Result<()> + Send + 'static,
) -> Result<()> {
    check_flags(flags, DomainModificationImpact::all().bits(), name)?;
    let (handle, _) = find(driver, dom)?;
    let amended = handle.job(Job::modify(name), move |context| async move {
        let wanted = targets(flags, &context.snapshot())?;
        if wanted.config {
            context.change_persistent(&change)?;
        }
        if wanted.live {
            let before = context.live()?;
            let mut after = (*before).clone();
            change(&mut after)?;
            apply(context.machine(), &*context.running()?, &before, &after)?;
            context.change_live(change)??;
        }
        Ok(())
    });
    amended.await
}

/// Refuses to mean the definition of the machine that runs and the persistent one at once.
///
/// # Errors
/// `VIR_ERR_INVALID_ARG`.
pub fn one_of_both(flags: u32) -> Result<()> {
    exclusive(
        flags,
        (DomainModificationImpact::LIVE.bits(), "VIR_DOMAIN_AFFECT_LIVE"),
        (DomainModificationImpact::CONFIG.bits(), "VIR_DOMAIN_AFFECT_CONFIG"),
    )
    .map_err(|error| error.in_domain(ErrorDomain::Domain))
}

/// The definition that a query with `VIR_DOMAIN_AFFECT_*` is about.
///
/// # Errors
/// As [`targets`]; `VIR_ERR_INVALID_ARG` if both are asked for.
pub fn definition_of(flags: u32, snapshot: &Snapshot) -> Result<Arc<Domain>> {
    one_of_both(flags)?;
    let wanted = targets(flags, snapshot)?;
    if wanted.live { snapshot.live().cloned() } else { snapshot.persistent() }
}

/// An error of the domain XML parser's own domain.
fn domain_error(code: ErrorCode, text: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(code, text).in_domain(ErrorDomain::Domain)
}
