// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Certificates that have changed on disk.

use std::sync::Arc;

use virtus_api::{AdminServerUpdateTlsFiles, Error, ErrorCode, ErrorDomain, Result};
use virtus_core::{Call, Routes};

use super::{Admin, check_flags, off_thread};

pub(super) fn routes() -> Routes<Admin> {
    Routes::new().on(update)
}

async fn update(admin: Arc<Admin>, _: Call, request: AdminServerUpdateTlsFiles) -> Result<()> {
    check_flags(request.flags, 0, "adminServerUpdateTlsFiles")?;
    let server = admin.server(&request.srv.name)?;
    off_thread(move || server.reload_tls()).await.unwrap_or_else(|| {
        Err(Error::new(ErrorCode::OperationTimeout, "the certificates cannot be read in time")
            .in_domain(ErrorDomain::Rpc)
            .hint("their file system may hang"))
    })
}
