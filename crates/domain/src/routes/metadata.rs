// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What people and applications note down with a machine: title, description, elements of their own.

use std::sync::Arc;

use virtus_api::{
    DomainEventMetadataChange, DomainGetMetadata, DomainMetadataType, DomainModificationImpact,
    DomainSetMetadata, Error, ErrorCode, Result,
};
use virtus_core::Call;
use virtus_xml::Domain;

use super::{HasMachines, check_flags, definition_of, find, targets};
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
    let text = match kind(request.r#type)? {
        DomainMetadataType::Description => def.description.clone(),
        DomainMetadataType::Title => def.title.clone(),
        DomainMetadataType::Element => {
            let uri = request.uri.ok_or_else(|| missing("uri", NAME))?;
            def.metadata.as_ref().and_then(|metadata| metadata.get(&uri))
        }
    };
    text.ok_or_else(|| {
        Error::new(ErrorCode::NoDomainMetadata, "Requested metadata element is not present")
    })
}

pub(super) async fn set<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainSetMetadata,
) -> Result<()> {
    const NAME: &str = "virDomainSetMetadata";
    check_flags(request.flags, DomainModificationImpact::all().bits(), NAME)?;
    let note = Note::of(&request, NAME)?;
    let (handle, _) = find(&*driver, &request.dom)?;
    handle
        .job(Job::define(NAME), move |context| async move {
            let wanted = targets(request.flags, &context.snapshot())?;
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
            let (kind, nsuri) = note.told();
            context
                .emit(|dom| DomainEventMetadataChange { dom, r#type: kind as i32, nsuri }.into());
            Ok(())
        })
        .await
}

/// What is to be noted down.
enum Note {
    Title(Option<String>),
    Description(Option<String>),
    Element { uri: String, put: Option<(String, String)> },
}

impl Note {
    fn of(request: &DomainSetMetadata, name: &str) -> Result<Self> {
        let text = request.metadata.clone();
        Ok(match kind(request.r#type)? {
            DomainMetadataType::Description => Self::Description(text.filter(|t| !t.is_empty())),
            DomainMetadataType::Title => {
                if text.as_deref().is_some_and(|title| title.contains('\n')) {
                    return Err(Error::new(
                        ErrorCode::InvalidArg,
                        format!("metadata title in {name} can't contain newlines"),
                    ));
                }
                Self::Title(text.filter(|t| !t.is_empty()))
            }
            DomainMetadataType::Element => {
                let uri = request.uri.clone().ok_or_else(|| missing("uri", name))?;
                let put = match text {
                    Some(text) => {
                        let key = request.key.clone().ok_or_else(|| missing("key", name))?;
                        check_prefix(&key)?;
                        Some((key, text))
                    }
                    None => None,
                };
                Self::Element { uri, put }
            }
        })
    }

    fn write(&self, def: &mut Domain) -> Result<()> {
        match self {
            Self::Title(title) => def.title.clone_from(title),
            Self::Description(description) => def.description.clone_from(description),
            Self::Element { uri, put: Some((key, xml)) } => {
                def.metadata.get_or_insert_default().put(uri, key, xml)?;
            }
            Self::Element { uri, put: None } => {
                if let Some(metadata) = def.metadata.as_mut() {
                    metadata.take_out(uri)?;
                }
            }
        }
        Ok(())
    }

    /// Takes over what [`Note::write`] has written into `from`.
    fn copy(&self, from: &Domain, def: &mut Domain) {
        match self {
            Self::Title(_) => def.title.clone_from(&from.title),
            Self::Description(_) => def.description.clone_from(&from.description),
            Self::Element { .. } => def.metadata.clone_from(&from.metadata),
        }
    }

    fn told(self) -> (DomainMetadataType, Option<String>) {
        match self {
            Self::Title(_) => (DomainMetadataType::Title, None),
            Self::Description(_) => (DomainMetadataType::Description, None),
            Self::Element { uri, .. } => (DomainMetadataType::Element, Some(uri)),
        }
    }
}

fn kind(number: i32) -> Result<DomainMetadataType> {
    DomainMetadataType::try_from(number)
        .map_err(|_| Error::new(ErrorCode::InvalidArg, format!("unknown metadata type {number}")))
}

/// The prefix is written into the XML as it is.
fn check_prefix(key: &str) -> Result<()> {
    let first = key.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_');
    let rest = key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'));
    if first && rest {
        return Ok(());
    }
    Err(Error::new(ErrorCode::InvalidArg, format!("'{key}' is not a namespace prefix"))
        .hint("a prefix is a letter followed by letters, digits, '-', '_' or '.'"))
}

fn missing(what: &str, name: &str) -> Error {
    Error::new(ErrorCode::InvalidArg, format!("{what} in {name} must not be NULL"))
}
