// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Certificates for tests of TLS.

use std::fs;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer,
    DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair,
    KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};

use crate::Outcome;

/// Somebody who signs certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key, as PEM.
pub struct Signed {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    pub fn new(name: &str) -> Outcome<Self> {
        let mut params = subject(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(Self(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?))
    }

    /// Its own certificate, as PEM.
    pub fn certificate(&self) -> String {
        self.0.pem()
    }

    /// A certificate for a server that clients know by this address.
    pub fn server(&self, address: &str) -> Outcome<Signed> {
        let mut params = subject(vec![address.to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, address);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(params)
    }

    /// A certificate for the client `O=Virtus,CN=name`.
    pub fn client(&self, name: &str, serial: u64) -> Outcome<Signed> {
        let mut params = subject(Vec::new())?;
        params.distinguished_name.push(DnType::OrganizationName, "Virtus");
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.serial_number = Some(SerialNumber::from(serial));
        self.sign(params)
    }

    /// The list that revokes the certificate with this number, as PEM.
    pub fn revoke(&self, serial: u64) -> Outcome<String> {
        let long_ago = date_time_ymd(2020, 1, 1);
        let list = CertificateRevocationListParams {
            this_update: long_ago,
            next_update: date_time_ymd(2999, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![RevokedCertParams {
                serial_number: SerialNumber::from(serial),
                revocation_time: long_ago,
                reason_code: None,
                invalidity_date: None,
            }],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        Ok(list.signed_by(&self.0)?.pem()?)
    }

    fn sign(&self, params: CertificateParams) -> Outcome<Signed> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.0)?.pem();
        Ok(Signed { certificate, key: key.serialize_pem() })
    }
}

/// Parameters with no name but these alternative ones.
fn subject(alternatives: Vec<String>) -> Outcome<CertificateParams> {
    let mut params = CertificateParams::new(alternatives)?;
    params.distinguished_name = DistinguishedName::new();
    Ok(params)
}

/// Fills `folder` for a client that trusts `authority` and shows `own`, as `pkipath` wants it.
pub fn write_client(folder: &Path, authority: &Authority, own: Option<&Signed>) -> Outcome {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("cacert.pem"), authority.certificate())?;
    if let Some(own) = own {
        fs::write(folder.join("clientcert.pem"), &own.certificate)?;
        fs::write(folder.join("clientkey.pem"), &own.key)?;
    }
    Ok(())
}
