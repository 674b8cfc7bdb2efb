// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The value of a secret, and its file: `UUID.base64`, which only the daemon's user may read.

use std::fmt;
use std::io::ErrorKind;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use uuid::Uuid;
use virtus_api::{Error, ErrorCode, Result};
use virtus_core::store;
use zeroize::Zeroizing;

use crate::shelf::Shelf;

/// Bytes that nobody sees by accident: wiped when dropped, not shown in logs.
pub struct Value(Zeroizing<Vec<u8>>);

/// A longer file holds no value that a client could have set.
const MAX_FILE: u64 = 1 << 20;

impl Value {
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, for whoever may have them.
    #[must_use]
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Value(hidden)")
    }
}

fn file(uuid: Uuid) -> String {
    format!("{uuid}.base64")
}

/// Keeps a value.
pub(super) async fn save(shelf: &Shelf, uuid: Uuid, value: &Value) -> Result<()> {
    let text = Zeroizing::new(STANDARD.encode(value.reveal()));
    shelf
        .blocking(move |folder| {
            store::write(&folder.file(&file(uuid)), text.as_bytes(), store::PRIVATE)
        })
        .await
}

/// Keeps a value no longer.
pub(super) async fn remove(shelf: &Shelf, uuid: Uuid) -> Result<()> {
    shelf.blocking(move |folder| store::remove(&folder.file(&file(uuid)))).await
}

/// The value that is kept, if there is one.
pub(super) async fn load(shelf: &Shelf, uuid: Uuid) -> Result<Option<Value>> {
    shelf
        .blocking(move |folder| {
            let path = folder.file(&file(uuid));
            let explain =
                |cause| Error::system(format!("cannot read '{}'", path.display()), &cause);
            let wrong = |why| {
                let text = format!("'{}' is no value of a secret: {why}", path.display());
                Err(Error::new(ErrorCode::OperationFailed, text))
            };
            match std::fs::metadata(&path) {
                Ok(facts) if facts.len() > MAX_FILE => return wrong("it is too long"),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(explain(error)),
            }
            let text = Zeroizing::new(std::fs::read(&path).map_err(explain)?);
            match STANDARD.decode(text.trim_ascii()) {
                Ok(bytes) => Ok(Some(Value::new(bytes))),
                Err(_) => wrong("it is not base64"),
            }
        })
        .await
}
