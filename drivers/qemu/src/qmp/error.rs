// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How a monitor command fails, and how a user is told.

use std::fmt;
use std::io;
use std::path::Path;
use std::time::Duration;

use virtus_api::{Error, ErrorCode, ErrorDomain};

/// Why a command gave no result.
#[derive(Debug, Clone)]
pub enum CallError {
    /// QEMU refused it.
    Refused {
        /// Which command.
        command: String,
        /// `GenericError`, `CommandNotFound`, `DeviceNotFound`, `DeviceNotActive`, `KVMMissingCap`.
        class: String,
        /// QEMU's own words.
        desc: String,
    },
    /// No reply in time. QEMU may still carry it out.
    Timeout {
        /// Which guest or binary.
        subject: String,
        /// Which command.
        command: String,
        /// How long was waited.
        deadline: Duration,
    },
    /// The connection ended before the reply.
    Closed {
        /// Which guest or binary.
        subject: String,
        /// Which command.
        command: String,
        /// What ended it.
        cause: String,
    },
    /// Nothing listens at the socket.
    Connect {
        /// What was tried on what, and the cause.
        error: Box<Error>,
    },
    /// The other side does not speak the protocol.
    Protocol {
        /// Which guest or binary.
        subject: String,
        /// What is wrong.
        cause: String,
    },
}

impl CallError {
    pub(super) fn timeout(subject: &str, command: &str, deadline: Duration) -> Self {
        Self::Timeout { subject: subject.to_owned(), command: command.to_owned(), deadline }
    }

    pub(super) fn connect(subject: &str, path: &Path, cause: &io::Error) -> Self {
        let attempt = format!("cannot connect to the monitor of {subject} at '{}'", path.display());
        let mut error = Error::system(attempt, cause).in_domain(ErrorDomain::Qemu);
        if matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) {
            error = error.hint("the QEMU process has ended; its log says why");
        }
        Self::Connect { error: Box::new(error) }
    }

    /// Whether QEMU does not know the command.
    #[must_use]
    pub fn is_unknown_command(&self) -> bool {
        self.class() == Some("CommandNotFound")
    }

    /// Whether QEMU does not know the device that was named.
    #[must_use]
    pub fn is_unknown_device(&self) -> bool {
        self.class() == Some("DeviceNotFound")
    }

    /// QEMU's class of a refusal.
    #[must_use]
    pub fn class(&self) -> Option<&str> {
        match self {
            Self::Refused { class, .. } => Some(class),
            _ => None,
        }
    }

    /// QEMU's own words of a refusal.
    #[must_use]
    pub fn desc(&self) -> Option<&str> {
        match self {
            Self::Refused { desc, .. } => Some(desc),
            _ => None,
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { command, desc, .. } => {
                write!(f, "unable to execute QEMU command '{command}': {desc}")
            }
            Self::Timeout { subject, command, deadline } => write!(
                f,
                "QEMU of {subject} did not answer '{command}' within {:.1} s",
                deadline.as_secs_f64()
            ),
            Self::Closed { subject, command, cause } => {
                write!(f, "unable to execute QEMU command '{command}' for {subject}: {cause}")
            }
            Self::Connect { error } => f.write_str(error.text()),
            Self::Protocol { subject, cause } => {
                write!(f, "cannot understand the monitor of {subject}: {cause}")
            }
        }
    }
}

impl std::error::Error for CallError {}

impl From<CallError> for Error {
    fn from(error: CallError) -> Self {
        let text = error.to_string();
        let error = match error {
            CallError::Refused { class, .. } if class == "CommandNotFound" => {
                Self::new(ErrorCode::OperationUnsupported, text)
            }
            CallError::Refused { .. } | CallError::Protocol { .. } => {
                Self::new(ErrorCode::OperationFailed, text)
            }
            CallError::Timeout { .. } => Self::new(ErrorCode::OperationTimeout, text).hint(
                "the QEMU process is stopped or stuck: see its state in /proc and its log; \
                 'virsh destroy' ends it",
            ),
            CallError::Closed { .. } => Self::new(ErrorCode::OperationFailed, text)
                .hint("the QEMU process has ended or is ending; its log says why"),
            CallError::Connect { error } => *error,
        };
        error.or_domain(ErrorDomain::Qemu)
    }
}
