// SPDX-License-Identifier: Apache-2.0 OR MIT
//! When the daemon ends.

use std::sync::Arc;
use std::time::Duration;

use virtus_api::{
    AdminConnectDaemonShutdown, AdminConnectDaemonShutdownFlags, AdminConnectSetDaemonTimeout,
    Error, ErrorCode, ErrorDomain, Result,
};
use virtus_core::{Call, Routes};

use super::{Admin, check_flags};

/// What an administrator wants of the daemon as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// To end when nobody needed it for so long; without a time, never.
    EndWhenIdle(Option<Duration>),
    /// To end now, as on SIGTERM.
    End,
}

pub(super) fn routes() -> Routes<Admin> {
    Routes::new().on(set_timeout).on(shutdown)
}

async fn set_timeout(
    admin: Arc<Admin>,
    _: Call,
    request: AdminConnectSetDaemonTimeout,
) -> Result<()> {
    check_flags(request.flags, 0, "adminConnectSetDaemonTimeout")?;
    let timeout = Duration::from_secs(request.timeout.into());
    admin.wish(Wish::EndWhenIdle(Some(timeout).filter(|timeout| !timeout.is_zero()))).await
}

async fn shutdown(admin: Arc<Admin>, _: Call, request: AdminConnectDaemonShutdown) -> Result<()> {
    let preserve = AdminConnectDaemonShutdownFlags::PRESERVE.bits();
    check_flags(request.flags, preserve, "adminConnectDaemonShutdown")?;
    if request.flags & preserve != 0 {
        let text = "saving the state of guests when the daemon ends is not built yet";
        return Err(Error::new(ErrorCode::OperationUnsupported, text)
            .in_domain(ErrorDomain::Admin)
            .hint("'virsh managedsave' saves a guest; without --preserve, guests run on"));
    }
    admin.wish(Wish::End).await
}

impl Admin {
    async fn wish(&self, wish: Wish) -> Result<()> {
        self.wishes.send(wish).await.map_err(|_| {
            Error::new(ErrorCode::OperationInvalid, "the daemon is ending")
                .in_domain(ErrorDomain::Admin)
        })
    }
}
