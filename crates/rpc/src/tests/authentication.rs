// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Clients that have to say who they are.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::UnixStream;
use virtus_api::{
    AuthList, AuthSaslInit, AuthSaslStart, AuthSaslStep, AuthType, ConnectGetUri,
    ConnectSupportsFeature, Error, ErrorCode,
};

use super::peer::{House, Peer, open};
use crate::sasl::scram::{ScramClient, Verifier};
use crate::sasl::{SaslSettings, Users};
use crate::{Access, Authentication, Limits};

/// A server that knows the users `fred` and `wilma`, both with the password "secret", and lets in `f*`.
struct Guarded {
    house: House,
    folder: PathBuf,
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.folder);
    }
}

impl Guarded {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("virtus-rpc-sasl-{}-{count}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let file = folder.join("sasl.users");
        let mut users = Users::load(&file).unwrap();
        for user in ["fred", "wilma"] {
            assert!(!users.set(user, Some(&Verifier::new("secret").unwrap())).unwrap());
        }
        let house = House::new(Limits::default());
        let allowed_names = Some(vec!["f*".to_owned()]);
        house.server.set_sasl(SaslSettings {
            users: file,
            allowed_names,
            gssapi: None,
            min_strength: 112,
        });
        Self { house, folder }
    }

    async fn stranger(&self) -> Peer {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let access = Access { authentication: Authentication::Sasl, ..Access::default() };
        self.house.server.adopt(theirs, access).await.unwrap();
        Peer::on(ours)
    }
}

fn signed(bytes: &[u8]) -> Vec<i8> {
    bytes.iter().map(|byte| byte.cast_signed()).collect()
}

fn unsigned(bytes: &[i8]) -> Vec<u8> {
    bytes.iter().map(|byte| byte.cast_unsigned()).collect()
}

fn start(mech: &str, data: &[u8]) -> AuthSaslStart {
    AuthSaslStart { mech: mech.to_owned(), nil: 0, data: signed(data) }
}

/// Authenticates as libvirt's client does.
async fn log_in(peer: &mut Peer, user: &str, password: &str) -> Result<(), Error> {
    assert_eq!(peer.ask(&AuthList).await?, [AuthType::Sasl]);
    assert_eq!(peer.ask(&AuthSaslInit).await?, "SCRAM-SHA-256");
    let (mut client, first) = ScramClient::new(user, password).unwrap();
    let challenge = peer.ask(&start("SCRAM-SHA-256", &first)).await?;
    assert_eq!((challenge.complete, challenge.nil), (0, 0));
    let answer = client.answer(&unsigned(&challenge.data)).unwrap();
    let last = peer.ask(&AuthSaslStep { nil: 0, data: signed(&answer) }).await?;
    assert_eq!((last.complete, last.nil), (1, 0));
    client.check(&unsigned(&last.data)).unwrap();
    Ok(())
}

#[tokio::test]
async fn who_proves_a_password_is_let_in() {
    let guarded = Guarded::new();
    let mut peer = guarded.stranger().await;
    log_in(&mut peer, "fred", "secret").await.unwrap();
    assert_eq!(peer.ask(&AuthList).await.unwrap(), [AuthType::None]);
    peer.ask(&open("dummy:///x", 0)).await.unwrap();
    assert_eq!(peer.ask(&ConnectGetUri {}).await.unwrap(), "dummy:///x");
    let known = &guarded.house.server.client_infos()[0];
    assert_eq!(known.identity.sasl_user.as_deref(), Some("fred"));
}

#[tokio::test]
async fn who_does_not_is_refused_without_a_reason_and_put_out() {
    let guarded = Guarded::new();
    for (user, password) in [("fred", "wrong"), ("nobody", "secret"), ("wilma", "secret")] {
        let mut peer = guarded.stranger().await;
        let refused = log_in(&mut peer, user, password).await.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::AuthFailed, "{user}");
        assert!(peer.next().await.is_none(), "{user} may try again on a new connection only");
    }
}

#[tokio::test]
async fn a_stranger_may_do_nothing_else() {
    let guarded = Guarded::new();
    let mut peer = guarded.stranger().await;
    for refused in [
        peer.ask(&open("dummy:///x", 0)).await.unwrap_err(),
        peer.ask(&ConnectSupportsFeature { feature: 10 }).await.unwrap_err(),
        peer.ask(&ConnectGetUri {}).await.unwrap_err(),
    ] {
        assert_eq!(refused.code(), ErrorCode::Rpc);
        assert!(refused.to_string().starts_with("authentication required"), "{refused}");
    }
    log_in(&mut peer, "fred", "secret").await.unwrap();
}

#[tokio::test]
async fn the_order_of_the_protocol_is_kept() {
    let guarded = Guarded::new();
    let (_, first) = ScramClient::new("fred", "secret").unwrap();
    let step = AuthSaslStep { nil: 0, data: signed(&first) };
    let mut peer = guarded.stranger().await;
    assert!(peer.ask(&start("SCRAM-SHA-256", &first)).await.is_err(), "not begun");
    let mut peer = guarded.stranger().await;
    assert!(peer.ask(&step).await.is_err(), "not begun");
    let mut peer = guarded.stranger().await;
    peer.ask(&AuthSaslInit).await.unwrap();
    assert!(peer.ask(&AuthSaslInit).await.is_err(), "begun twice");
    let mut peer = guarded.stranger().await;
    peer.ask(&AuthSaslInit).await.unwrap();
    assert!(peer.ask(&start("PLAIN", b"\0fred\0secret")).await.is_err(), "not offered");
    let mut peer = guarded.stranger().await;
    peer.ask(&AuthSaslInit).await.unwrap();
    assert!(peer.ask(&start("SCRAM-SHA-256", b"\xff")).await.is_err(), "nonsense");
    // Who waits to be asked is asked.
    let mut peer = guarded.stranger().await;
    peer.ask(&AuthSaslInit).await.unwrap();
    let silent = AuthSaslStart { nil: 1, data: Vec::new(), ..start("SCRAM-SHA-256", b"") };
    assert_eq!(peer.ask(&silent).await.unwrap().complete, 0);
    assert_eq!(peer.ask(&step).await.unwrap().complete, 0);
    // Where nothing is asked for there is nothing to prove.
    let mut peer = guarded.house.silent(false).await;
    assert!(peer.ask(&AuthSaslInit).await.is_err());
}

#[tokio::test]
async fn a_file_that_others_may_read_lets_nobody_in() {
    let guarded = Guarded::new();
    let file = guarded.folder.join("sasl.users");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o640);
    std::fs::set_permissions(&file, open).unwrap();
    let mut peer = guarded.stranger().await;
    assert!(log_in(&mut peer, "fred", "secret").await.is_err());
    let error = Users::load(&file).err().unwrap().to_string();
    assert!(error.contains("is open to others") && error.contains("\nhint: chmod"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn somebody_who_types_a_password_has_two_minutes() {
    let guarded = Guarded::new();
    let mut silent = guarded.stranger().await;
    let mut typing = guarded.stranger().await;
    typing.ask(&AuthSaslInit).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(silent.next().await.is_none());
    let (_, first) = ScramClient::new("fred", "secret").unwrap();
    typing.ask(&start("SCRAM-SHA-256", &first)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(70)).await;
    assert!(typing.next().await.is_none());
}
