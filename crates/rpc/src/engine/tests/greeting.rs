// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The opening conversation, way by way.

use virtus_api::{
    AnyReply, AuthList, AuthPolkit, AuthSaslInit, AuthSaslStart, AuthSaslStartReply, AuthSaslStep,
    AuthSaslStepReply, AuthType, CallId, ConnectOpen, ConnectSupportsFeature, Error, ErrorCode,
    Request, Result,
};

use crate::engine::{Abilities, Authentication, Greeting, Sasl, Step};
use crate::sasl::Seal;

fn greeting(authentication: Authentication) -> Greeting {
    Greeting::new("test:///default".into(), true, authentication)
}

fn ask(greeting: &mut Greeting, reply: Option<Result<AnyReply>>) -> CallId {
    match greeting.next(reply).unwrap() {
        Step::Ask(request) => request.call(),
        done => panic!("{done:?}"),
    }
}

fn ok<R: Request>(reply: R::Reply) -> Option<Result<AnyReply>> {
    Some(Ok(AnyReply::new::<R>(reply)))
}

/// From the keepalive question, which was just asked, to the end.
fn the_rest(greeting: &mut Greeting) -> Abilities {
    match greeting.next(ok::<ConnectSupportsFeature>(1)).unwrap() {
        Step::Ask(request) => {
            let open = request.get::<ConnectOpen>().unwrap();
            assert_eq!((open.name.as_deref(), open.flags), (Some("test:///default"), 1));
        }
        done => panic!("{done:?}"),
    }
    assert_eq!(ask(greeting, ok::<ConnectOpen>(())), CallId::ConnectSupportsFeature);
    match greeting.next(ok::<ConnectSupportsFeature>(1)).unwrap() {
        Step::Done(abilities) => abilities,
        more => panic!("{more:?}"),
    }
}

#[test]
fn without_authentication() {
    let mut greeting = greeting(Authentication::default());
    assert_eq!(ask(&mut greeting, None), CallId::AuthList);
    let offered = ok::<AuthList>(vec![AuthType::None]);
    assert_eq!(ask(&mut greeting, offered), CallId::ConnectSupportsFeature);
    assert_eq!(the_rest(&mut greeting), Abilities { keepalive: true, callbacks: true });
}

#[test]
fn by_polkit() {
    let mut greeting = greeting(Authentication::default());
    ask(&mut greeting, None);
    assert_eq!(ask(&mut greeting, ok::<AuthList>(vec![AuthType::Polkit])), CallId::AuthPolkit);
    assert_eq!(ask(&mut greeting, ok::<AuthPolkit>(1)), CallId::ConnectSupportsFeature);
    the_rest(&mut greeting);
}

/// Says "one" and "two", and believes a daemon that says "yes".
struct Words;

impl Sasl for Words {
    fn start(&mut self, offered: &str) -> Result<(String, Option<Vec<u8>>)> {
        assert_eq!(offered, "WORDS,OTHER");
        Ok(("WORDS".into(), Some(b"one".to_vec())))
    }

    fn step(&mut self, challenge: Option<&[u8]>) -> Result<Option<Vec<u8>>> {
        assert_eq!(challenge, Some(&b"\xff"[..]));
        Ok(Some(b"two".to_vec()))
    }

    fn finish(&mut self, last: Option<&[u8]>) -> Result<Option<Seal>> {
        let lie = Error::new(ErrorCode::AuthFailed, "the daemon does not know the password");
        if last == Some(b"yes") { Ok(None) } else { Err(lie) }
    }
}

#[test]
fn by_sasl_and_not_with_a_daemon_that_does_not_know_the_password() {
    for (last, believed) in [(b"yes", true), (b"nah", false)] {
        let sasl: Option<Box<dyn Sasl>> = Some(Box::new(Words));
        let mut greeting = greeting(Authentication { only: None, sasl });
        ask(&mut greeting, None);
        let offered = ok::<AuthList>(vec![AuthType::Sasl]);
        assert_eq!(ask(&mut greeting, offered), CallId::AuthSaslInit);
        let Step::Ask(start) = greeting.next(ok::<AuthSaslInit>("WORDS,OTHER".into())).unwrap()
        else {
            panic!()
        };
        let start = start.get::<AuthSaslStart>().unwrap();
        assert_eq!((start.mech.as_str(), start.nil, start.data.len()), ("WORDS", 0, 3));
        let challenge = AuthSaslStartReply { complete: 0, nil: 0, data: vec![-1] };
        assert_eq!(ask(&mut greeting, ok::<AuthSaslStart>(challenge)), CallId::AuthSaslStep);
        let data = last.iter().map(|byte| byte.cast_signed()).collect();
        let end = AuthSaslStepReply { complete: 1, nil: 0, data };
        let next = greeting.next(ok::<AuthSaslStep>(end));
        assert_eq!(next.is_ok(), believed);
        if believed {
            the_rest(&mut greeting);
        }
    }
}

#[test]
fn what_cannot_be_agreed_on_fails() {
    let mut without = greeting(Authentication::default());
    ask(&mut without, None);
    ask(&mut without, ok::<AuthList>(vec![AuthType::Sasl]));
    let error = without.next(ok::<AuthSaslInit>("SCRAM-SHA-256".into())).unwrap_err();
    assert_eq!(error.code(), ErrorCode::AuthFailed);
    let mut picky = greeting(Authentication { only: Some(AuthType::Polkit), sasl: None });
    ask(&mut picky, None);
    picky.next(ok::<AuthList>(vec![AuthType::None])).unwrap_err();
    let mut refused = greeting(Authentication::default());
    ask(&mut refused, None);
    ask(&mut refused, ok::<AuthList>(vec![AuthType::Polkit]));
    let no = Error::new(ErrorCode::AuthCancelled, "no");
    assert_eq!(refused.next(Some(Err(no))).unwrap_err().code(), ErrorCode::AuthCancelled);
}
