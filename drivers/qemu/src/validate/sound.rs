// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sound cards and what plays them.

use virtus_api::Result;
use virtus_xml::domain::graphics::GraphicsType;
use virtus_xml::domain::sound::{AudioType, CodecType, Sound, SoundModel};

use super::{Rules, need, unsupported};
use crate::caps::Flag;

pub(super) fn validate(rules: Rules<'_>) -> Result<()> {
    let devices = &rules.domain.devices;
    devices.sounds.iter().try_for_each(|one| sound(rules, one))?;
    for audio in &devices.audios {
        match audio.kind {
            AudioType::Spice => need(rules.shows(GraphicsType::Spice), || {
                "<audio type='spice'> needs <graphics type='spice'>".to_owned()
            })?,
            AudioType::Dbus => rules.needs(Flag::DisplayDbus, "<audio type='dbus'>")?,
            _ => {}
        }
    }
    Ok(())
}

fn sound(rules: Rules<'_>, sound: &Sound) -> Result<()> {
    let model = sound.model;
    let element = format!("<sound model='{model}'>");
    match model {
        SoundModel::Usb => rules.needs(Flag::UsbAudio, &element)?,
        SoundModel::Ich9 => rules.needs(Flag::Ich9IntelHda, &element)?,
        SoundModel::Virtio => rules.needs(Flag::VirtioSound, &element)?,
        SoundModel::Ich7 => return Err(unsupported(format!("{element}: QEMU has no such card"))),
        _ => {}
    }
    if !matches!(model, SoundModel::Ich6 | SoundModel::Ich9) {
        return Ok(());
    }
    for codec in &sound.codecs {
        let flag = match codec.kind {
            CodecType::Duplex => Flag::HdaDuplex,
            CodecType::Micro => Flag::HdaMicro,
            CodecType::Output => Flag::HdaOutput,
        };
        rules.needs(flag, format_args!("{element}<codec type='{}'>", codec.kind))?;
    }
    Ok(())
}
