// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What people and applications note down with an object: title, description, elements of their own.

use virtus_api::{DomainMetadataType as NoteType, Error, ErrorCode, ErrorDomain, Result};

use crate::domain::metadata::Metadata;
use crate::{Domain, Network};

/// A document with notes.
pub trait Noted {
    /// The title, the description, and the elements of applications.
    fn notes(&self) -> (&Option<String>, &Option<String>, &Option<Metadata>);
    fn notes_mut(&mut self) -> (&mut Option<String>, &mut Option<String>, &mut Option<Metadata>);
}

macro_rules! noted {
    ($($document:ty),+) => {$(
        impl Noted for $document {
            fn notes(&self) -> (&Option<String>, &Option<String>, &Option<Metadata>) {
                (&self.body.title, &self.body.description, &self.body.metadata)
            }

            fn notes_mut(
                &mut self,
            ) -> (&mut Option<String>, &mut Option<String>, &mut Option<Metadata>) {
                (&mut self.body.title, &mut self.body.description, &mut self.body.metadata)
            }
        }
    )+};
}
noted!(Domain, Network);

/// One thing that is to be noted down, or no longer.
#[derive(Debug, Clone)]
pub enum Note {
    Title(Option<String>),
    Description(Option<String>),
    /// The prefix and the text of an element whose namespace is `uri`.
    Element {
        uri: String,
        put: Option<(String, String)>,
    },
}

impl Note {
    /// What the call `name` wants noted: `number` says what kind of note, no `text` that it goes.
    ///
    /// # Errors
    /// `VIR_ERR_INVALID_ARG` for kinds that there are not, titles of several lines, elements without name.
    pub fn new(
        number: i32,
        text: Option<String>,
        key: Option<String>,
        uri: Option<String>,
        name: &str,
    ) -> Result<Self> {
        Ok(match kind(number)? {
            NoteType::Description => Self::Description(text.filter(|text| !text.is_empty())),
            NoteType::Title => {
                if text.as_deref().is_some_and(|title| title.contains('\n')) {
                    return Err(Error::new(
                        ErrorCode::InvalidArg,
                        format!("metadata title in {name} can't contain newlines"),
                    ));
                }
                Self::Title(text.filter(|text| !text.is_empty()))
            }
            NoteType::Element => {
                let uri = uri.ok_or_else(|| missing("uri", name))?;
                let put = match text {
                    Some(text) => {
                        let key = key.ok_or_else(|| missing("key", name))?;
                        check_prefix(&key)?;
                        Some((key, text))
                    }
                    None => None,
                };
                Self::Element { uri, put }
            }
        })
    }

    /// What the call `name` asks for; none if nothing is noted.
    ///
    /// # Errors
    /// `VIR_ERR_INVALID_ARG` as in [`Note::new`].
    pub fn read(
        def: &impl Noted,
        number: i32,
        uri: Option<&str>,
        name: &str,
    ) -> Result<Option<String>> {
        let (title, description, metadata) = def.notes();
        Ok(match kind(number)? {
            NoteType::Description => description.clone(),
            NoteType::Title => title.clone(),
            NoteType::Element => {
                let uri = uri.ok_or_else(|| missing("uri", name))?;
                metadata.as_ref().and_then(|metadata| metadata.get(uri))
            }
        })
    }

    /// Notes it down.
    ///
    /// # Errors
    /// If the element is not well formed.
    pub fn write(&self, def: &mut impl Noted) -> Result<()> {
        let (title, description, metadata) = def.notes_mut();
        match self {
            Self::Title(text) => title.clone_from(text),
            Self::Description(text) => description.clone_from(text),
            Self::Element { uri, put: Some((key, xml)) } => {
                metadata.get_or_insert_default().put(uri, key, xml)?;
            }
            Self::Element { uri, put: None } => {
                if let Some(known) = metadata.as_mut() {
                    known.take_out(uri)?;
                }
                metadata.take_if(|known| *known == Metadata::default());
            }
        }
        Ok(())
    }

    /// Takes over what [`Note::write`] has written into `from`.
    pub fn copy<T: Noted>(&self, from: &T, def: &mut T) {
        let (from, to) = (from.notes(), def.notes_mut());
        match self {
            Self::Title(_) => to.0.clone_from(from.0),
            Self::Description(_) => to.1.clone_from(from.1),
            Self::Element { .. } => to.2.clone_from(from.2),
        }
    }

    /// How an event tells of it: the number of its kind, and its namespace.
    #[must_use]
    pub fn told(self) -> (i32, Option<String>) {
        match self {
            Self::Title(_) => (NoteType::Title as i32, None),
            Self::Description(_) => (NoteType::Description as i32, None),
            Self::Element { uri, .. } => (NoteType::Element as i32, Some(uri)),
        }
    }
}

fn kind(number: i32) -> Result<NoteType> {
    NoteType::try_from(number).map_err(|_| {
        Error::new(ErrorCode::InvalidArg, format!("unknown metadata type '{number}'"))
            .in_domain(ErrorDomain::Domain)
    })
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
    Error::bad_argument(format!("{what} in {name} must not be NULL"))
}
