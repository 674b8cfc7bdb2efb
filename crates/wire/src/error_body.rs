// SPDX-License-Identifier: Apache-2.0 OR MIT
//! An error as the body of a failed reply, and back.
//!
//! `str1` is the untranslated template, `str2` the detail that goes into it, `message` the text that
//! people see (with the hint). Clients switch on `code` and `domain`.

use virtus_api::{Error, ErrorCode, ErrorDomain, NetError};

use crate::xdr::{DecodeError, Decoder, EncodeError, Encoder, STRING_MAX, Xdr};

/// `VIR_ERR_ERROR`: neither nothing nor a warning.
const LEVEL_ERROR: i32 = 2;
const HINT: &str = "\nhint: ";

/// Appends the body of a failed reply.
pub fn encode(error: &Error, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let mut encoder = Encoder::new(out);
    to_body(error).put(&mut encoder);
    encoder.finish()
}

/// Reads the body of a failed reply.
pub fn decode(body: &[u8]) -> Result<Error, DecodeError> {
    decode_body(body).map(from_body)
}

/// Reads the body of a failed reply as the struct that travels, with all that the peer said.
pub fn decode_body(body: &[u8]) -> Result<NetError, DecodeError> {
    NetError::take(&mut Decoder::new(body))
}

/// The struct that travels. Texts are cut where the protocol would refuse them.
#[must_use]
pub fn to_body(error: &Error) -> NetError {
    let (lead, text) = (error.code().lead(), error.text());
    let (template, detail) = match (lead.is_empty(), text.is_empty()) {
        (false, false) => (format!("{lead}: %1$s"), Some(text)),
        (false, true) => (lead.to_owned(), None),
        (true, _) => ("%s".to_owned(), Some(text)),
    };
    NetError {
        code: number(error.code().number()),
        domain: number(error.domain().number()),
        message: Some(sendable(&error.to_string())),
        level: LEVEL_ERROR,
        dom: None,
        str1: Some(template),
        str2: detail.map(sendable),
        str3: None,
        int1: error.os_error().unwrap_or(-1),
        int2: -1,
        net: None,
    }
}

fn number(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// A text without NUL characters and within the limit of a string.
fn sendable(text: &str) -> String {
    let mut text = text.replace('\0', " ");
    if text.len() > STRING_MAX {
        let end = (0..=STRING_MAX).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or(0));
    }
    text
}

/// What the peer meant. Codes that we do not know become internal errors with the peer's text.
#[must_use]
pub fn from_body(body: NetError) -> Error {
    let known = u32::try_from(body.code).ok().and_then(ErrorCode::from_number);
    let code = known.unwrap_or(ErrorCode::InternalError);
    let domain = u32::try_from(body.domain).ok().and_then(ErrorDomain::from_number);
    let message = body.message.unwrap_or_default();
    let (message, hint) = match message.split_once(HINT) {
        Some((message, hint)) => (message.to_owned(), Some(hint.to_owned())),
        None => (message, None),
    };
    let error = match without_lead(&message, code) {
        Some(text) => Error::new(code, text.to_owned()),
        None if code == ErrorCode::InvalidArg => Error::bad_argument(message),
        None => Error::new(code, body.str2.filter(|_| known.is_some()).unwrap_or(message)),
    };
    let mut error = error.in_domain(domain.unwrap_or(ErrorDomain::None));
    if code == ErrorCode::SystemError && body.int1 > 0 {
        error = error.with_os_error(body.int1);
    }
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// The message without what its code says before it; `None` if the peer leads in with other words.
fn without_lead(message: &str, code: ErrorCode) -> Option<&str> {
    match code.lead() {
        "" => Some(message),
        lead => {
            let rest = message.strip_prefix(lead)?;
            if rest.is_empty() { Some(rest) } else { rest.strip_prefix(": ") }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(error: &Error) -> Error {
        let mut body = Vec::new();
        encode(error, &mut body).unwrap();
        decode(&body).unwrap()
    }

    #[test]
    fn errors_survive_the_wire() {
        let io = std::io::Error::from_raw_os_error(13);
        for error in [
            Error::bad_argument("unsupported flags (0x8) in function virDomainCreateXML"),
            Error::new(ErrorCode::NoDomain, "no domain with matching name 'x'")
                .in_domain(ErrorDomain::Qemu)
                .hint("try 'virsh list --all'"),
            Error::system("cannot open '/x'", &io).in_domain(ErrorDomain::Storage),
            Error::new(ErrorCode::NoMemory, ""),
            Error::new(ErrorCode::Rpc, "authentication required").in_domain(ErrorDomain::Rpc),
        ] {
            let back = again(&error);
            assert_eq!(back.to_string(), error.to_string());
            assert_eq!((back.code(), back.domain()), (error.code(), error.domain()));
            assert_eq!(back.os_error(), error.os_error());
            assert_eq!(back.hint_text(), error.hint_text());
        }
    }

    #[test]
    fn templates_are_libvirts() {
        let body = to_body(&Error::new(ErrorCode::InternalError, "boom"));
        assert_eq!(body.str1.as_deref(), Some("internal error: %1$s"));
        assert_eq!(body.str2.as_deref(), Some("boom"));
        assert_eq!((body.level, body.int1, body.int2), (2, -1, -1));
    }

    #[test]
    fn a_text_that_cannot_travel_is_mended() {
        let back =
            again(&Error::new(ErrorCode::InvalidArg, format!("a\0b{}", "ä".repeat(STRING_MAX))));
        assert!(back.text().starts_with("a b"));
        assert!(back.text().len() <= STRING_MAX);
    }

    #[test]
    fn codes_from_the_future_keep_their_text() {
        let mut body = to_body(&Error::new(ErrorCode::InternalError, "x"));
        body.code = 4711;
        body.message = Some("new kind: x".into());
        assert_eq!(from_body(body).text(), "new kind: x");
    }
}
