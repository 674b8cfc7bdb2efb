// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Consoles of a container, over a client's stream.

use std::sync::Arc;

use virtus_api::{DomainConsoleFlags, DomainOpenConsole, Error, ErrorCode, Result};
use virtus_core::{Call, Routes};
use virtus_domain::console::{End, console};
use virtus_domain::routes::{by, check_flags};

use super::running;
use crate::driver::LxcDriver;

/// The routes of this file.
pub(super) fn routes() -> Routes<LxcDriver> {
    Routes::new().on(by(open))
}

async fn open(driver: Arc<LxcDriver>, mut call: Call, request: DomainOpenConsole) -> Result<()> {
    check_flags(request.flags, DomainConsoleFlags::all().bits(), "virDomainOpenConsole")?;
    let (container, snapshot) = running(&driver, &request.dom)?;
    let name = request.dev_name.as_deref();
    let device = console(snapshot.live()?, name);
    let path = device.and_then(|device| device.tty.as_deref()).ok_or_else(|| {
        let text = format!("cannot find console device '{}'", name.unwrap_or("default"));
        Error::new(ErrorCode::InvalidArg, text)
            .hint("the aliases of the devices are in 'virsh dumpxml'")
    })?;
    let stream = call.stream.take().ok_or_else(|| {
        Error::new(ErrorCode::InvalidArg, "this call needs a stream, and none came with it")
    })?;
    let end = End {
        what: "the console",
        path,
        terminal: true,
        busy: "Active console session exists for this domain",
    };
    let process = container.clone();
    let gone = async move {
        process.process.exited().await;
    };
    let force = request.flags & DomainConsoleFlags::FORCE.bits() != 0;
    container.consoles.connect(end, stream, force, gone).await
}
