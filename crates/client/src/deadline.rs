// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How long a call may take. A dead daemon is noticed sooner, by keepalive; this bounds a stuck one.

use std::time::Duration;

use virtus_api::{CallId, Class, Error, ErrorCode, ErrorDomain, Result};

/// For calls that are answered from published state, and for opening a connection.
pub(crate) const SHORT: Duration = Duration::from_secs(30);

/// For calls that touch disks, machines or guests.
pub(crate) const LONG: Duration = Duration::from_secs(600);

/// The time that a call has if nobody says otherwise.
pub(crate) fn usual(call: CallId) -> Duration {
    match call.meta().class {
        Class::Snapshot => SHORT,
        Class::Host | Class::Job | Class::Guest => LONG,
    }
}

/// Waits for `what` for so long.
///
/// # Errors
/// `VIR_ERR_OPERATION_TIMEOUT` naming `attempt`.
pub(crate) async fn within<T>(
    limit: Duration,
    attempt: &str,
    what: impl Future<Output = Result<T>>,
) -> Result<T> {
    tokio::time::timeout(limit, what).await.unwrap_or_else(|_| {
        let text = format!("{attempt} was not answered within {limit:?}");
        Err(Error::new(ErrorCode::OperationTimeout, text)
            .in_domain(ErrorDomain::Rpc)
            .hint("what was asked for may still happen; a longer deadline waits for it"))
    })
}
