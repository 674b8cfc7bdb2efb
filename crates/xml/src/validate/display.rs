// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Screens, input and sound.

use std::collections::HashSet;

use virtus_api::Result;

use super::{need, no_virtio_options};
use crate::domain::Domain;
use crate::domain::graphics::{Graphics, GraphicsType, ListenType};
use crate::domain::input::{Input, InputBus, InputType};
use crate::domain::sound::AudioDirection;
use crate::domain::video::{Video, VideoBackend, VideoType};
use crate::settle::xml_error;
use crate::value::{OnOff, YesNo};

pub(super) fn validate(domain: &Domain) -> Result<()> {
    let devices = &domain.devices;
    let videos = &devices.videos;
    videos.iter().try_for_each(video)?;
    let none = videos.iter().any(|video| video.model.kind == VideoType::None);
    need(!none || videos.len() == 1, || {
        "<video><model type='none'> must be the only card".to_owned()
    })?;
    devices.graphics.iter().try_for_each(graphics)?;
    devices.inputs.iter().try_for_each(|one| input(domain, one))?;
    audio(domain)
}

fn video(video: &Video) -> Result<()> {
    let model = &video.model;
    let kind = model.kind;
    let element = format!("<video><model type='{kind}'>");
    let vhost_user = video.driver.as_ref().and_then(|d| d.name) == Some(VideoBackend::VhostUser);
    let rendered = model.acceleration.as_ref().is_some_and(|one| one.rendernode.is_some());
    need(vhost_user || !rendered, || {
        format!("{element}<acceleration rendernode> needs <driver name='vhostuser'>")
    })?;
    let sized = model.resolution.as_ref().is_none_or(|size| size.x > 0 && size.y > 0);
    need(sized, || format!("{element}<resolution>: 'x' and 'y' must be greater than 0"))?;
    if kind == VideoType::Default {
        return Ok(());
    }
    need(!vhost_user || kind == VideoType::Virtio, || {
        format!("{element} with <driver name='vhostuser'>: allowed with type virtio")
    })?;
    need(kind != VideoType::Ramfb || video.info.address.is_none(), || {
        format!("{element} has no <address>: it is on no bus")
    })?;
    if kind != VideoType::Virtio {
        let plain = video.driver.as_ref().is_none_or(|driver| no_virtio_options(&driver.virtio));
        need(plain, || format!("{element} has no virtio options in <driver>"))?;
        need(model.blob.is_none(), || format!("{element} has no 'blob': it is for type virtio"))?;
    }
    Ok(())
}

fn graphics(graphics: &Graphics) -> Result<()> {
    let kind = graphics.kind;
    let element = format!("<graphics type='{kind}'>");
    for listen in &graphics.listens {
        let anywhere = matches!(kind, GraphicsType::Vnc | GraphicsType::Spice);
        let plain = matches!(listen.kind, ListenType::Address | ListenType::Network);
        need(anywhere || plain || kind != GraphicsType::Rdp, || {
            format!("{element}<listen type='{}'>: allowed are address and network", listen.kind)
        })?;
    }
    if kind == GraphicsType::Dbus && graphics.p2p == Some(YesNo::Yes) && graphics.address.is_some()
    {
        return Err(xml_error(format!("{element}: p2p='yes' and 'address' exclude each other")));
    }
    Ok(())
}

fn input(domain: &Domain, input: &Input) -> Result<()> {
    let Some(bus) = input.bus else { return Ok(()) };
    let kind = input.kind;
    let element = format!("<input type='{kind}' bus='{bus}'>");
    if domain.is_hvm() {
        need(bus != InputBus::Xen, || format!("{element}: bus 'xen' is for paravirtual guests"))?;
    }
    let host = input.source.as_ref().is_some_and(|source| source.evdev.is_some());
    let emulated = matches!(kind, InputType::Mouse | InputType::Tablet | InputType::Keyboard);
    need(!(emulated && host), || format!("{element}<source evdev> is for type passthrough"))?;
    if let Some(model) = input.model {
        need(bus == InputBus::Virtio, || format!("{element}: model '{model}' needs bus 'virtio'"))?;
    }
    let ps2 = domain.features.ps2.as_ref().and_then(|ps2| ps2.state);
    need(bus != InputBus::Ps2 || ps2 != Some(OnOff::Off), || {
        format!("{element}: the guest has <features><ps2 state='off'/>")
    })
}

/// Back ends have numbers of their own, and devices name ones that there are.
fn audio(domain: &Domain) -> Result<()> {
    let devices = &domain.devices;
    let mut known = HashSet::new();
    if devices.audios.iter().any(|audio| audio.id == 0) {
        return Err(xml_error(
            "Invalid value for attribute 'id' in element 'audio': Zero is not permitted",
        ));
    }
    devices
        .audios
        .iter()
        .flat_map(|one| [&one.input, &one.output])
        .flatten()
        .try_for_each(mixer)?;
    if let Some(twice) = devices.audios.iter().find(|audio| !known.insert(audio.id)) {
        return Err(xml_error(format!("there are two <audio id='{}'>", twice.id)));
    }
    let sounds = devices.sounds.iter().filter_map(|sound| sound.audio.as_ref());
    let screens = devices.graphics.iter().filter(|one| one.kind == GraphicsType::Vnc);
    let named = sounds.chain(screens.filter_map(|screen| screen.audio.as_ref()));
    match named.map(|audio| audio.id).find(|id| *id != 0 && !known.contains(id)) {
        Some(id) => Err(xml_error(format!("no audio device with ID {id}"))),
        None => Ok(()),
    }
}

/// Settings are for the mixer, and for one that keeps to them.
fn mixer(direction: &AudioDirection) -> Result<()> {
    let fixed = direction.fixed_settings == Some(YesNo::Yes);
    need(!fixed || direction.mixing_engine != Some(YesNo::No), || {
        "audio fixed settings requested without mixing engine".to_owned()
    })?;
    need(fixed || direction.settings.is_none(), || {
        "audio settings specified without fixed settings flag".to_owned()
    })
}
