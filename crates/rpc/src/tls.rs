// SPDX-License-Identifier: Apache-2.0 OR MIT
//! TLS: the daemon's certificate, and which clients' certificates are accepted.
//!
//! Everything is read at once and replaced at once; a client keeps what it began with.

mod certificate;
mod client;
mod name;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{CertificateError, RootCertStore, ServerConfig};
use virtus_api::Result;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::pattern;
use certificate::{Role, broken};
pub use client::{ClientFiles, TlsClient};

/// Where the certificates are, and who is let in with one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    /// The daemon's private key.
    pub key: PathBuf,
    /// The daemon's certificate, and behind it those that lead to the authority.
    pub certificate: PathBuf,
    /// The authorities that may sign clients' certificates.
    pub authority: PathBuf,
    /// The certificates that were revoked, if there is a list.
    pub revocations: Option<PathBuf>,
    /// Whether the daemon's own certificate is looked at before clients see it.
    pub check_own: bool,
    /// Whether a client must show a certificate.
    pub verify_clients: bool,
    /// Patterns of the names of clients that are let in; `None`: all that are verified.
    pub allowed_names: Option<Vec<String>>,
}

/// What a TLS handshake needs.
pub struct Tls {
    settings: TlsSettings,
    pub(crate) config: Arc<ServerConfig>,
}

impl Tls {
    /// Reads the files. Blocks.
    pub fn load(settings: TlsSettings) -> Result<Self> {
        let provider = Arc::new(ring::default_provider());
        let (authority, own) = (&settings.authority, &settings.certificate);
        let authorities = certificate::certificates(authority, Role::Authority)?;
        let chain = certificate::certificates(own, Role::Server)?;
        let key = certificate::key(&settings.key, "server key")?;
        if settings.check_own {
            certificate::check(authority, Role::Authority, &authorities)?;
            certificate::check(own, Role::Server, &chain)?;
        }
        let mut roots = RootCertStore::empty();
        for one in authorities {
            roots.add(one).map_err(|cause| broken(authority, Role::Authority, cause))?;
        }
        let roots = Arc::new(roots);
        if settings.check_own {
            check_chain(&settings, &roots, &provider, &chain)?;
        }
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|cause| broken(own, Role::Server, cause))?;
        let builder = match settings.verify_clients {
            true => builder.with_client_cert_verifier(verifier(&settings, roots, provider)?),
            false => builder.with_no_client_auth(),
        };
        let mut config = builder
            .with_single_cert(chain, key)
            .map_err(|cause| broken(&settings.key, "server key", cause))?;
        // libvirt's clients take the first record after the handshake for the daemon's welcome.
        config.send_tls13_tickets = 0;
        Ok(Self { settings, config: Arc::new(config) })
    }

    /// What it was loaded from.
    pub(crate) fn settings(&self) -> &TlsSettings {
        &self.settings
    }

    /// Whether a client with this verified certificate, or none, is let in; the name in it.
    pub(crate) fn admit(
        &self,
        certificate: Option<&CertificateDer<'_>>,
    ) -> std::result::Result<Option<String>, String> {
        let Some(certificate) = certificate else { return Ok(None) };
        let (_, parsed) = X509Certificate::from_der(certificate)
            .map_err(|cause| format!("its certificate cannot be read: {cause}"))?;
        let name = name::text(parsed.subject());
        match &self.settings.allowed_names {
            Some(allowed) if !allowed.iter().any(|pattern| pattern::fits(pattern, &name)) => {
                Err(format!("'{name}' is not in tls_allowed_dn_list"))
            }
            _ => Ok(Some(name)),
        }
    }
}

/// Whether clients that trust the authority will trust our certificate. What it is called in their
/// eyes is theirs to judge.
fn check_chain(
    settings: &TlsSettings,
    roots: &Arc<RootCertStore>,
    provider: &Arc<CryptoProvider>,
    chain: &[CertificateDer<'static>],
) -> Result<()> {
    let refuse = |cause: &dyn std::fmt::Display| {
        let authority = settings.authority.display();
        broken(&settings.certificate, Role::Server, cause)
            .hint(format!("it must be signed by the authority of '{authority}'"))
    };
    let verifier = WebPkiServerVerifier::builder_with_provider(roots.clone(), provider.clone())
        .build()
        .map_err(|cause| refuse(&cause))?;
    let Ok(anyone) = ServerName::try_from("localhost") else { return Ok(()) };
    let (own, rest) = (&chain[0], &chain[1..]);
    match verifier.verify_server_cert(own, rest, &anyone, &[], UnixTime::now()) {
        Err(rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ))
        | Ok(_) => Ok(()),
        Err(cause) => Err(refuse(&cause)),
    }
}

fn verifier(
    settings: &TlsSettings,
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>> {
    let mut builder = WebPkiClientVerifier::builder_with_provider(roots, provider);
    let mut blamed = (&settings.authority, "CA certificate");
    if let Some(file) = &settings.revocations {
        // One authority may have a list and another none.
        builder =
            builder.with_crls(certificate::revocations(file)?).allow_unknown_revocation_status();
        blamed = (file, "certificate revocation list");
    }
    builder.build().map_err(|cause| broken(blamed.0, blamed.1, cause))
}
