// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<auth>`: who may open a world.

use virtus_api::{Error, ErrorCode, ErrorDomain, Result};
use virtus_core::Session;
use virtus_xml::reader::Node as Element;

/// `<user password='…'>name</user>`; without a password the name is enough.
pub(crate) struct User {
    name: String,
    password: Option<String>,
}

impl User {
    pub(crate) fn parse(element: Element<'_>) -> Result<Self> {
        let name = element.text().into_owned();
        if name.is_empty() {
            let text = "missing username in /node/auth/user field";
            return Err(Error::new(ErrorCode::XmlError, text).in_domain(ErrorDomain::Test));
        }
        let password = element.attr("password").map(|word| word.text().to_owned());
        Ok(Self { name, password })
    }
}

/// Lets in whom `users` knows; without users, everybody.
///
/// # Errors
/// `VIR_ERR_AUTH_FAILED`; `VIR_ERR_INVALID_ARG` if there is nobody to be asked.
pub(crate) fn check(users: &[User], session: &Session) -> Result<()> {
    if users.is_empty() {
        return Ok(());
    }
    let given = session.credentials("test", "localhost")?;
    let known = users.iter().find(|user| user.name == given.user);
    let password = known.map(|user| user.password.as_ref());
    if password.is_some_and(|known| known.is_none_or(|known| *known == given.password)) {
        return Ok(());
    }
    let text = "authentication failed, see test XML for the correct username/password";
    Err(Error::new(ErrorCode::AuthFailed, text).in_domain(ErrorDomain::Test))
}
