// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the calls about snapshots and those about checkpoints do alike: find one, list some, read new ones.

use std::sync::Arc;

use virtus_api::{
    DomainSnapshotDeleteFlags as Delete, DomainSnapshotListFlags as List, Error, ErrorCode,
    ErrorDomain, Result,
};
use virtus_core::flags::{check_flags, exclusive, passes};
use virtus_xml::moment::MomentDomain;
use virtus_xml::{Domain, FormatFlags, ParseFlags};

use crate::handle::Handle;
use crate::jobs::Job;
use crate::keeper::{Keeper, Kept};
use crate::moments::{Extent, Moment, Moments};

/// Which moments a list is of. The flags have the same numbers for both kinds.
pub(super) fn select<T: Moment>(
    moments: &Moments<T>,
    after: Option<&str>,
    flags: u32,
) -> Result<Vec<Arc<T>>> {
    let listed = List::from_bits_truncate(flags);
    let all: Vec<&Arc<T>> = match after {
        Some(name) => {
            moments.get(name)?;
            let all = moments.descendants(name).into_iter();
            let deep = listed.contains(List::DESCENDANTS);
            all.filter(|one| deep || one.parent() == Some(name)).collect()
        }
        None => {
            let roots = listed.contains(List::ROOTS);
            let all = moments.topological().into_iter();
            all.filter(|one| !roots || one.parent().is_none()).collect()
        }
    };
    let fits = |one: &&Arc<T>| {
        let leaf = moments.children(one.name()).next().is_none();
        passes(flags, [(List::LEAVES.bits(), leaf), (List::NO_LEAVES.bits(), !leaf)])
            && passes(flags, [(List::METADATA.bits(), true), (List::NO_METADATA.bits(), false)])
    };
    Ok(all.into_iter().filter(fits).cloned().collect())
}

/// The moment before one.
///
/// # Errors
/// [`Moment::MISSING`] if it is a root.
pub(super) fn parent<T: Moment>(moments: &Moments<T>, name: &str) -> Result<String> {
    let one = moments.get(name)?;
    one.parent().map(str::to_owned).ok_or_else(|| {
        Error::new(T::MISSING, format!("{} '{name}' does not have a parent", T::WORD))
    })
}

/// How a moment is told.
pub(super) fn written<T: Moment>(moment: &T, secure: bool) -> String {
    let mut flags = FormatFlags::INACTIVE;
    flags.set(FormatFlags::SECURE, secure);
    moment.format(flags)
}

/// Refuses names that cannot stand in a file name.
pub(super) fn check_name<T: Moment>(name: &str) -> Result<()> {
    let why = match name {
        _ if name.contains('/') => "name can't contain '/'",
        _ if name.starts_with('.') => "name can't start with '.'",
        _ => return Ok(()),
    };
    Err(Error::new(ErrorCode::XmlError, format!("invalid {} name '{name}': {why}", T::WORD))
        .in_domain(ErrorDomain::Domain))
}

/// Refuses a name that is taken.
pub(super) fn check_new<T: Moment>(moments: &Moments<T>, name: &str) -> Result<()> {
    check_name::<T>(name)?;
    if moments.contains(name) {
        let text = format!("domain moment {name} already exists");
        return Err(Error::new(ErrorCode::OperationFailed, text));
    }
    Ok(())
}

/// The definition of a guest as moments keep it: without what only a guest that runs has.
///
/// # Errors
/// Only if it cannot be read again.
pub(super) fn as_kept(def: &Domain) -> Result<MomentDomain> {
    let text = def.format(FormatFlags::INACTIVE | FormatFlags::SECURE);
    let flags = ParseFlags::INACTIVE | ParseFlags::SKIP_VALIDATE;
    Ok(MomentDomain::Whole(Box::new(Domain::parse(&text, flags)?.value)))
}

/// Refuses the guest of a moment that is told again if it is another one.
pub(super) fn check_guest<T: Moment>(moment: &T, uuid: uuid::Uuid) -> Result<()> {
    match moment.guest() {
        Some(guest) if guest.uuid.is_some_and(|other| other != uuid) => Err(Error::new(
            ErrorCode::InvalidArg,
            format!("definition for {} {} must use uuid {uuid}", T::WORD, moment.name()),
        )),
        _ => Ok(()),
    }
}

/// Deletes a moment, those after it, or both. The flags have the same numbers for both kinds.
pub(super) async fn delete<T: Kept, M: Keeper>(
    handle: &Arc<Handle<M>>,
    call: &'static str,
    name: String,
    flags: u32,
) -> Result<()> {
    check_flags(flags, Delete::all().bits(), call)?;
    let flag = |what| format!("VIR_DOMAIN_{}_DELETE_{what}", T::WORD.to_uppercase());
    exclusive(
        flags,
        (Delete::CHILDREN.bits(), &flag("CHILDREN")),
        (Delete::CHILDREN_ONLY.bits(), &flag("CHILDREN_ONLY")),
    )?;
    let flags = Delete::from_bits_truncate(flags);
    let extent = if flags.contains(Delete::CHILDREN_ONLY) {
        Extent::Descendants
    } else if flags.contains(Delete::CHILDREN) {
        Extent::Tree
    } else {
        Extent::One
    };
    let deleted = handle.job(Job::modify(call), move |context| async move {
        let known = T::of(&context.snapshot().moments).clone();
        known.get(&name)?;
        if !flags.contains(Delete::METADATA_ONLY) {
            let running = context.running().ok();
            // Children first: whatever fails, no tree loses its root.
            for one in known.doomed(&name, extent).iter().rev() {
                one.drop_by(&**context.machine(), running.as_deref()).await?;
            }
        }
        let forgotten = context.change_moments(|known: &mut Moments<T>| {
            known.remove(&name, extent);
            Ok(())
        });
        forgotten.await
    });
    deleted.await
}
