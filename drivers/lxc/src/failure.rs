// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What failed while a container was built: one step, on one object, for one cause. It travels from the
//! controller (or the container's first process) to the daemon.

use std::fmt::Display;
use std::io;

use serde::{Deserialize, Serialize};
use virtus_api::{Error, ErrorCode, ErrorDomain};

/// A failed step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What was tried on what: "mount '/dev' of the container".
    pub attempt: String,
    /// The kernel's answer; 0 where the cause stands in `attempt`.
    pub errno: i32,
    /// What can be done about it.
    pub hint: Option<String>,
}

/// What a step gives.
pub type Step<T> = Result<T, Failure>;

impl Failure {
    /// A refusal of our own.
    #[must_use]
    pub fn refused(why: impl Into<String>) -> Self {
        Self { attempt: why.into(), errno: 0, hint: None }
    }

    /// Says what can be done about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let error = if failure.errno == 0 {
            Self::new(ErrorCode::OperationFailed, failure.attempt)
        } else {
            let cause = io::Error::from_raw_os_error(failure.errno);
            Self::system(format!("cannot {}", failure.attempt), &cause)
        };
        let error = error.in_domain(ErrorDomain::Lxc);
        match failure.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let hint = error.hint_text().map(ToOwned::to_owned);
        Self { attempt: error.text().to_owned(), errno: 0, hint }
    }
}

/// Turns the kernel's answer into a [`Failure`].
pub(crate) trait Attempt<T> {
    /// `attempt` says what was tried on what.
    fn attempt<D: Display>(self, attempt: impl FnOnce() -> D) -> Step<T>;
}

impl<T> Attempt<T> for rustix::io::Result<T> {
    fn attempt<D: Display>(self, attempt: impl FnOnce() -> D) -> Step<T> {
        self.map_err(io::Error::from).attempt(attempt)
    }
}

impl<T> Attempt<T> for io::Result<T> {
    fn attempt<D: Display>(self, attempt: impl FnOnce() -> D) -> Step<T> {
        self.map_err(|cause| match cause.raw_os_error() {
            Some(errno) => Failure { attempt: attempt().to_string(), errno, hint: None },
            None => Failure::refused(format!("cannot {}: {cause}", attempt())),
        })
    }
}
