// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Work that blocks, mostly on storage: beside the runtime's threads, so that it holds up only who waits for it, and
//! within a deadline, as storage that is dead never answers.

use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::timeout;
use virtus_api::{Error, ErrorCode, Result};

/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Does `work`; `what` names it in errors ("preparing the files of domain 'a'"). What it makes too late is dropped.
///
/// # Errors
/// Those of the work; `VIR_ERR_OPERATION_TIMEOUT` where it takes longer than 30 seconds.
pub async fn run<T: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    within(PATIENCE, what, work).await
}

async fn within<T: Send + 'static>(
    patience: Duration,
    what: &str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match timeout(patience, spawn_blocking(work)).await {
        Ok(Ok(result)) => result,
        Ok(Err(cause)) => {
            Err(Error::new(ErrorCode::InternalError, format!("{what} was broken off: {cause}")))
        }
        Err(_) => {
            let text = format!("{what} took longer than {} s", patience.as_secs());
            Err(Error::new(ErrorCode::OperationTimeout, text)
                .hint("storage that it needs does not answer"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn who_waits_for_dead_storage_is_told_so() {
        let (until_the_end, answers) = mpsc::channel::<()>();
        let work = move || Ok(answers.recv());
        let error = within(Duration::from_millis(1), "looking at 'x'", work).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::OperationTimeout);
        assert!(error.text().starts_with("looking at 'x' took longer"), "{error}");
        drop(until_the_end);
        assert_eq!(run("counting", || Ok(1)).await.unwrap(), 1);
    }
}
