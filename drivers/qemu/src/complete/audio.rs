// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The audio back end of a guest that names none.

use virtus_xml::Domain;
use virtus_xml::domain::graphics::GraphicsType;
use virtus_xml::domain::sound::{Audio, AudioType};

use super::Defaults;

/// What the environment of the daemon says about audio.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostAudio {
    /// `QEMU_AUDIO_DRV`.
    pub kind: AudioType,
    /// `SDL_AUDIODRIVER`, for SDL.
    pub driver: Option<String>,
}

impl HostAudio {
    /// Reads the two variables; `None` if QEMU's is not set, or names what no QEMU has.
    #[must_use]
    pub fn of_variables(qemu: Option<&str>, sdl: Option<&str>) -> Option<Self> {
        let kind = match qemu? {
            "pa" => AudioType::Pulseaudio,
            "wav" => AudioType::File,
            word => *AudioType::ALL.iter().find(|kind| kind.as_str() == word)?,
        };
        let driver = sdl.filter(|_| kind == AudioType::Sdl).map(str::to_owned);
        Some(Self { kind, driver })
    }
}

/// Adds the back end.
pub(super) fn add(domain: &mut Domain, defaults: &Defaults) {
    if !domain.devices.audios.is_empty() {
        return;
    }
    let graphics = &domain.devices.graphics;
    let has = |kind: GraphicsType| graphics.iter().any(|graphics| graphics.kind == kind);
    let plain = |kind| HostAudio { kind, driver: None };
    let host = |allowed: bool| {
        let host = defaults.host_audio.clone().filter(|_| allowed);
        host.unwrap_or(plain(AudioType::None))
    };
    let chosen = if has(GraphicsType::Spice) {
        Some(plain(AudioType::Spice))
    } else if has(GraphicsType::Vnc) {
        Some(host(defaults.vnc_allow_host_audio))
    } else if graphics.is_empty() {
        Some(host(defaults.nographics_allow_host_audio))
    } else if has(GraphicsType::Sdl) {
        defaults.host_audio.clone()
    } else {
        None
    };
    if let Some(HostAudio { kind, driver }) = chosen {
        domain.body.devices.audios.push(Audio { id: 1, kind, driver, ..Audio::default() });
    }
}
