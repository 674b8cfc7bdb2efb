// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Every way to a daemon: TCP, TLS, programs, ssh, and names with passwords.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::net::TcpListener;
use virtus_client::{Connection, Credentials, Error, ErrorCode, Result};
use virtus_core::Driver;
use virtus_rpc::sasl::scram::Verifier;
use virtus_rpc::sasl::{SaslSettings, Users};
use virtus_rpc::{Access, Authentication, Limits, Listener, Server, Serving, Tls, TlsSettings};

use crate::place::Handle;

/// A server on the loopback interface, and a folder for files of the test.
struct Far {
    server: Arc<Server>,
    folder: PathBuf,
}

impl Drop for Far {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.folder);
    }
}

impl Far {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("virtus-ways-{}-{count}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder).unwrap();
        let drivers: Vec<Arc<dyn Driver>> = vec![Arc::new(Handle::default())];
        let server = Server::new("place", Limits::default(), Serving::Drivers(drivers));
        Self { server, folder }
    }

    async fn listen(&self, kind: fn(TcpListener) -> Listener, access: Access) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        self.server.listen(kind(listener), access);
        address
    }

    /// A file of this name; answers its path.
    #[expect(clippy::disallowed_methods, reason = "nothing here must survive a crash")]
    fn write(&self, name: &str, text: &str) -> String {
        let path = self.folder.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o700)).unwrap();
        path.display().to_string()
    }

    /// A program whose standard input and output lead to `address`; asked for its option `-q`, as
    /// `nc` is, it knows none.
    fn tunnel(&self, address: SocketAddr) -> String {
        let text = format!(
            "#!/bin/bash\n[ \"$*\" = -q ] && exit 1\nexec 3<>/dev/tcp/127.0.0.1/{}\ncat <&3 & cat >&3\n",
            address.port()
        );
        self.write("tunnel", &text)
    }
}

async fn answers(uri: &str) -> Result<()> {
    let connection = Connection::open(uri).await?;
    assert_eq!(connection.domain_by_name("vm").await?.name(), "vm");
    assert_eq!(connection.uri().await?, "place:///");
    Ok(())
}

#[tokio::test]
async fn by_tcp() {
    let far = Far::new();
    let address = far.listen(Listener::Tcp, Access::default()).await;
    answers(&format!("place+tcp://{address}/")).await.unwrap();
    let nobody = answers("place+tcp://127.0.0.1:1/").await.unwrap_err();
    assert_eq!(nobody.code(), ErrorCode::SystemError);
    assert!(nobody.text().contains("127.0.0.1:1"), "{nobody}");
}

#[tokio::test]
async fn through_a_program() {
    let far = Far::new();
    let address = far.listen(Listener::Tcp, Access::default()).await;
    let tunnel = far.tunnel(address);
    answers(&format!("place+ext:///?command={tunnel}")).await.unwrap();
    let error = answers("place+ext:///?command=/nonexistent/tunnel").await.unwrap_err();
    assert!(error.text().contains("/nonexistent/tunnel"), "{error}");
    let error = answers("place+ext:///?command=/bin/true").await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Rpc, "it ended: {error}");
}

/// The far side's shell runs here; what it is told is the same.
#[tokio::test]
async fn through_ssh() {
    let far = Far::new();
    let address = far.listen(Listener::Tcp, Access::default()).await;
    let netcat = far.tunnel(address);
    let ssh = far.write("ssh", "#!/bin/sh\nfor last; do :; done\nexec sh -c \"$last\"\n");
    for transport in ["ssh", "libssh2", "libssh"] {
        let proxy = format!("proxy=netcat&netcat={netcat}");
        answers(&format!("place+{transport}://me@far/?command={ssh}&{proxy}")).await.unwrap();
    }
    let helper = format!("place+ssh://far/?command={ssh}&proxy=native");
    let error = answers(&helper).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Rpc, "there is no helper: {error}");
}

#[tokio::test]
async fn by_tls_with_certificates_that_fit() {
    let far = Far::new();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    far.write("cacert.pem", &authority.pem());
    for (who, host) in [("server", "localhost"), ("client", "me")] {
        let key = KeyPair::generate().unwrap();
        let signed = CertificateParams::new(vec![host.to_owned()]).unwrap();
        far.write(&format!("{who}key.pem"), &key.serialize_pem());
        far.write(&format!("{who}cert.pem"), &signed.signed_by(&key, &authority).unwrap().pem());
    }
    let file = |name: &str| far.folder.join(name);
    let settings = TlsSettings {
        key: file("serverkey.pem"),
        certificate: file("servercert.pem"),
        authority: file("cacert.pem"),
        revocations: None,
        check_own: true,
        verify_clients: true,
        allowed_names: None,
    };
    far.server.set_tls(Tls::load(settings).unwrap());
    let port = far.listen(Listener::Tls, Access::default()).await.port();
    let pki = far.folder.display();
    answers(&format!("place+tls://localhost:{port}/?pkipath={pki}")).await.unwrap();
    answers(&format!("place://localhost:{port}/?pkipath={pki}")).await.unwrap();
    let other = format!("place+tls://127.0.0.1:{port}/?pkipath={pki}");
    let error = answers(&other).await.unwrap_err();
    assert!(error.text().contains("'127.0.0.1'"), "its certificate names another host: {error}");
    answers(&format!("{other}&no_verify=1")).await.unwrap();
    std::fs::remove_file(file("clientcert.pem")).unwrap();
    let error = answers(&format!("place+tls://localhost:{port}/?pkipath={pki}")).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Rpc, "a client without certificate is not let in: {error}");
    std::fs::remove_file(file("cacert.pem")).unwrap();
    let error = answers(&format!("place+tls://localhost:{port}/?pkipath={pki}")).await.unwrap_err();
    assert!(error.text().contains("cacert.pem"), "{error}");
}

fn fred(password: &str) -> Credentials {
    Credentials { user: "fred".into(), password: password.into() }
}

#[tokio::test]
async fn with_a_name_and_a_password() {
    let far = Far::new();
    let file = far.folder.join("users");
    Users::load(&file).unwrap().set("fred", Some(&Verifier::new("secret").unwrap())).unwrap();
    far.server.set_sasl(SaslSettings {
        users: file,
        allowed_names: None,
        gssapi: None,
        // The transport does not encrypt, and no more does the mechanism.
        min_strength: 0,
    });
    let access = Access { authentication: Authentication::Sasl, ..Access::default() };
    let uri = format!("place+tcp://{}/", far.listen(Listener::Tcp, access).await);

    let known = Connection::options().credentials(|host| {
        assert_eq!(host, "127.0.0.1");
        Some(fred("secret"))
    });
    assert_eq!(known.open(&uri).await.unwrap().uri().await.unwrap(), "place:///");
    let wrong = Connection::options().credentials(|_| Some(fred("guessed")));
    let error: Error = wrong.open(&uri).await.err().unwrap();
    assert_eq!(error.code(), ErrorCode::AuthFailed);

    let text = "[credentials-x]\nauthname=fred\npassword=secret\n[auth-libvirt-127.0.0.1]\ncredentials=x\n";
    let file = far.write("auth.conf", text);
    answers(&format!("{uri}?authfile={file}")).await.unwrap();
    let empty = far.write("empty.conf", "");
    let error = answers(&format!("{uri}?authfile={empty}")).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::AuthFailed);
    let error = answers(&format!("{uri}?authfile={file}&auth=polkit")).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::AuthFailed);
}
