// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Steps in the life of an object that its state may forbid.

use virtus_api::{Error, ErrorCode, Result};

use crate::kind::Kind;
use crate::object::Snapshot;

/// What is asked of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// To become active.
    Start,
    /// To be active no longer.
    Destroy,
    /// To lose its definition.
    Undefine,
    /// To get what it stands on (pools).
    Build,
    /// To lose what it stands on (pools).
    Delete,
}

impl Step {
    /// Whether the object's state allows it, in the words of libvirt's network driver: what is active goes on
    /// without its definition.
    ///
    /// # Errors
    /// `VIR_ERR_OPERATION_INVALID`.
    pub fn check<K: Kind>(self, object: &Snapshot<K>) -> Result<()> {
        let word = K::WORD;
        match self {
            Self::Start if object.is_active() => refuse(format!("{word} is already active")),
            Self::Destroy if !object.is_active() => {
                refuse(format!("{word} '{}' is not active", object.name))
            }
            _ => Ok(()),
        }
    }
}

/// The answer to what the state of an object forbids.
///
/// # Errors
/// Always: `VIR_ERR_OPERATION_INVALID`.
pub fn refuse<T>(text: String) -> Result<T> {
    Err(Error::new(ErrorCode::OperationInvalid, text))
}
