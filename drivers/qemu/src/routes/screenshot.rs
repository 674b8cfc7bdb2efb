// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the guest shows on a screen, as a picture.
//!
//! QEMU writes into memory of ours, whose descriptor it is handed: no file appears on the host, and none has
//! to be readable by two users.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use bytes::Bytes;
use rustix::fs::{MemfdFlags, Mode, OFlags, memfd_create, open};
use rustix::io::pread;
use serde_json::json;
use virtus_api::{DomainScreenshot, Error, ErrorCode, Result};
use virtus_core::stream::{Packet, Stream};
use virtus_core::{Call, Routes};
use virtus_domain::Job;
use virtus_domain::routes::{check_flags, find};
use virtus_xml::Domain;

use super::by;
use crate::driver::QemuDriver;
use crate::guest::{Guest, QUERY, WORK};

/// How much is read and sent at once.
const PIECE: usize = 256 << 10;

/// QEMU 7.1 learnt to write PNG.
const PNG_SINCE: u32 = 7_001_000;

/// The routes of this file.
pub(super) fn routes() -> Routes<QemuDriver> {
    Routes::new().on(by(screenshot))
}

async fn screenshot(
    driver: Arc<QemuDriver>,
    mut call: Call,
    request: DomainScreenshot,
) -> Result<Option<String>> {
    check_flags(request.flags, 0, "virDomainScreenshot")?;
    let stream = super::console::stream_of(&mut call)?;
    let (handle, _) = find(&*driver, &request.dom)?;
    let taken = handle.job(Job::query("virDomainScreenshot"), move |context| async move {
        let (guest, live) = (context.running()?, context.live()?);
        take(&guest, screen(&live, request.screen)?).await
    });
    let (picture, mime) = taken.await?;
    tokio::spawn(send(picture, stream));
    Ok(Some(mime.to_owned()))
}

/// Which device, and which of its heads; none for the first screen of all.
fn screen(def: &Domain, number: u32) -> Result<Option<(String, u32)>> {
    let videos = &def.devices.videos;
    let invalid = |text: String| Error::new(ErrorCode::InvalidArg, text);
    if videos.is_empty() {
        return Err(Error::new(ErrorCode::OperationInvalid, "no screens to take screenshot from")
            .hint("the domain has no <video> device"));
    }
    if number == 0 {
        return Ok(None);
    }
    let mut head = number;
    for video in videos {
        let heads = video.model.heads.unwrap_or(1);
        if head < heads {
            let alias = video.info.alias.clone().unwrap_or_default();
            return Ok(Some((alias, head)));
        }
        head -= heads;
    }
    Err(invalid(format!("no such screen ID {number}: the domain has {}", number - head)))
}

/// Has QEMU write the picture.
async fn take(guest: &Guest, screen: Option<(String, u32)>) -> Result<(OwnedFd, &'static str)> {
    let attempt = "cannot make room for a screenshot";
    let memory = memfd_create("screenshot", MemfdFlags::CLOEXEC)
        .map_err(|cause| Error::system(attempt, &cause.into()))?;
    // QEMU takes a descriptor for writing only if it cannot do more.
    let path = format!("/proc/self/fd/{}", memory.as_raw_fd());
    let writable = open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|cause| Error::system(attempt, &cause.into()))?;
    let monitor = guest.monitor()?;
    let png = monitor.greeting().version >= PNG_SINCE;
    let set = monitor.add_fd(None, "screenshot", writable, QUERY).await;
    guest.note(&monitor, &set);
    let set = set?;
    let mut arguments = json!({ "filename": format!("/dev/fdset/{set}") });
    if png {
        arguments["format"] = "png".into();
    }
    if let Some((device, head)) = screen {
        arguments["device"] = device.into();
        arguments["head"] = head.into();
    }
    let taken = guest.execute("screendump", arguments, WORK).await;
    let removed = guest.execute("remove-fd", json!({ "fdset-id": set }), QUERY).await;
    if let Err(error) = removed {
        tracing::debug!("{error}");
    }
    taken?;
    Ok((memory, if png { "image/png" } else { "image/x-portable-pixmap" }))
}

async fn send(picture: OwnedFd, stream: Stream) {
    let mut offset = 0;
    let mut piece = vec![0; PIECE];
    loop {
        // Memory is read: this does not wait.
        match pread(&picture, &mut piece[..], offset) {
            Ok(0) => return stream.finish().await,
            Ok(length) => {
                offset += length as u64;
                let data = Packet::Data(Bytes::copy_from_slice(&piece[..length]));
                if stream.sender.send(data).await.is_err() {
                    return;
                }
            }
            Err(cause) => {
                let error = Error::system("cannot read the screenshot", &cause.into());
                return stream.fail(error).await;
            }
        }
    }
}
