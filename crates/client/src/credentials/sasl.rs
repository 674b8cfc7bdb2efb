// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Proves to a daemon who we are: by a password, with SCRAM-SHA-256, which does not show it, or where nobody can
//! read along and the daemon knows nothing better, with PLAIN; or by the user's Kerberos ticket, with GSSAPI, where others
//! could read along or no password is known.

use virtus_api::{Error, ErrorCode, ErrorDomain, Result};
use virtus_core::Credentials;
use virtus_rpc::engine::Sasl;
use virtus_rpc::sasl::scram::{self, Failure, ScramClient};
use virtus_rpc::sasl::{GSSAPI, GssapiClient, Seal};

const PLAIN: &str = "PLAIN";

/// Whoever knows the credentials, once a daemon has asked.
type Ask = Box<dyn FnMut() -> Result<Option<Credentials>> + Send>;

/// The client's side of an exchange.
pub(crate) struct Proof {
    ask: Ask,
    /// How the daemon's host is called, by us and by Kerberos.
    host: String,
    /// Whether nobody on the way can read along.
    secure: bool,
    exchange: Exchange,
}

enum Exchange {
    Nothing,
    Scram(ScramClient),
    Gssapi(GssapiClient),
    /// The daemon owes nothing more.
    Proven,
}

impl Proof {
    pub(crate) fn new(
        secure: bool,
        host: String,
        ask: impl FnMut() -> Result<Option<Credentials>> + Send + 'static,
    ) -> Self {
        Self { ask: Box::new(ask), host, secure, exchange: Exchange::Nothing }
    }
}

impl Sasl for Proof {
    fn start(&mut self, offered: &str) -> Result<(String, Option<Vec<u8>>)> {
        let offers = |name: &str| offered.split([',', ' ']).any(|mechanism| mechanism == name);
        let known = (self.ask)()?;
        if offers(GSSAPI) && (known.is_none() || !self.secure) {
            let (client, first) = GssapiClient::new(&self.host, self.secure)?;
            self.exchange = Exchange::Gssapi(client);
            return Ok((GSSAPI.to_owned(), Some(first)));
        }
        let Credentials { user, password } = known.ok_or_else(|| {
            failed("the daemon asks for a user name and password, and there are none")
                .hint("put them into auth.conf, or open with Options::credentials")
        })?;
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
        let client = match &mut self.exchange {
            Exchange::Scram(client) => client,
            Exchange::Gssapi(client) => return client.answer(challenge).map(Some),
            Exchange::Nothing | Exchange::Proven => {
                return Err(failed("the daemon goes on after the end"));
            }
        };
        // Some daemons send their own proof as one more challenge.
        if challenge.starts_with(b"v=") {
            client.check(challenge).map_err(refused)?;
            self.exchange = Exchange::Proven;
            return Ok(Some(Vec::new()));
        }
        client.answer(challenge).map(Some).map_err(refused)
    }

    fn finish(&mut self, last: Option<&[u8]>) -> Result<Option<Seal>> {
        match &mut self.exchange {
            Exchange::Proven => Ok(None),
            Exchange::Scram(client) => {
                client.check(last.unwrap_or_default()).map(|()| None).map_err(refused)
            }
            Exchange::Gssapi(client) => client.finish(),
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

    fn fred(secure: bool) -> Proof {
        let fred = Credentials { user: "fred".into(), password: "secret".into() };
        Proof::new(secure, "localhost".to_owned(), move || Ok(Some(fred.clone())))
    }

    #[test]
    fn a_password_is_shown_only_where_nobody_reads_along() {
        let (name, first) = fred(true).start("GSSAPI,PLAIN").unwrap();
        assert_eq!((name.as_str(), first.as_deref()), ("PLAIN", Some(&b"\0fred\0secret"[..])));
        assert!(fred(false).start("PLAIN").is_err());
        let (name, first) = fred(true).start("PLAIN,SCRAM-SHA-256").unwrap();
        assert_eq!(name, "SCRAM-SHA-256");
        assert!(!first.unwrap().windows(6).any(|part| part == b"secret"));
    }

    #[test]
    fn a_daemon_without_the_password_is_not_believed() {
        let mut fred = fred(true);
        fred.start("SCRAM-SHA-256").unwrap();
        assert!(fred.finish(None).is_err(), "it has proven nothing");
        let mut nobody = Proof::new(true, "localhost".to_owned(), || Ok(None));
        let nobody = nobody.start("PLAIN").unwrap_err();
        assert_eq!(nobody.code(), ErrorCode::AuthFailed);
    }
}
