// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Proves a password to a daemon: by SCRAM-SHA-256, which does not show it, or where nobody can read
//! along and the daemon knows nothing better, by PLAIN.

use virtus_api::{Error, ErrorCode, ErrorDomain, Result};
use virtus_core::Credentials;
use virtus_rpc::engine::Sasl;
use virtus_rpc::sasl::scram::{self, Failure, ScramClient};

const PLAIN: &str = "PLAIN";

/// Whoever knows the credentials, once a daemon has asked.
type Ask = Box<dyn FnMut() -> Result<Option<Credentials>> + Send>;

/// The client's side of an exchange.
pub(crate) struct Passwords {
    ask: Ask,
    /// Whether nobody on the way can read along.
    secure: bool,
    exchange: Exchange,
}

enum Exchange {
    Nothing,
    Scram(ScramClient),
    /// The daemon owes nothing more.
    Proven,
}

impl Passwords {
    pub(crate) fn new(
        secure: bool,
        ask: impl FnMut() -> Result<Option<Credentials>> + Send + 'static,
    ) -> Self {
        Self { ask: Box::new(ask), secure, exchange: Exchange::Nothing }
    }
}

impl Sasl for Passwords {
    fn start(&mut self, offered: &str) -> Result<(String, Option<Vec<u8>>)> {
        let Credentials { user, password } = (self.ask)()?.ok_or_else(|| {
            failed("the daemon asks for a user name and password, and there are none")
                .hint("put them into auth.conf, or open with Options::credentials")
        })?;
        let offers = |name: &str| offered.split([',', ' ']).any(|mechanism| mechanism == name);
        if offers(scram::NAME) {
            let (client, first) = ScramClient::new(&user, &password).map_err(refused)?;
            self.exchange = Exchange::Scram(client);
            return Ok((scram::NAME.to_owned(), Some(first)));
        }
        if offers(PLAIN) && self.secure {
            self.exchange = Exchange::Proven;
            return Ok((PLAIN.to_owned(), Some(format!("\0{user}\0{password}").into_bytes())));
        }
        let text = format!("the daemon offers the mechanisms '{offered}'");
        Err(failed(format!("{text}, and SCRAM-SHA-256 or, where it is safe, PLAIN is needed")))
    }

    fn step(&mut self, challenge: Option<&[u8]>) -> Result<Option<Vec<u8>>> {
        let challenge = challenge.unwrap_or_default();
        let Exchange::Scram(client) = &mut self.exchange else {
            return Err(failed("the daemon goes on after the end"));
        };
        // Some daemons send their own proof as one more challenge.
        if challenge.starts_with(b"v=") {
            client.check(challenge).map_err(refused)?;
            self.exchange = Exchange::Proven;
            return Ok(Some(Vec::new()));
        }
        client.answer(challenge).map(Some).map_err(refused)
    }

    fn finish(&mut self, last: Option<&[u8]>) -> Result<()> {
        match &mut self.exchange {
            Exchange::Proven => Ok(()),
            Exchange::Scram(client) => client.check(last.unwrap_or_default()).map_err(refused),
            Exchange::Nothing => Err(failed("the daemon ends what has not begun")),
        }
    }
}

fn refused(why: Failure) -> Error {
    failed(format!("the daemon's side of SCRAM-SHA-256: {why}"))
}

fn failed(text: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorCode::AuthFailed, text).in_domain(ErrorDomain::Auth)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fred(secure: bool) -> Passwords {
        let fred = Credentials { user: "fred".into(), password: "secret".into() };
        Passwords::new(secure, move || Ok(Some(fred.clone())))
    }

    #[test]
    fn a_password_is_shown_only_where_nobody_reads_along() {
        let (name, first) = fred(true).start("GSSAPI,PLAIN").unwrap();
        assert_eq!((name.as_str(), first.as_deref()), ("PLAIN", Some(&b"\0fred\0secret"[..])));
        assert!(fred(false).start("GSSAPI,PLAIN").is_err());
        let (name, first) = fred(true).start("PLAIN,SCRAM-SHA-256").unwrap();
        assert_eq!(name, "SCRAM-SHA-256");
        assert!(!first.unwrap().windows(6).any(|part| part == b"secret"));
    }

    #[test]
    fn a_daemon_without_the_password_is_not_believed() {
        let mut fred = fred(true);
        fred.start("SCRAM-SHA-256").unwrap();
        assert!(fred.finish(None).is_err(), "it has proven nothing");
        let nobody = Passwords::new(true, || Ok(None)).start("PLAIN").unwrap_err();
        assert_eq!(nobody.code(), ErrorCode::AuthFailed);
    }
}
