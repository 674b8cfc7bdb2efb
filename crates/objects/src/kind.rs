// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a collection has to know of a kind of objects. A kind is its document: an `Object<Network>` is a network.

use std::borrow::Cow;

use uuid::Uuid;
use virtus_api::{Error, ErrorCode};
use virtus_xml::{Document, FormatFlags};

use crate::object::Snapshot;

/// A document that defines an object which clients list, look up and change.
pub trait Kind: Document + Clone + Send + Sync + 'static {
    /// What an object has besides its definitions (a pool its volumes). Is copied with each change: whatever is
    /// large stands behind an `Arc`.
    type Extra: Clone + Default + Send + Sync + 'static;

    /// What people call it, in libvirt's texts: "network", "storage pool".
    const WORD: &'static str;
    /// The code for one that is not there.
    const MISSING: ErrorCode;
    /// The command that lists all of them, for hints.
    const LIST: &'static str;
    /// The command that edits one, for the note in its file; none for files without note.
    const EDIT: Option<&'static str>;
    /// How much of the definition its file keeps.
    const ON_DISK: FormatFlags = FormatFlags::INACTIVE;

    /// What no other of the kind is called. Never changes.
    fn name(&self) -> Cow<'_, str>;

    /// Its UUID, in a kind that has them. Never changes.
    fn uuid(&self) -> Option<Uuid>;

    /// The name of its file, without the suffix.
    fn file(&self) -> String {
        self.name().into_owned()
    }

    /// Whether its definition survives the daemon.
    fn is_durable(&self) -> bool {
        true
    }

    /// The answer to a definition whose UUID belongs to one of another name.
    fn same_uuid(&self, other: &Snapshot<Self>, uuid: Uuid) -> Error {
        let text = format!("{} '{}' is already defined with uuid {uuid}", Self::WORD, other.name);
        Error::new(ErrorCode::OperationFailed, text).hint(format!(
            "remove <uuid> from the XML to define a new {}, or keep its <name>",
            Self::WORD
        ))
    }

    /// The answer to a definition whose name belongs to one with another UUID.
    fn same_name(&self, other: Uuid) -> Error {
        let (word, name) = (Self::WORD, self.name());
        Error::new(
            ErrorCode::OperationFailed,
            format!("{word} '{name}' already exists with uuid {other}"),
        )
        .hint(format!(
            "put <uuid>{other}</uuid> into the XML to change that {word}, or choose another name"
        ))
    }
}
