// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is wrong with certificates is said when they are loaded.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
};

use super::{Tls, TlsSettings};

/// A folder with the files of one daemon; removed when dropped.
struct Files(PathBuf);

impl Drop for Files {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec!["server.example".to_owned()]).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn authority() -> CertificateParams {
    let mut params = named("CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

impl Files {
    /// The files of a server that is signed by an authority; both as they are given.
    fn new(authority: CertificateParams, server: &CertificateParams) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("virtus-rpc-tls-{}-{count}", std::process::id());
        let files = Self(std::env::temp_dir().join(name));
        fs::create_dir(&files.0).unwrap();
        let issuer = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        files.write("ca.pem", &issuer.pem());
        files.write("cert.pem", &server.signed_by(&key, &issuer).unwrap().pem());
        files.write("key.pem", &key.serialize_pem());
        files
    }

    #[expect(clippy::disallowed_methods, reason = "nothing here must survive a crash")]
    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).unwrap();
    }

    fn settings(&self) -> TlsSettings {
        let file = |name: &str| Path::new(&self.0).join(name);
        TlsSettings {
            key: file("key.pem"),
            certificate: file("cert.pem"),
            authority: file("ca.pem"),
            revocations: None,
            check_own: true,
            verify_clients: true,
            allowed_names: None,
        }
    }

    fn error(&self) -> String {
        Tls::load(self.settings()).err().expect("these files cannot serve").to_string()
    }
}

#[test]
fn what_cannot_work_is_named_with_its_file() {
    let mut expired = named("server");
    expired.not_after = date_time_ymd(2020, 1, 1);
    let mut client = named("server");
    client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let mut idle = authority();
    idle.key_usages = vec![KeyUsagePurpose::CrlSign];
    for (authority, server, file, cause) in [
        (authority(), expired, "cert.pem", "it expired on Jan  1 00:00:00 2020"),
        (authority(), client, "cert.pem", "its purpose does not allow use by a TLS server"),
        (authority(), authority(), "cert.pem", "its basic constraints say CA"),
        (named("CA"), named("server"), "ca.pem", "its basic constraints do not say CA"),
        (idle, named("server"), "ca.pem", "its key usage does not permit signing certificates"),
    ] {
        let error = Files::new(authority, &server).error();
        assert!(error.contains(&format!("{file}' cannot be used: {cause}")), "{error}");
    }
}

#[test]
fn a_certificate_of_another_authority_is_refused_unless_nobody_wants_to_know() {
    let (files, other) =
        (Files::new(authority(), &named("server")), Files::new(authority(), &named("server")));
    assert!(Tls::load(files.settings()).is_ok());
    let mixed = TlsSettings { authority: other.settings().authority, ..files.settings() };
    let error = Tls::load(mixed.clone()).err().unwrap().to_string();
    assert!(error.contains("cert.pem' cannot be used: ") && error.contains("\nhint: "), "{error}");
    assert!(Tls::load(TlsSettings { check_own: false, ..mixed }).is_ok());
    let other_key = TlsSettings { key: other.settings().key, ..files.settings() };
    let error = Tls::load(other_key).err().unwrap().to_string();
    assert!(error.contains("server key '") && error.contains("key.pem' cannot be used"), "{error}");
}

#[test]
fn files_without_what_is_looked_for_are_named() {
    for (file, text, cause) in [
        ("ca.pem", "", "there is no certificate in it"),
        ("key.pem", "nothing", "what is looked for is not in it"),
        ("cert.pem", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", ""),
    ] {
        let files = Files::new(authority(), &named("server"));
        files.write(file, text);
        let error = files.error();
        assert!(error.contains(&format!("{file}' cannot be used: {cause}")), "{error}");
    }
    let files = Files::new(authority(), &named("server"));
    let missing = TlsSettings { revocations: Some(files.0.join("list.pem")), ..files.settings() };
    let error = Tls::load(missing).err().unwrap().to_string();
    assert!(error.contains("Cannot read certificate revocation list '"), "{error}");
}
