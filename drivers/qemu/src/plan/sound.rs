// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<audio>` and `<sound>`: the host's end and the guest's cards.

use virtus_api::Result;
use virtus_xml::Domain;
use virtus_xml::domain::graphics::AudioRef;
use virtus_xml::domain::sound::{Audio, AudioDirection, AudioType, CodecType, Sound, SoundModel};

use super::argv::Props;
use super::device::{alias, place, virtio};
use super::line::Line;
use super::storage::unsupported;

/// The audio back end of a device: the one that it names, or the first.
pub(crate) fn audio_id(domain: &Domain, stated: Option<&AudioRef>) -> u32 {
    stated
        .map(|audio| audio.id)
        .or_else(|| domain.devices.audios.first().map(|audio| audio.id))
        .unwrap_or(1)
}

/// Writes the audio back ends.
pub(crate) fn audios(line: &mut Line<'_>) {
    for audio in &line.domain.devices.audios {
        line.argv.json("-audiodev", backend(audio));
    }
}

fn backend(audio: &Audio) -> Props {
    let driver = match audio.kind {
        AudioType::File => "wav",
        AudioType::Pulseaudio => "pa",
        other => other.as_str(),
    };
    let mut props = Props::new()
        .with("id", format!("audio{}", audio.id))
        .with("driver", driver)
        .maybe("timer-period", audio.timer_period);
    match audio.kind {
        AudioType::Oss => {
            props = props
                .maybe("try-mmap", audio.try_mmap.map(|yes| yes.is_yes()))
                .maybe("exclusive", audio.exclusive.map(|yes| yes.is_yes()))
                .maybe("dsp-policy", audio.dsp_policy);
        }
        AudioType::Pulseaudio => props = props.maybe("server", audio.server_name.clone()),
        AudioType::File => props = props.maybe("path", audio.path.clone()),
        _ => {}
    }
    for (name, direction) in [("in", &audio.input), ("out", &audio.output)] {
        if let Some(direction) = direction {
            let settings = direction_props(audio.kind, direction);
            if !settings.is_empty() {
                props.set(name, settings);
            }
        }
    }
    props
}

fn direction_props(kind: AudioType, direction: &AudioDirection) -> Props {
    let mut props = Props::new()
        .maybe("mixing-engine", direction.mixing_engine.map(|yes| yes.is_yes()))
        .maybe("fixed-settings", direction.fixed_settings.map(|yes| yes.is_yes()))
        .maybe("voices", direction.voices)
        .maybe("buffer-length", direction.buffer_length);
    let fixed = direction.fixed_settings.is_some_and(|yes| yes.is_yes());
    if let Some(settings) = direction.settings.as_ref().filter(|_| fixed) {
        props = props
            .maybe("frequency", settings.frequency)
            .maybe("channels", settings.channels)
            .maybe("format", settings.format.clone());
    }
    let yes = |value: Option<virtus_xml::value::YesNo>| value.map(|yes| yes.is_yes());
    match kind {
        AudioType::Alsa | AudioType::Oss => props
            .maybe("dev", direction.dev.clone())
            .maybe("buffer-count", direction.buffer_count)
            .maybe("try-poll", yes(direction.try_poll)),
        AudioType::Coreaudio | AudioType::Sdl => {
            props.maybe("buffer-count", direction.buffer_count)
        }
        AudioType::Jack => props
            .maybe("server-name", direction.server_name.clone())
            .maybe("client-name", direction.client_name.clone())
            .maybe("connect-ports", direction.connect_ports.clone())
            .maybe("exact-name", yes(direction.exact_name)),
        AudioType::Pulseaudio | AudioType::Pipewire => props
            .maybe("name", direction.name.clone())
            .maybe("stream-name", direction.stream_name.clone())
            .maybe("latency", direction.latency),
        _ => props,
    }
}

/// Writes the sound cards.
pub(crate) fn sounds(line: &mut Line<'_>) -> Result<()> {
    for sound in &line.domain.devices.sounds {
        if sound.model == SoundModel::Pcspk {
            continue;
        }
        let card = card(line, sound)?;
        line.device(card);
        if matches!(sound.model, SoundModel::Ich6 | SoundModel::Ich9) {
            codecs(line, sound)?;
        }
    }
    Ok(())
}

fn card(line: &Line<'_>, sound: &Sound) -> Result<Props> {
    let id = alias(&sound.info)?.to_owned();
    let audio = format!("audio{}", audio_id(line.domain, sound.audio.as_ref()));
    let mut props = match sound.model {
        SoundModel::Es1370 => Props::device("ES1370").with("id", id).with("audiodev", audio),
        SoundModel::Ac97 => Props::device("AC97").with("id", id).with("audiodev", audio),
        SoundModel::Ich6 => Props::device("intel-hda").with("id", id),
        SoundModel::Ich9 => Props::device("ich9-intel-hda").with("id", id),
        SoundModel::Sb16 => Props::device("sb16").with("id", id).with("audiodev", audio),
        SoundModel::Usb => Props::device("usb-audio")
            .with("id", id)
            .with("audiodev", audio)
            .maybe("multi", sound.multichannel.map(|yes| yes.is_yes())),
        SoundModel::Virtio => {
            let options = sound.driver.as_ref().map(|driver| &driver.virtio);
            virtio("virtio-sound", &sound.info, None, options)?
                .with("id", id)
                .with("audiodev", audio)
                .maybe("streams", sound.streams)
        }
        other => return Err(unsupported(format!("sound model '{other}'"))),
    };
    props.extend(place(line.domain, &sound.info)?);
    Ok(props)
}

fn codecs(line: &mut Line<'_>, sound: &Sound) -> Result<()> {
    let id = alias(&sound.info)?;
    let audio = format!("audio{}", audio_id(line.domain, sound.audio.as_ref()));
    let mut kinds: Vec<CodecType> = sound.codecs.iter().map(|codec| codec.kind).collect();
    if kinds.is_empty() {
        kinds.push(CodecType::Duplex);
    }
    for (at, kind) in kinds.into_iter().enumerate() {
        let props = Props::device(&format!("hda-{kind}"))
            .with("id", format!("{id}-codec{at}"))
            .with("bus", format!("{id}.0"))
            .with("cad", at)
            .with("audiodev", audio.clone());
        line.device(props);
    }
    Ok(())
}
