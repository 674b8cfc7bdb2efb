// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<video>`: the guest's graphics cards.

use virtus_api::{Error, ErrorCode, Result};
use virtus_xml::domain::device::Device;
use virtus_xml::domain::video::{Video, VideoBackend, VideoType};

use super::argv::Props;
use super::chardev::{Backend, Socket};
use super::context::FdKey;
use super::device::{alias, place, virtio};
use super::line::Line;
use super::storage::unsupported;
use crate::caps::Flag;

/// Writes all graphics cards.
pub(crate) fn write(line: &mut Line<'_>) -> Result<()> {
    for (at, video) in line.domain.devices.videos.iter().enumerate() {
        if video.model.kind == VideoType::None {
            continue;
        }
        if is_vhost_user(video) {
            let id = alias(&video.info)?;
            let fd = line.cx.fd(&FdKey::VhostUserVideo(id.to_owned()))?;
            Backend::socket(format!("chr-vu-{id}"), Socket::open(fd)).write(line);
        }
        let card = device(line, video, at == 0)?;
        line.device(card);
    }
    Ok(())
}

fn is_vhost_user(video: &Video) -> bool {
    video.driver.as_ref().and_then(|driver| driver.name) == Some(VideoBackend::VhostUser)
}

fn device(line: &Line<'_>, video: &Video, primary: bool) -> Result<Props> {
    let id = alias(&video.info)?.to_owned();
    let model = &video.model;
    let accelerated = model
        .acceleration
        .as_ref()
        .and_then(|acceleration| acceleration.accel3d)
        .is_some_and(|yes| yes.is_yes());
    let mut props = match model.kind {
        VideoType::Virtio => virtio_card(line, video, primary, accelerated)?,
        VideoType::Qxl => Props::device(if primary { "qxl-vga" } else { "qxl" }),
        VideoType::Vga => Props::device("VGA"),
        VideoType::Cirrus => Props::device("cirrus-vga"),
        VideoType::Vmvga => Props::device("vmware-svga"),
        VideoType::Bochs => Props::device("bochs-display"),
        VideoType::Ramfb => Props::device("ramfb"),
        other => return Err(unsupported(format!("video model '{other}'"))),
    };
    props.set("id", id.clone());
    let bytes = |kib: Option<u32>| -> Result<u64> {
        let bytes = u64::from(kib.unwrap_or(0)) << 10;
        if bytes > u64::from(u32::MAX) {
            return Err(Error::new(
                ErrorCode::Overflow,
                format!("the memory of video device '{id}' must be less than 4 GiB"),
            ));
        }
        Ok(bytes)
    };
    let mib = |kib: Option<u32>| kib.map(|kib| kib >> 10).filter(|mib| *mib > 0);
    match model.kind {
        VideoType::Qxl => {
            props = props
                .maybe("max_outputs", model.heads)
                .with("ram_size", bytes(model.ram)?)
                .with("vram_size", bytes(model.vram)?)
                .with("vram64_size_mb", model.vram64.unwrap_or(0) >> 10)
                .with("vgamem_mb", model.vgamem.unwrap_or(0) >> 10);
        }
        VideoType::Virtio => {
            props = props.maybe("max_outputs", model.heads);
            if let Some(blob) = model.blob.filter(|_| !is_vhost_user(video)) {
                props.set("blob", blob.is_on());
            }
        }
        VideoType::Vga | VideoType::Vmvga => {
            props = props.maybe("vgamem_mb", mib(model.vram));
        }
        VideoType::Bochs => {
            props.set("vgamem", bytes(model.vram)?);
        }
        _ => {}
    }
    if is_vhost_user(video) {
        props.set("chardev", format!("chr-vu-{id}"));
    } else if let Some(resolution) = &model.resolution
        && matches!(
            model.kind,
            VideoType::Vga | VideoType::Qxl | VideoType::Virtio | VideoType::Bochs
        )
    {
        props = props.with("xres", resolution.x).with("yres", resolution.y);
    }
    props.extend(place(line.domain, &video.info)?);
    Ok(props)
}

fn virtio_card(line: &Line<'_>, video: &Video, primary: bool, accelerated: bool) -> Result<Props> {
    let options = video.driver.as_ref().map(|driver| &driver.virtio);
    // Only the first card speaks VGA, and only on boards that have it.
    let spoken = if is_vhost_user(video) { Flag::VhostUserVga } else { Flag::VirtioVga };
    let vga = primary && line.has(spoken);
    let base = match (is_vhost_user(video), vga) {
        (true, true) => "vhost-user-vga",
        (true, false) => "vhost-user-gpu",
        (false, true) if accelerated && line.has(Flag::VirtioVgaGl) => "virtio-vga-gl",
        (false, true) => "virtio-vga",
        (false, false) if accelerated && line.has(Flag::VirtioGpuGlPci) => "virtio-gpu-gl",
        (false, false) => "virtio-gpu",
    };
    if vga {
        let mut props = Props::device(base);
        if let Some(options) = options.filter(|_| !is_vhost_user(video)) {
            props.extend(super::device::virtio_options(options));
        }
        return Ok(props);
    }
    let info: &Device = &video.info;
    virtio(base, info, None, options)
}
