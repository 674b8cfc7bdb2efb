// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The one error type that crosses crate borders.
//!
//! An error carries libvirt's code and domain (clients switch on them), a text that names what was
//! attempted on which object and the cause, and, where the user can do something, a hint. The code's
//! own lead ("Domain not found") and the text are joined once, here, so that no call site repeats it.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use crate::error_codes::{ErrorCode, ErrorDomain};

/// The result of everything that can be asked of a driver.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in the terms that libvirt's clients know. Cheap to move (one pointer).
#[derive(Clone)]
pub struct Error(Box<Body>);

#[derive(Clone)]
struct Body {
    code: ErrorCode,
    domain: ErrorDomain,
    text: Cow<'static, str>,
    hint: Option<Cow<'static, str>>,
    os_error: Option<i32>,
    /// Whether the text stands without the lead of its code.
    plain: bool,
}

impl Error {
    /// An error with `text` after the lead of its code. `text` names the object in quotes and the cause.
    #[must_use]
    pub fn new(code: ErrorCode, text: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Body {
            code,
            domain: ErrorDomain::None,
            text: text.into(),
            hint: None,
            os_error: None,
            plain: false,
        }))
    }

    /// An argument that the call does not take. Of these libvirt says only the text.
    #[must_use]
    pub fn bad_argument(text: impl Into<Cow<'static, str>>) -> Self {
        let mut error = Self::new(ErrorCode::InvalidArg, text);
        error.0.plain = true;
        error
    }

    /// A failed system call: `attempt` says what was tried on what ("cannot open '/x'").
    #[must_use]
    pub fn system(attempt: impl fmt::Display, cause: &std::io::Error) -> Self {
        let mut error = Self::new(ErrorCode::SystemError, format!("{attempt}: {}", io_text(cause)));
        error.0.os_error = cause.raw_os_error();
        error
    }

    /// The answer to a call that no driver of this connection registers.
    #[must_use]
    pub fn no_support(call: &str) -> Self {
        Self::new(ErrorCode::NoSupport, call.to_owned())
    }

    /// A typed parameter that a call does not know.
    #[must_use]
    pub fn unknown_param(field: &str) -> Self {
        let text = format!("parameter '{field}' not supported");
        Self::new(ErrorCode::ArgumentUnsupported, text)
    }

    /// Sets libvirt's error domain (which part of the system speaks).
    #[must_use]
    pub fn in_domain(mut self, domain: ErrorDomain) -> Self {
        self.0.domain = domain;
        self
    }

    /// Sets the domain unless something closer to the cause has set it already.
    #[must_use]
    pub fn or_domain(mut self, domain: ErrorDomain) -> Self {
        if self.0.domain == ErrorDomain::None {
            self.0.domain = domain;
        }
        self
    }

    /// Says what the user can do about it; shown on a line of its own, after what was said before.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        let hint = hint.into();
        self.0.hint = Some(match self.0.hint.take() {
            Some(before) => format!("{before}; {hint}").into(),
            None => hint,
        });
        self
    }

    /// Puts what was attempted before the text: `"{attempt}: {text}"`.
    #[must_use]
    pub fn context(mut self, attempt: impl fmt::Display) -> Self {
        self.0.text = format!("{attempt}: {}", self.0.text).into();
        self
    }

    /// Sets the `errno` of an error that came from elsewhere.
    #[must_use]
    pub fn with_os_error(mut self, errno: i32) -> Self {
        self.0.os_error = Some(errno);
        self
    }

    /// libvirt's `virErrorNumber`.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        self.0.code
    }

    /// libvirt's `virErrorDomain`.
    #[must_use]
    pub fn domain(&self) -> ErrorDomain {
        self.0.domain
    }

    /// The text without the lead of the code and without the hint (`str2` of a `virError`).
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// What the user can do, if anything is known.
    #[must_use]
    pub fn hint_text(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The `errno` of the failed system call, if the cause was one.
    #[must_use]
    pub fn os_error(&self) -> Option<i32> {
        self.0.os_error
    }
}

/// "No such file or directory" without Rust's " (os error 2)".
fn io_text(cause: &std::io::Error) -> String {
    let text = cause.to_string();
    match text.rfind(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lead = if self.0.plain { "" } else { self.0.code.lead() };
        let text = &self.0.text;
        match (lead.is_empty(), text.is_empty()) {
            // "no connection driver available for X" reads on; every other lead is followed by a colon.
            (false, false)
                if [" in", " for", " for device"].iter().any(|end| lead.ends_with(end)) =>
            {
                write!(f, "{lead} {text}")?;
            }
            (false, false) => write!(f, "{lead}: {text}")?,
            (false, true) => f.write_str(lead)?,
            (true, _) => f.write_str(text)?,
        }
        if let Some(hint) = &self.0.hint {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}/{:?} {:?}", self.0.code, self.0.domain, self.to_string())
    }
}

impl StdError for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lead_and_the_hint_frame_the_text() {
        let error = Error::new(ErrorCode::NoDomain, "no domain with matching name 'vm1'")
            .hint("list what is defined with 'virsh list --all'");
        assert_eq!(
            error.to_string(),
            "Domain not found: no domain with matching name 'vm1'\n\
             hint: list what is defined with 'virsh list --all'"
        );
    }

    #[test]
    fn a_second_hint_follows_the_first() {
        let error =
            Error::new(ErrorCode::XmlError, "no").hint("see line 3").hint("put a name there");
        assert_eq!(error.hint_text(), Some("see line 3; put a name there"));
    }

    #[test]
    fn system_errors_read_as_the_c_library_says_them() {
        let error = Error::system("cannot open '/x'", &std::io::Error::from_raw_os_error(2));
        assert_eq!(error.to_string(), "cannot open '/x': No such file or directory");
        assert_eq!(error.os_error(), Some(2));
    }
}
