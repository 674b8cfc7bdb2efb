// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Consoles and channels of a guest, over a client's stream.

use std::sync::Arc;

use virtus_api::{
    DomainChannelFlags, DomainConsoleFlags, DomainOpenChannel, DomainOpenConsole, Error, ErrorCode,
    Result,
};
use virtus_core::stream::Stream;
use virtus_core::{Call, Routes};
use virtus_domain::console::{End, console};
use virtus_domain::routes::check_flags;
use virtus_xml::Domain;
use virtus_xml::domain::chardev::{Chardev, ChardevTargetType, ChardevType};

use super::{by, running};
use crate::driver::QemuDriver;
use crate::guest::Guest;

/// The routes of this file.
pub(super) fn routes() -> Routes<QemuDriver> {
    Routes::new().on(by(open_console)).on(by(open_channel))
}

/// The stream of a call that opens one.
pub(super) fn stream_of(call: &mut Call) -> Result<Stream> {
    call.stream.take().ok_or_else(|| {
        Error::new(ErrorCode::InvalidArg, "this call needs a stream, and none came with it")
    })
}

async fn open_console(
    driver: Arc<QemuDriver>,
    mut call: Call,
    request: DomainOpenConsole,
) -> Result<()> {
    check_flags(request.flags, DomainConsoleFlags::all().bits(), "virDomainOpenConsole")?;
    let (guest, snapshot) = running(&driver, &request.dom)?;
    let name = request.dev_name.as_deref();
    let device = console(snapshot.live()?, name).ok_or_else(|| {
        let text = format!("cannot find console device '{}'", name.unwrap_or("default"));
        Error::new(ErrorCode::InvalidArg, text)
            .hint("the aliases of the devices are in 'virsh dumpxml'")
    })?;
    let what = format!("character device {}", shown(device, name));
    if !matches!(device.kind, ChardevType::Pty | ChardevType::Unix) {
        let text = format!("{what} is not using a PTY or UNIX socket");
        return Err(Error::new(ErrorCode::OperationUnsupported, text));
    }
    let force = request.flags & DomainConsoleFlags::FORCE.bits() != 0;
    connect(
        &guest,
        device,
        &what,
        force,
        &mut call,
        "Active console session exists for this domain",
    )
    .await
}

async fn open_channel(
    driver: Arc<QemuDriver>,
    mut call: Call,
    request: DomainOpenChannel,
) -> Result<()> {
    check_flags(request.flags, DomainChannelFlags::all().bits(), "virDomainOpenChannel")?;
    let (guest, snapshot) = running(&driver, &request.dom)?;
    let name = request.name.as_deref();
    let device = channel(snapshot.live()?, name).ok_or_else(|| {
        let text = format!("cannot find channel {}", name.unwrap_or("default"));
        Error::new(ErrorCode::InvalidArg, text)
            .hint("a channel is named by its alias or by the name of its target")
    })?;
    let what = format!("channel {}", shown(device, name));
    if device.kind != ChardevType::Unix {
        let text = format!("{what} is not using a UNIX socket");
        return Err(Error::new(ErrorCode::OperationUnsupported, text));
    }
    let force = request.flags & DomainChannelFlags::FORCE.bits() != 0;
    connect(&guest, device, &what, force, &mut call, "Active channel stream exists for this domain")
        .await
}

fn shown<'a>(device: &'a Chardev, name: Option<&'a str>) -> &'a str {
    name.or(device.info.alias.as_deref()).unwrap_or("default")
}

/// The channel that a client means: by alias or target, or the first one.
fn channel<'a>(def: &'a Domain, name: Option<&str>) -> Option<&'a Chardev> {
    let mut all = def.devices.channels.iter();
    let Some(name) = name else { return all.next() };
    all.find(|device| {
        let target = device.target.as_ref();
        let virtio = target.is_some_and(|t| t.kind == Some(ChardevTargetType::Virtio));
        device.info.alias.as_deref() == Some(name)
            || (virtio && target.and_then(|target| target.name.as_deref()) == Some(name))
    })
}

async fn connect(
    guest: &Arc<Guest>,
    device: &Chardev,
    what: &str,
    force: bool,
    call: &mut Call,
    busy: &'static str,
) -> Result<()> {
    let source = device.source().and_then(|source| source.path.as_deref());
    let path = source.or(device.tty.as_deref()).ok_or_else(|| {
        let text = format!("{what} of {} is not open yet", guest.subject());
        Error::new(ErrorCode::OperationInvalid, text).hint("try again when the guest has started")
    })?;
    let stream = stream_of(call)?;
    let end = End { what, path, terminal: device.kind == ChardevType::Pty, busy };
    let process = guest.clone();
    let gone = async move {
        process.process.exited().await;
    };
    guest.consoles.connect(end, stream, force, gone).await
}

#[cfg(test)]
mod tests {
    use virtus_xml::ParseFlags;

    use super::*;

    const DOMAIN: &str = "<domain type='qemu'><name>a</name><memory>1</memory><os><type>hvm</type></os>\
        <devices><serial type='pty'><alias name='serial0'/></serial>\
        <console type='pty'><alias name='console0'/></console>\
        <channel type='unix'><target type='virtio' name='org.a'/><alias name='channel0'/></channel>\
        <channel type='unix'><target type='virtio' name='org.b'/><alias name='channel1'/></channel>\
        </devices></domain>";

    #[test]
    fn devices_are_found_by_alias_or_target() {
        let def = Domain::parse(DOMAIN, ParseFlags::RAW).unwrap().value;
        let alias = |device: Option<&Chardev>| device.and_then(|d| d.info.alias.clone());
        assert_eq!(alias(console(&def, None)).as_deref(), Some("console0"));
        assert_eq!(alias(console(&def, Some("serial0"))).as_deref(), Some("serial0"));
        assert_eq!(alias(console(&def, Some("channel0"))), None);
        assert_eq!(alias(channel(&def, None)).as_deref(), Some("channel0"));
        assert_eq!(alias(channel(&def, Some("org.b"))).as_deref(), Some("channel1"));
        assert_eq!(alias(channel(&def, Some("channel1"))).as_deref(), Some("channel1"));
    }
}
