// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is said of a device that its model, or its back end, does not have is forgotten, as is a number of nothing.

use crate::domain::devices::Devices;
use crate::domain::disk::{Disk, Iotune};
use crate::domain::filesystem::{Filesystem, FilesystemDriverType};
use crate::domain::graphics::Graphics;
use crate::domain::memory_device::MemoryModel;
use crate::domain::sound::{Audio, AudioDirection, AudioType, Sound, SoundModel};
use crate::domain::video::{Video, VideoModel, VideoType};

pub(super) fn settle(devices: &mut Devices) {
    devices.disks.iter_mut().for_each(disk);
    devices.sounds.iter_mut().for_each(sound);
    devices.audios.iter_mut().for_each(audio);
    devices.graphics.iter_mut().for_each(graphics);
    devices.filesystems.iter_mut().for_each(filesystem);
    if devices.videos.first().is_some_and(|video| video.model.kind == VideoType::None) {
        devices
            .videos
            .iter_mut()
            .filter(|one| one.model.kind == VideoType::None)
            .for_each(no_video);
    }
    for module in devices.memories.iter_mut().filter(|one| one.model != MemoryModel::Nvdimm) {
        module.uuid = None;
    }
    for backend in devices.cryptos.iter_mut().filter_map(|crypto| crypto.backend.as_mut()) {
        backend.queues.take_if(|queues| *queues == 0);
    }
    for rng in &mut devices.rngs {
        rng.rate.take_if(|rate| rate.bytes == 0);
    }
    for rule in devices.redirfilter.iter_mut().flat_map(|filter| &mut filter.usbdevs) {
        rule.class.take_if(|class| class.0.is_none());
        rule.vendor.take_if(|vendor| vendor.0.is_none());
        rule.product.take_if(|product| product.0.is_none());
    }
}

/// Keeps `value` only where it `counts`.
fn keep<T>(value: &mut Option<T>, counts: bool) {
    value.take_if(|_| !counts);
}

fn disk(disk: &mut Disk) {
    if let Some(driver) = &mut disk.driver {
        driver.queues.take_if(|queues| *queues == 0);
    }
    disk.iotune.take_if(|tune| **tune == Iotune::default());
}

fn sound(sound: &mut Sound) {
    if !matches!(sound.model, SoundModel::Ich6 | SoundModel::Ich9) {
        sound.codecs.clear();
    }
    keep(&mut sound.multichannel, sound.model == SoundModel::Usb);
    keep(&mut sound.streams, sound.model == SoundModel::Virtio);
    keep(&mut sound.driver, sound.model == SoundModel::Virtio);
}

fn audio(audio: &mut Audio) {
    let kind = audio.kind;
    keep(&mut audio.server_name, kind == AudioType::Pulseaudio);
    keep(&mut audio.driver, kind == AudioType::Sdl);
    keep(&mut audio.path, kind == AudioType::File);
    keep(&mut audio.runtime_dir, kind == AudioType::Pipewire);
    keep(&mut audio.try_mmap, kind == AudioType::Oss);
    keep(&mut audio.exclusive, kind == AudioType::Oss);
    keep(&mut audio.dsp_policy, kind == AudioType::Oss);
    for direction in [&mut audio.input, &mut audio.output].into_iter().flatten() {
        audio_direction(kind, direction);
    }
}

fn audio_direction(kind: AudioType, direction: &mut AudioDirection) {
    use AudioType as T;
    keep(&mut direction.dev, matches!(kind, T::Alsa | T::Oss));
    keep(&mut direction.buffer_count, matches!(kind, T::Coreaudio | T::Oss | T::Sdl));
    keep(&mut direction.try_poll, kind == T::Oss);
    let jack = kind == T::Jack;
    keep(&mut direction.server_name, jack);
    keep(&mut direction.client_name, jack);
    keep(&mut direction.connect_ports, jack);
    keep(&mut direction.exact_name, jack);
    let named = matches!(kind, T::Pulseaudio | T::Pipewire);
    keep(&mut direction.name, named);
    keep(&mut direction.stream_name, named);
    keep(&mut direction.latency, named);
}

/// What becomes of a client when the password changes means nothing without one.
fn graphics(graphics: &mut Graphics) {
    keep(&mut graphics.connected, graphics.passwd.is_some());
}

fn filesystem(filesystem: &mut Filesystem) {
    let driver = filesystem.driver.as_mut();
    let kind = driver.as_ref().and_then(|driver| driver.kind);
    keep(&mut filesystem.idmap, kind == Some(FilesystemDriverType::Virtiofs));
    if let Some(driver) = driver {
        driver.queue.take_if(|queue| *queue == 0);
    }
}

/// No card has no properties; its alias is the user's.
fn no_video(video: &mut Video) {
    let alias = video.info.alias.take();
    *video = Video {
        model: VideoModel { kind: VideoType::None, ..VideoModel::default() },
        ..Video::default()
    };
    video.info.alias = alias;
}
