// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The refusals of the protocol itself, in the words and numbers that clients match on.

use virtus_api::{Error, ErrorCode, ErrorDomain};

use crate::server::Destination;

fn rpc(code: ErrorCode, text: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(code, text).in_domain(ErrorDomain::Rpc)
}

/// A program or version that is not served here. libvirt prints the number with a sign.
pub(crate) fn unknown_program(program: u32, version: u32) -> Error {
    let program = i32::from_ne_bytes(program.to_ne_bytes());
    rpc(ErrorCode::Rpc, format!("Cannot find program {program} version {version}"))
}

/// Clients take this beginning for "no support".
pub(crate) fn unknown_procedure(procedure: i32) -> Error {
    rpc(ErrorCode::Rpc, format!("{UNKNOWN_PROCEDURE}: {procedure}"))
}

pub(crate) fn undecodable(cause: impl std::fmt::Display) -> Error {
    rpc(ErrorCode::Rpc, format!("Unable to decode message payload: {cause}"))
}

const UNKNOWN_PROCEDURE: &str = "unknown procedure";

/// Whether a daemon says so, ours or a stock one.
pub(crate) fn is_unknown_procedure(error: &Error) -> bool {
    error.code() == ErrorCode::Rpc
        && matches!(error.domain(), ErrorDomain::Rpc | ErrorDomain::Remote)
        && error.text().starts_with(UNKNOWN_PROCEDURE)
}

/// The client must first say who it is.
pub(crate) fn authentication_required() -> Error {
    rpc(ErrorCode::Rpc, "authentication required")
}

/// The client did not prove who it is, or in a way that was not offered to it.
pub(crate) fn authentication_failed() -> Error {
    rpc(ErrorCode::AuthFailed, "authentication failed")
}

/// Only a broken client calls before it has opened: libvirt's code and text.
pub(crate) fn not_open() -> Error {
    rpc(ErrorCode::InternalError, "hypervisor connection not open")
}

pub(crate) fn already_open() -> Error {
    rpc(ErrorCode::InternalError, "connection already open")
}

pub(crate) fn null_name() -> Error {
    rpc(ErrorCode::InternalError, "connection not open")
}

pub(crate) fn no_driver(uri: &str) -> Error {
    let shown = if uri.is_empty() { "<null>" } else { uri };
    Error::new(ErrorCode::NoConnect, shown.to_owned())
}

pub(crate) fn panicked(call: &str) -> Error {
    rpc(ErrorCode::InternalError, format!("{call} failed unexpectedly; the daemon's log has more"))
}

pub(crate) fn unencodable(call: &str, cause: impl std::fmt::Display) -> Error {
    rpc(ErrorCode::InternalError, format!("the answer to {call} cannot be sent: {cause}"))
}

/// Descriptors cannot leave the host.
pub(crate) fn no_fds_here(call: &str) -> Error {
    rpc(ErrorCode::OperationUnsupported, format!("{call} answers with an open file"))
        .hint("open files can only be passed over a unix socket of the same host")
}

pub(crate) fn too_many_streams(limit: usize) -> Error {
    rpc(ErrorCode::OperationFailed, format!("this connection has {limit} open streams already"))
        .hint("finish or abort a stream before opening another")
}

pub(crate) fn too_many_of_user(limit: usize) -> Error {
    rpc(ErrorCode::ResourceBusy, format!("this user has {limit} open connections already"))
        .hint("close some; the daemon's configuration bounds them by max_user_clients")
}

pub(crate) fn too_many_calls(limit: usize) -> Error {
    rpc(ErrorCode::OperationFailed, format!("{limit} calls of this connection wait for an answer"))
        .hint("the daemon may be stuck; wait for answers before calling again")
}

/// The peer sent a hole on a stream that was not opened for any, or one of negative length.
pub(crate) fn stray_hole() -> Error {
    rpc(ErrorCode::Rpc, "the daemon sent a hole on a stream that has none")
}

/// A driver let go of a stream without saying why.
pub(crate) fn stream_broken() -> Error {
    rpc(ErrorCode::OperationFailed, "the stream ended before it was finished")
}

/// Data for a stream that only runs the other way.
pub(crate) fn stream_one_way() -> Error {
    rpc(ErrorCode::OperationInvalid, "this stream carries data from the daemon only")
}

/// The daemon behind the proxy is not there, with libvirt's beginning.
pub(crate) fn absent_daemon(wanted: &Destination, cause: &std::io::Error) -> Error {
    let Destination { uri, daemon, socket } = wanted;
    let text = format!(
        "Failed to connect socket to '{}', where {daemon} serves '{uri}'",
        socket.display()
    );
    Error::system(text, cause)
        .in_domain(ErrorDomain::Rpc)
        .hint(format!("start it: 'systemctl start {daemon}.socket', or install it"))
}

/// The daemon behind the proxy does not get as far as an open connection.
pub(crate) fn slow_daemon(wanted: &Destination) -> Error {
    let text = format!("{} took too long to open '{}'", wanted.daemon, wanted.uri);
    rpc(ErrorCode::OperationTimeout, text)
        .hint(format!("it is stopped or stuck: 'systemctl status {}'", wanted.daemon))
}

/// The daemon behind the proxy asks even root for a password.
pub(crate) fn daemon_asks(wanted: &Destination) -> Error {
    let Destination { uri, daemon, .. } = wanted;
    let text = format!(
        "{daemon} asks for authentication before it opens '{uri}', which a proxy cannot give"
    );
    rpc(ErrorCode::AuthFailed, text).hint(format!(
        "set auth_unix_rw to \"none\" or \"polkit\" in {daemon}.conf: clients authenticate here"
    ))
}

/// A driver does not begin the session in time.
pub(crate) fn slow_open(uri: &virtus_core::Uri) -> Error {
    rpc(ErrorCode::OperationTimeout, format!("opening '{uri}' took too long"))
        .hint("the daemon's log says what its driver waits for; try again")
}
