// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The client's side of TLS: which daemons are trusted, and what is shown to them.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use virtus_api::{Error, ErrorCode, ErrorDomain, Result};

use super::certificate::{self, Role, broken};
use crate::transport::{Transport, welcomed};

/// The files of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFiles {
    /// The authorities that may sign daemons' certificates.
    pub authority: PathBuf,
    /// The client's certificate; none is shown if it is not there.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// What a client needs for TLS.
pub struct TlsClient(Arc<ClientConfig>);

impl TlsClient {
    /// Reads the files. Blocks. Without `verify` any daemon is believed to be the right one.
    ///
    /// # Errors
    /// `VIR_ERR_SYSTEM_ERROR` for a file that cannot be read, `VIR_ERR_RPC` for one that cannot be used.
    pub fn load(files: &ClientFiles, verify: bool) -> Result<Self> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|cause| broken(&files.authority, Role::Authority, cause))?;
        let builder = if verify {
            let mut roots = RootCertStore::empty();
            for one in certificate::certificates(&files.authority, Role::Authority)? {
                let refused = |cause| broken(&files.authority, Role::Authority, cause);
                roots.add(one).map_err(refused)?;
            }
            let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|cause| broken(&files.authority, Role::Authority, cause))?;
            builder.with_webpki_verifier(verifier)
        } else {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone(provider)))
        };
        let config = if files.certificate.exists() {
            let chain = certificate::certificates(&files.certificate, Role::Client)?;
            let key = certificate::key(&files.key, "client key")?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|cause| broken(&files.key, "client key", cause))?
        } else {
            builder.with_no_client_auth()
        };
        Ok(Self(Arc::new(config)))
    }

    /// Shakes hands with the daemon on `host` and waits until it says that we are welcome. Drop the
    /// future to give up.
    ///
    /// # Errors
    /// `VIR_ERR_RPC` if the daemon is not trusted, or does not trust us.
    pub async fn connect(&self, socket: TcpStream, host: &str) -> Result<Transport> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| {
            refused(host, &"it is neither a name nor an address that a certificate could have")
        })?;
        let stream = welcomed(socket, self.0.clone(), name).await;
        stream.map(Transport::from).map_err(|cause| refused(host, &cause))
    }
}

fn refused(host: &str, cause: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorCode::Rpc, format!("TLS with the daemon on '{host}' failed: {cause}"))
        .in_domain(ErrorDomain::Rpc)
        .hint(
            "its certificate must name the host as the URI does, under an authority that is ours; \
             ours must be under one of its own, with a name that it lets in",
        )
}

/// Believes that everyone is who they say, because the user wants that (`no_verify`); what they sign
/// must still fit their certificate.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
