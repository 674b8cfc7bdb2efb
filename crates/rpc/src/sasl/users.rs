// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The file of users: one a line, the name, a blank, and the [`Verifier`] of the password. Empty
//! lines and those that begin with `#` are comments.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use virtus_api::{Error, ErrorCode, ErrorDomain, Result};
use virtus_core::store;

use super::scram::Verifier;

/// A larger file is certainly none of users.
const MAX_SIZE: u64 = 16 * 1024 * 1024;

/// The users of a daemon, as the file had them.
pub struct Users {
    file: PathBuf,
    text: String,
}

impl Users {
    /// Reads `file`; without one there are no users. Blocks.
    ///
    /// # Errors
    /// It cannot be read, or others than its owner may read it: with time, they could guess passwords.
    pub fn load(file: &Path) -> Result<Self> {
        let shown = file.display();
        let explain = |cause| Error::system(format!("cannot read the users in '{shown}'"), &cause);
        let wrong = |what: &str| {
            Error::new(ErrorCode::ConfigUnsupported, format!("the file of users '{shown}' {what}"))
                .in_domain(ErrorDomain::Rpc)
        };
        let text = match fs::metadata(file) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => String::new(),
            Err(cause) => return Err(explain(cause)),
            Ok(about) if about.permissions().mode() & 0o077 != 0 => {
                return Err(
                    wrong("is open to others than its owner").hint(format!("chmod 0600 {shown}"))
                );
            }
            Ok(about) if about.len() > MAX_SIZE => return Err(wrong("is too large")),
            Ok(_) => fs::read_to_string(file).map_err(explain)?,
        };
        Ok(Self { file: file.to_owned(), text })
    }

    /// What proves this user's password; `None` if there is no such user.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Verifier> {
        self.text.lines().find_map(|line| match line.split_once(' ') {
            Some((user, verifier)) if user == name => Verifier::parse(verifier.trim()),
            _ => None,
        })
    }

    /// Sets what proves a user's password, or removes the user; whether the user was there. Blocks.
    pub fn set(&mut self, name: &str, verifier: Option<&Verifier>) -> Result<bool> {
        let is_named = |line: &&str| line.split_once(' ').is_some_and(|(user, _)| user == name);
        let was_there = self.text.lines().any(|line| is_named(&line));
        let mut text = String::new();
        for line in self.text.lines().filter(|line| !is_named(line)) {
            text.push_str(line);
            text.push('\n');
        }
        if let Some(verifier) = verifier {
            text.push_str(&format!("{name} {verifier}\n"));
        }
        store::write(&self.file, text.as_bytes(), store::PRIVATE)?;
        self.text = text;
        Ok(was_there)
    }
}
