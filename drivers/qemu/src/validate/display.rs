// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Screens: cards, and what shows them.

use virtus_api::{ErrorCode, Result};
use virtus_xml::domain::graphics::{Graphics, GraphicsType, WhenConnected};
use virtus_xml::domain::memory::BackingType;
use virtus_xml::domain::sound::AudioType;
use virtus_xml::domain::video::{Video, VideoBackend, VideoType};
use virtus_xml::value::{OnOff, YesNo};

use super::{Rules, need, unsupported, xml_error};
use crate::caps::Flag;

pub(super) fn validate(rules: Rules<'_>) -> Result<()> {
    let devices = &rules.domain.devices;
    devices.videos.iter().try_for_each(|one| video(rules, one))?;
    devices.graphics.iter().try_for_each(|one| graphics(rules, one))
}

fn video(rules: Rules<'_>, video: &Video) -> Result<()> {
    let model = &video.model;
    let kind = model.kind;
    let element = format!("<video><model type='{kind}'>");
    let flag = match kind {
        VideoType::None => return Ok(()),
        VideoType::Default => {
            return Err(unsupported(format!("<video>: no model is known for {}", rules.board())));
        }
        VideoType::Vga => Flag::VGA,
        VideoType::Cirrus => Flag::CirrusVga,
        VideoType::Vmvga => Flag::VmwareSvga,
        VideoType::Qxl => Flag::Qxl,
        VideoType::Virtio => Flag::VirtioGpu,
        VideoType::Bochs => Flag::BochsDisplay,
        VideoType::Ramfb => Flag::Ramfb,
        VideoType::Xen | VideoType::Vbox | VideoType::Parallels | VideoType::Gop => {
            return Err(unsupported(format!("{element}: QEMU has no such card")));
        }
    };
    rules.needs(flag, &element)?;
    if !matches!(kind, VideoType::Qxl | VideoType::Virtio) {
        need(model.primary == Some(YesNo::Yes), || {
            format!("{element} can only be the first card")
        })?;
        need(model.heads.is_none_or(|heads| heads == 1), || format!("{element} has one head"))?;
    }
    if kind == VideoType::Qxl {
        qxl(video, &element)?;
    }
    let resolves =
        matches!(kind, VideoType::Vga | VideoType::Qxl | VideoType::Virtio | VideoType::Bochs);
    if model.resolution.is_some() && !resolves {
        return Err(xml_error(format!("{element} has no <resolution>")));
    }
    if matches!(kind, VideoType::Vga | VideoType::Vmvga) {
        need(model.vram.is_none_or(|vram| vram == 0 || vram >= 1024), || {
            format!("{element}: 'vram' must be at least 1024 KiB")
        })?;
    }
    accelerated(rules, video, &element)?;
    if let (VideoType::Virtio, Some(blob)) = (kind, model.blob) {
        rules.needs(Flag::VirtioGpuBlob, format_args!("{element} with 'blob'"))?;
        let source = rules.domain.memory_backing.source.as_ref().map(|source| source.kind);
        need(blob == OnOff::Off || source == Some(BackingType::Memfd), || {
            format!("{element} with blob='on' needs <memoryBacking><source type='memfd'/>")
        })?;
    }
    Ok(())
}

fn qxl(video: &Video, element: &str) -> Result<()> {
    let model = &video.model;
    const MOST: u32 = u32::MAX / 1024;
    for (name, value) in [("vram", model.vram), ("ram", model.ram)] {
        if value.is_some_and(|value| value > MOST) {
            let text = format!("{element}: '{name}' can be at most {MOST} KiB");
            return Err(virtus_api::Error::new(ErrorCode::Overflow, text));
        }
    }
    let vgamem = model.vgamem.unwrap_or(1024);
    need(vgamem >= 1024 && vgamem.is_power_of_two(), || {
        format!("{element}: 'vgamem' is {vgamem}, but must be a power of two of at least 1024 KiB")
    })
}

