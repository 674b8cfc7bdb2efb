// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The exchange of RFC 7677, and what must not pass.

use std::num::NonZeroU32;

use super::server::first;
use super::{Failure, ScramClient, ScramServer, Verifier, decode};

const CLIENT_NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
const WHOLE_NONCE: &str = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
const PROOF: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
const LAST: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

/// The verifier of the RFC's user.
fn pencil() -> Verifier {
    let salt = decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
    Verifier::with("pencil", salt, NonZeroU32::new(4096).unwrap())
}

/// A server that has been told `message` and has challenged.
fn challenged(message: &str) -> (ScramServer, String) {
    let mut server = ScramServer::new();
    let first = first(message.as_bytes()).unwrap();
    let challenge = server.challenge_with(&first, pencil(), WHOLE_NONCE.to_owned()).unwrap();
    (server, challenge)
}

#[test]
fn both_sides_say_what_the_rfc_says() {
    let (mut client, message) = ScramClient::with("user", "pencil", CLIENT_NONCE.to_owned());
    assert_eq!(message, format!("n,,n=user,r={CLIENT_NONCE}").into_bytes());
    let (mut server, challenge) = challenged(std::str::from_utf8(&message).unwrap());
    assert_eq!(challenge, format!("r={WHOLE_NONCE},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"));
    assert_eq!(client.answer(challenge.as_bytes()).unwrap(), PROOF.as_bytes());
    assert_eq!(server.check(PROOF.as_bytes()).unwrap(), ("user".to_owned(), LAST.to_owned()));
    client.check(LAST.as_bytes()).unwrap();
    assert_eq!(server.check(PROOF.as_bytes()), Err(Failure::Over));
    assert_eq!(client.check(LAST.as_bytes()), Err(Failure::Over));
}

#[test]
fn a_wrong_password_and_a_user_who_does_not_exist_fail_alike() {
    let nobody = Verifier::of_nobody("a").unwrap();
    assert_eq!(nobody.salt, Verifier::of_nobody("a").unwrap().salt);
    assert_ne!(nobody.salt, Verifier::of_nobody("b").unwrap().salt);
    for verifier in [nobody, Verifier::new("right").unwrap()] {
        let (mut client, message) = ScramClient::new("a,=b", "wrong").unwrap();
        let mut server = ScramServer::new();
        let first = first(&message).unwrap();
        assert_eq!(first.user, "a,=b");
        let challenge = server.challenge(&first, verifier).unwrap();
        let answer = client.answer(challenge.as_bytes()).unwrap();
        assert_eq!(server.check(&answer), Err(Failure::WrongProof));
        assert_eq!(server.check(&answer), Err(Failure::Over));
    }
}

#[test]
fn a_server_that_does_not_know_the_user_is_found_out() {
    let client = || ScramClient::with("user", "pencil", CLIENT_NONCE.to_owned());
    let (mut deceived, message) = client();
    let (_, challenge) = challenged(std::str::from_utf8(&message).unwrap());
    deceived.answer(challenge.as_bytes()).unwrap();
    assert_eq!(deceived.check(b"v=AAAA"), Err(Failure::WrongProof));
    assert_eq!(client().0.answer(b"r=other,s=AAAA,i=1"), Err(Failure::Malformed));
    let expensive = format!("r={WHOLE_NONCE},s=AAAA,i=4000000000");
    assert_eq!(client().0.answer(expensive.as_bytes()), Err(Failure::Unsupported));
}

#[test]
fn what_is_not_scram_is_refused() {
    let long = format!("n,,n={},r=x", "a".repeat(300));
    for (message, failure) in [
        ("", Failure::Malformed),
        ("n", Failure::Malformed),
        ("n,,", Failure::Malformed),
        ("n,,n=,r=x", Failure::Malformed),
        ("n,,n=a", Failure::Malformed),
        ("n,,n=a,r=", Failure::Malformed),
        ("n,,n=a=,r=x", Failure::Malformed),
        ("n,,n=a,r=x y", Failure::Malformed),
        ("x,,n=a,r=x", Failure::Malformed),
        (&long, Failure::Malformed),
        ("p=tls-unique,,n=a,r=x", Failure::Unsupported),
        ("n,a=b,n=a,r=x", Failure::Unsupported),
        ("n,,m=x,n=a,r=x", Failure::Unsupported),
    ] {
        assert_eq!(first(message.as_bytes()).err(), Some(failure), "{message}");
    }
    assert!(first(b"\xff,,n=a,r=x").is_err());
    assert!(first(b"y,a=a,n=a,r=x,z=ignored").is_ok());
    for message in [
        "",
        "p=AAAA",
        &PROOF.replace("biws", "eSws"),
        &PROOF.replace("k0,", "k1,"),
        &PROOF.replace(",p=d", ",p="),
    ] {
        let (mut server, _) = challenged("n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        assert_eq!(server.check(message.as_bytes()), Err(Failure::Malformed), "{message}");
    }
}

#[test]
fn verifiers_survive_as_text() {
    let verifier = Verifier::new("secret").unwrap();
    assert!(Verifier::parse(&verifier.to_string()) == Some(verifier));
    for text in ["", "SCRAM-SHA-256$", "SCRAM-SHA-256$0:AAAA$AAAA:AAAA", "secret"] {
        assert!(Verifier::parse(text).is_none(), "{text}");
    }
}
