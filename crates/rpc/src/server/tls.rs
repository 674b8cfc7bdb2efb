// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The certificates of a server, which may change while it runs.

use std::sync::{Arc, PoisonError};

use virtus_api::{Error, ErrorCode, ErrorDomain, Result};

use super::Server;
use crate::tls::Tls;

impl Server {
    /// Shakes hands by `tls` with clients that connect from now on.
    pub fn set_tls(&self, tls: Tls) {
        *self.tls.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(tls));
    }

    /// Loads the certificates anew from where they are; a mistake changes nothing. Blocks.
    pub fn reload_tls(&self) -> Result<()> {
        let Some(tls) = self.tls() else {
            let text = "no tls service found, unable to update tls files";
            return Err(Error::new(ErrorCode::OperationInvalid, text)
                .in_domain(ErrorDomain::Rpc)
                .hint("start the daemon with a TLS socket: --listen, or its -tls.socket"));
        };
        self.set_tls(Tls::load(tls.settings().clone())?);
        Ok(())
    }

    /// Whether certificates are loaded.
    #[must_use]
    pub fn has_tls(&self) -> bool {
        self.tls().is_some()
    }

    pub(super) fn tls(&self) -> Option<Arc<Tls>> {
        self.tls.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
