// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<sound>`: a sound card of the guest. `<audio>`: what plays it on the host.

use super::device::{Device, VirtioDriver};
use super::graphics::AudioRef;
use crate::value::YesNo;

element! {
    /// `<sound>`.
    pub struct Sound {
        required model: SoundModel = "model",
        attr multichannel: Option<YesNo> = "multichannel",
        attr streams: Option<u32> = "streams",
        child codecs: Vec<Codec> = "codec",
        child audio: Option<AudioRef> = "audio",
        part info: Device,
        child driver: Option<VirtioDriver> = "driver"
    }
}

spellings! {
    /// Which card the guest sees.
    pub enum SoundModel {
        Sb16 = "sb16", Es1370 = "es1370", Pcspk = "pcspk", Ac97 = "ac97", Ich6 = "ich6", Ich9 = "ich9",
        Usb = "usb", Ich7 = "ich7", Virtio = "virtio",
    }
}

element! {
    /// `<codec type='duplex'/>` of an HDA card.
    pub struct Codec { required kind: CodecType = "type" }
}

spellings! {
    /// Which sockets a codec has.
    pub enum CodecType { Duplex = "duplex", Micro = "micro", Output = "output" }
}

element! {
    /// `<audio>`.
    pub struct Audio {
        required id: u32 = "id",
        required kind: AudioType = "type",
        attr timer_period: Option<u32> = "timerPeriod",
        attr server_name: Option<String> = "serverName",
        attr driver: Option<String> = "driver",
        attr path: Option<String> = "path",
        attr runtime_dir: Option<String> = "runtimeDir",
        attr try_mmap: Option<YesNo> = "tryMMap",
        attr exclusive: Option<YesNo> = "exclusive",
        attr dsp_policy: Option<i32> = "dspPolicy",
        child input: Option<AudioDirection> = "input",
        child output: Option<AudioDirection> = "output"
    }
}

spellings! {
    /// What plays on the host.
    pub enum AudioType {
        None = "none", Alsa = "alsa", Coreaudio = "coreaudio", Jack = "jack", Oss = "oss",
        Pulseaudio = "pulseaudio", Sdl = "sdl", Spice = "spice", File = "file", Dbus = "dbus",
        Pipewire = "pipewire",
    }
}

element! {
    /// `<input>` or `<output>` of an audio back end.
    pub struct AudioDirection {
        attr mixing_engine: Option<YesNo> = "mixingEngine",
        attr fixed_settings: Option<YesNo> = "fixedSettings",
        attr voices: Option<u32> = "voices",
        attr buffer_length: Option<u32> = "bufferLength",
        attr dev: Option<String> = "dev",
        attr buffer_count: Option<u32> = "bufferCount",
        attr server_name: Option<String> = "serverName",
        attr client_name: Option<String> = "clientName",
        attr connect_ports: Option<String> = "connectPorts",
        attr exact_name: Option<YesNo> = "exactName",
        attr try_poll: Option<YesNo> = "tryPoll",
        attr name: Option<String> = "name",
        attr stream_name: Option<String> = "streamName",
        attr latency: Option<u32> = "latency",
        child settings: Option<AudioSettings> = "settings"
    }
}

element! {
    /// `<settings>`.
    pub struct AudioSettings {
        attr frequency: Option<u32> = "frequency",
        attr channels: Option<u32> = "channels",
        attr format: Option<String> = "format"
    }
}
