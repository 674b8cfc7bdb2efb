// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a guest shows: always the same picture.

use std::sync::Arc;

use bytes::Bytes;
use virtus_api::{DomainScreenshot, Error, ErrorCode, Result};
use virtus_core::stream::Packet;
use virtus_core::{Call, Routes};
use virtus_domain::routes::{by, check_flags, find};

use crate::world::World;

const PICTURE: &[u8] = include_bytes!("../screenshot.png");

/// The routes of this file.
pub(super) fn routes() -> Routes<World> {
    Routes::new().on(by(screenshot))
}

async fn screenshot(
    world: Arc<World>,
    mut call: Call,
    request: DomainScreenshot,
) -> Result<Option<String>> {
    check_flags(request.flags, 0, "virDomainScreenshot")?;
    find(&*world, &request.dom)?;
    let stream = call.stream.take().ok_or_else(|| {
        Error::new(ErrorCode::InvalidArg, "this call needs a stream, and none came with it")
    })?;
    tokio::spawn(async move {
        if stream.sender.send(Packet::Data(Bytes::from_static(PICTURE))).await.is_ok() {
            stream.finish().await;
        }
    });
    Ok(Some("image/png".to_owned()))
}
