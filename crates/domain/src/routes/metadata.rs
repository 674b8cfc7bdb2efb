// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What people and applications note down with a machine.

use std::sync::Arc;

use virtus_api::{
    DomainEventMetadataChange, DomainGetMetadata, DomainModificationImpact, DomainSetMetadata,
    ErrorCode, Result,
};
use virtus_core::Call;
use virtus_xml::Note;

use super::{HasMachines, check_flags, definition_of, domain_error, find, targets};
use crate::jobs::Job;

pub(super) async fn get<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainGetMetadata,
) -> Result<String> {
    const NAME: &str = "virDomainGetMetadata";
    check_flags(request.flags, DomainModificationImpact::all().bits(), NAME)?;
    let (_, snapshot) = find(&*driver, &request.dom)?;
    let def = definition_of(request.flags, &snapshot)?;
    Note::read(&*def, request.r#type, request.uri.as_deref(), NAME)?.ok_or_else(|| {
        domain_error(ErrorCode::NoDomainMetadata, "Requested metadata element is not present")
    })
}

pub(super) async fn set<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainSetMetadata,
) -> Result<()> {
    const NAME: &str = "virDomainSetMetadata";
    let DomainSetMetadata { dom, r#type, metadata, key, uri, flags } = request;
    check_flags(flags, DomainModificationImpact::all().bits(), NAME)?;
    let note = Note::new(r#type, metadata, key, uri, NAME)?;
    let (handle, _) = find(&*driver, &dom)?;
    handle
        .job(Job::define(NAME), move |context| async move {
            let wanted = targets(flags, &context.snapshot())?;
            // Both halves are made before either is shown.
            let mut live = context.snapshot().live.as_deref().cloned();
            if let Some(live) = live.as_mut().filter(|_| wanted.live) {
                note.write(live)?;
            }
            if wanted.config {
                context.change_persistent(|def| note.write(def))?;
                context.settle().await?;
            }
            if let Some(live) = live.filter(|_| wanted.live) {
                context.change_live(|def| note.copy(&live, def))?;
            }
            let (r#type, nsuri) = note.told();
            context.emit(|dom| DomainEventMetadataChange { dom, r#type, nsuri }.into());
            Ok(())
        })
        .await
}