fn accelerated(rules: Rules<'_>, video: &Video, element: &str) -> Result<()> {
    let kind = video.model.kind;
    let acceleration = video.model.acceleration.as_ref();
    need(acceleration.is_none_or(|one| one.accel2d != Some(YesNo::Yes)), || {
        format!("{element}<acceleration accel2d='yes'>: QEMU has none")
    })?;
    if video.driver.as_ref().and_then(|driver| driver.name) == Some(VideoBackend::VhostUser) {
        return rules
            .needs(Flag::VhostUserGpu, format_args!("{element} with <driver name='vhostuser'>"));
    }
    if acceleration.is_some_and(|one| one.accel3d == Some(YesNo::Yes)) {
        need(kind == VideoType::Virtio, || {
            format!("{element}<acceleration accel3d='yes'>: allowed with type virtio")
        })?;
        let known = [Flag::VirtioGpuVirgl, Flag::VirtioGpuGlPci, Flag::VirtioVgaGl];
        need(known.into_iter().any(|flag| rules.has(flag)), || {
            format!("{element}<acceleration accel3d='yes'>: {} has none", rules.emulator())
        })?;
    }
    Ok(())
}

fn graphics(rules: Rules<'_>, graphics: &Graphics) -> Result<()> {
    let kind = graphics.kind;
    let element = format!("<graphics type='{kind}'>");
    let flag = match kind {
        GraphicsType::Sdl => Some(Flag::Sdl),
        GraphicsType::Vnc => Some(Flag::Vnc),
        GraphicsType::Spice => Some(Flag::Spice),
        GraphicsType::EglHeadless => Some(Flag::EglHeadless),
        GraphicsType::Dbus | GraphicsType::Rdp => Some(Flag::DisplayDbus),
        GraphicsType::Desktop => None,
    };
    match flag {
        Some(flag) => rules.needs(flag, &element)?,
        None => return Err(unsupported(format!("{element}: QEMU has no such screen"))),
    }
    let gl = graphics.gl.as_ref().is_some_and(|gl| gl.enable == Some(YesNo::Yes));
    if rules.shows(GraphicsType::EglHeadless) {
        let pairs =
            matches!(kind, GraphicsType::EglHeadless | GraphicsType::Vnc | GraphicsType::Spice);
        need(pairs, || {
            format!("<graphics type='egl-headless'> can stand beside vnc and spice, not '{kind}'")
        })?;
        need(!(kind == GraphicsType::Spice && gl), || {
            format!("{element} with <gl enable='yes'/> cannot stand beside 'egl-headless'")
        })?;
    }
    let many = graphics.listens.len() > 1;
    match kind {
        GraphicsType::Vnc | GraphicsType::Spice | GraphicsType::Rdp if many => {
            Err(unsupported(format!("{element} can have one <listen>")))
        }
        GraphicsType::Spice if gl => rules.needs(Flag::SpiceGl, format_args!("{element}<gl>")),
        GraphicsType::Vnc => {
            if graphics.power_control.is_some() {
                rules.needs(Flag::VncPowerControl, format_args!("{element}: 'powerControl'"))?;
            }
            need(matches!(graphics.connected, None | Some(WhenConnected::Keep)), || {
                format!("{element}: VNC supports connected='keep' only")
            })?;
            let length = graphics.passwd.as_deref().map_or(0, str::len);
            need(length <= 8, || {
                format!("{element}: the password has {length} characters, VNC's have at most 8")
            })
        }
        GraphicsType::Dbus => {
            let audios = &rules.domain.devices.audios;
            let audio = graphics.audio.as_ref().map(|audio| audio.id);
            let fits = audios
                .iter()
                .filter(|one| Some(one.id) == audio)
                .all(|one| one.kind == AudioType::Dbus);
            need(fits, || format!("{element}<audio> must name an <audio type='dbus'>"))
        }
        GraphicsType::Rdp => {
            for (name, value) in
                [("replaceUser", graphics.replace_user), ("multiUser", graphics.multi_user)]
            {
                need(value != Some(YesNo::Yes), || {
                    format!("{element}: '{name}' is for VirtualBox")
                })?;
            }
            let bus = rules
                .domain
                .devices
                .graphics
                .iter()
                .any(|other| other.kind == GraphicsType::Dbus && other.p2p != Some(YesNo::Yes));
            need(bus, || format!("{element} needs <graphics type='dbus'> on a bus"))
        }
        _ => Ok(()),
    }
}
