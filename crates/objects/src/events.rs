// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Who wants to hear of objects.

use virtus_api::{Error, ErrorCode, Family, Result};
use virtus_core::Call;
use virtus_core::events::{Hub, Interest, Key};

/// Registers a session for the event `id` of a family, whose ids are `Ids`.
///
/// # Errors
/// `VIR_ERR_INVALID_ARG` for an event that there is not, or that the session is registered for already.
pub(crate) fn register<Ids: TryFrom<i32>>(
    hub: &Hub,
    call: &Call,
    family: Family,
    id: i32,
    key: Option<Key>,
) -> Result<i32> {
    if Ids::try_from(id).is_err() {
        return Err(Error::new(ErrorCode::InvalidArg, format!("unsupported event ID {id}")));
    }
    hub.register(&call.session, Interest::new(family, id, key))
}
