// SPDX-License-Identifier: Apache-2.0 OR MIT
//! From a method's parameters to the fields of the request, and from the reply to what it answers.

use super::kin;
use crate::codegen::emit_api::reply_type;
use crate::codegen::names::{field, rust};
use crate::codegen::table::{Call, Field, Kind};

/// The parameter with which a caller says that it wants more than a count.
const WANTED: &str = "need_results";

/// The parameter with which a caller says how many typed parameters it has room for.
const ROOM: &str = "nparams";

/// `VIR_TYPED_PARAM_STRING_OKAY`: parameters may be strings.
const STRINGS: u32 = 4;

/// What the caller need not say: flags are added to the [`Ask`], lists are wanted whole.
pub(super) fn hidden(call: &Call, argument: &Field) -> Option<String> {
    match (argument.name.as_str(), &argument.kind) {
        ("flags", Kind::Plain("uint")) => {
            let strings = call.args.iter().any(|other| other.name == ROOM);
            Some(if strings { STRINGS } else { 0 }.to_string())
        }
        (WANTED, _) => Some("1".to_owned()),
        (ROOM, Kind::Plain("int")) => {
            let limit = call.reply.iter().flatten().find_map(|field| match &field.kind {
                Kind::Array(_, limit) => Some(limit),
                _ => None,
            })?;
            Some(format!("limits::{limit} as i32"))
        }
        _ => None,
    }
}

/// The type of a method's parameter, and how the request's field is made from it.
pub(super) fn parameter(argument: &Field, name: &str) -> (String, String) {
    let same = name.to_owned();
    match &argument.kind {
        Kind::String => ("&str".to_owned(), format!("{name}.to_owned()")),
        Kind::Optional(of) => match (&**of, kin(of)) {
            (Kind::String, _) => ("Option<&str>".to_owned(), format!("{name}.map(str::to_owned)")),
            (_, Some(object)) => (
                format!("Option<&{}>", object.name),
                format!("{name}.map(|object| object.reference().clone())"),
            ),
            _ => (rust(&argument.kind), same),
        },
        Kind::Array(of, _) => match kin(of) {
            Some(object) => (
                format!("&[{}]", object.name),
                format!("{name}.iter().map(|object| object.reference().clone()).collect()"),
            ),
            None => (rust(&argument.kind), same),
        },
        kind => match kin(kind) {
            Some(object) => (format!("&{}", object.name), format!("{name}.reference().clone()")),
            None => (rust(kind), same),
        },
    }
}

/// What a method answers, and how that is made from the reply.
pub(super) fn answer(call: &Call) -> (String, String) {
    let reply = call.reply.as_deref().unwrap_or_default();
    // A list and how many are in it: the list says both.
    let listed = match reply {
        [list, count]
            if matches!(list.kind, Kind::Array(..))
                && matches!(count.name.as_str(), "ret" | ROOM | "num") =>
        {
            Some(list)
        }
        _ => None,
    };
    let (kind, value) = match (reply, listed) {
        (_, Some(list)) => made(&list.kind, &format!("answer.reply.{}", field(&list.name))),
        ([only], None) => made(&only.kind, "answer.reply"),
        _ => (reply_type(call), "answer.reply".to_owned()),
    };
    let back = call.fds.as_ref().is_some_and(|(_, back)| back != "0");
    match (call.stream.is_some(), back, kind.as_str()) {
        (true, _, "()") => ("Stream".to_owned(), "Answer::into_stream".to_owned()),
        (true, _, _) => (
            format!("({kind}, Stream)"),
            format!("|mut answer| {{ let stream = answer.take_stream(); ({value}, stream) }}"),
        ),
        (_, true, "()") => ("Vec<OwnedFd>".to_owned(), "|answer| answer.fds".to_owned()),
        (_, true, _) => {
            (format!("({kind}, Vec<OwnedFd>)"), format!("|answer| ({value}, answer.fds)"))
        }
        _ => (kind, format!("|answer| {value}")),
    }
}

/// A reply's part as applications see it: references become objects.
fn made(kind: &Kind, value: &str) -> (String, String) {
    match kind {
        Kind::Array(of, _) => match kin(of) {
            Some(object) => (
                format!("Vec<{}>", object.name),
                format!(
                    "{value}.into_iter().map(|one| {}::new(&answer.connection, one)).collect()",
                    object.name
                ),
            ),
            None => (rust(kind), value.to_owned()),
        },
        Kind::Optional(of) => match kin(of) {
            Some(object) => (
                format!("Option<{}>", object.name),
                format!("{value}.map(|one| {}::new(&answer.connection, one))", object.name),
            ),
            None => (rust(kind), value.to_owned()),
        },
        _ => match kin(kind) {
            Some(object) => (
                object.name.to_owned(),
                format!("{}::new(&answer.connection, {value})", object.name),
            ),
            None => (rust(kind), value.to_owned()),
        },
    }
}
