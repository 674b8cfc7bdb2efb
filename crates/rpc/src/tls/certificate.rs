// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The files of TLS, and whether what is in them can work. Each error names the file and the cause,
//! because otherwise clients would fail one by one, with words about nothing.

use std::fmt::Display;
use std::io;
use std::path::Path;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use virtus_api::{Error, ErrorCode, ErrorDomain, Result};
use x509_parser::prelude::{FromDer, X509Certificate};

/// What a certificate is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Signs the others.
    Authority,
    /// Is shown to clients.
    Server,
    /// Is shown to daemons.
    Client,
}

impl Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Authority => "CA certificate",
            Self::Server => "server certificate",
            Self::Client => "client certificate",
        })
    }
}

/// The certificates in `file`, at least one.
pub(super) fn certificates(file: &Path, role: Role) -> Result<Vec<CertificateDer<'static>>> {
    let found = CertificateDer::pem_slice_iter(&contents(file, role)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|cause| broken(file, role, reason(&cause)))?;
    if found.is_empty() {
        return Err(broken(file, role, "there is no certificate in it"));
    }
    Ok(found)
}

/// The private key in `file`.
pub(super) fn key(file: &Path, what: &str) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_slice(&contents(file, what)?)
        .map_err(|cause| broken(file, what, reason(&cause)))
}

/// The revocation lists in `file`.
pub(super) fn revocations(file: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>> {
    const ROLE: &str = "certificate revocation list";
    CertificateRevocationListDer::pem_slice_iter(&contents(file, ROLE)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|cause| broken(file, ROLE, reason(&cause)))
}

/// Whether the certificates can serve in their role.
pub(super) fn check(
    file: &Path,
    role: Role,
    certificates: &[CertificateDer<'static>],
) -> Result<()> {
    // Behind the server's own certificate may stand those that lead to the authority.
    let own = if role == Role::Server { &certificates[..1] } else { certificates };
    for certificate in own {
        let (_, parsed) =
            X509Certificate::from_der(certificate).map_err(|cause| broken(file, role, cause))?;
        if let Some(objection) = objection(&parsed, role) {
            return Err(broken(file, role, objection).hint(
                "'certtool --certificate-info' shows what a certificate says; \
                 tls_no_sanity_certificate = 1 starts in spite of this",
            ));
        }
    }
    Ok(())
}

fn objection(certificate: &X509Certificate<'_>, role: Role) -> Option<String> {
    let now = x509_parser::time::ASN1Time::now();
    let validity = certificate.validity();
    if validity.not_before > now {
        return Some(format!("it is not valid before {}", validity.not_before));
    }
    if validity.not_after < now {
        return Some(format!("it expired on {}", validity.not_after));
    }
    // An extension that cannot be read says nothing that could be relied on.
    let usage = certificate.key_usage().ok().flatten().map(|usage| usage.value);
    let purpose = certificate.extended_key_usage().ok().flatten().map(|purpose| purpose.value);
    let why = match role {
        Role::Authority if !certificate.is_ca() => "its basic constraints do not say CA",
        Role::Authority if usage.is_some_and(|usage| !usage.key_cert_sign()) => {
            "its key usage does not permit signing certificates"
        }
        Role::Server if certificate.is_ca() => "its basic constraints say CA",
        Role::Server
            if usage
                .is_some_and(|usage| !usage.digital_signature() && !usage.key_encipherment()) =>
        {
            "its key usage permits neither signing nor encryption of keys"
        }
        Role::Server if purpose.is_some_and(|purpose| !purpose.any && !purpose.server_auth) => {
            "its purpose does not allow use by a TLS server"
        }
        _ => return None,
    };
    Some(why.to_owned())
}

fn contents(file: &Path, what: impl Display) -> Result<Vec<u8>> {
    std::fs::read(file).map_err(|cause: io::Error| {
        Error::system(format!("Cannot read {what} '{}'", file.display()), &cause)
            .in_domain(ErrorDomain::Rpc)
    })
}

/// A file that is there and cannot be used.
pub(super) fn broken(file: &Path, what: impl Display, cause: impl Display) -> Error {
    let text = format!("The {what} '{}' cannot be used: {cause}", file.display());
    Error::new(ErrorCode::ConfigUnsupported, text).in_domain(ErrorDomain::Rpc)
}

fn reason(cause: &pem::Error) -> String {
    match cause {
        pem::Error::NoItemsFound => "what is looked for is not in it".to_owned(),
        other => format!("{other}"),
    }
}
