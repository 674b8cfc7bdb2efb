// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The calls that need no driver. Asked last, so that a driver may know better.

use std::sync::Arc;

use virtus_api::{
    ConnectGetHostname, ConnectGetLibVersion, ConnectGetUri, ConnectIsSecure, Result,
};
use virtus_core::{Call, Responder, Routes, Service};

/// The release that daemons claim to be: libvirt 11.3.0 in libvirt's own counting.
pub const LIB_VERSION: u64 = 11_003_000;

struct Generic {
    /// Whether nobody on the way can read along.
    secure: bool,
}

/// Who answers these calls to clients on a `secure` transport, or on another.
pub fn responder(secure: bool) -> Arc<dyn Responder> {
    let routes = Routes::new().on(lib_version).on(hostname).on(uri).on(is_secure);
    Service::new(Arc::new(Generic { secure }), routes, |_, _| {})
}

async fn lib_version(_: Arc<Generic>, _: Call, _: ConnectGetLibVersion) -> Result<u64> {
    Ok(LIB_VERSION)
}

async fn hostname(_: Arc<Generic>, _: Call, _: ConnectGetHostname) -> Result<String> {
    Ok(rustix::system::uname().nodename().to_string_lossy().into_owned())
}

async fn uri(_: Arc<Generic>, call: Call, _: ConnectGetUri) -> Result<String> {
    Ok(call.session.uri.to_string())
}

async fn is_secure(generic: Arc<Generic>, _: Call, _: ConnectIsSecure) -> Result<i32> {
    Ok(generic.secure.into())
}
