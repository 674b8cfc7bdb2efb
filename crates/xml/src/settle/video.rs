// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Video cards: exactly one is the first.

use virtus_api::Result;

use super::unsupported;
use crate::domain::Domain;
use crate::domain::video::{VideoModel, VideoType};
use crate::value::YesNo;

pub(super) fn settle(domain: &mut Domain) -> Result<()> {
    let videos = &mut domain.body.devices.videos;
    let primaries = videos.iter().filter(|video| video.model.primary == Some(YesNo::Yes)).count();
    if primaries > 1 {
        return Err(unsupported("Only one primary video device is supported"));
    }
    if let Some(at) = videos.iter().position(|video| video.model.primary == Some(YesNo::Yes)) {
        videos[..=at].rotate_right(1);
    } else if let Some(first) =
        videos.first_mut().filter(|video| video.model.kind != VideoType::None)
    {
        first.model.primary = Some(YesNo::Yes);
    }
    for video in videos.iter_mut() {
        let model = &mut video.model;
        if model.primary == Some(YesNo::No) {
            model.primary = None;
        }
        model.settle_heads();
    }
    Ok(())
}

impl VideoModel {
    /// What a hypervisor adds once it has chosen the model: heads, and memory in powers of two.
    pub fn settle(&mut self) {
        const USUAL_KIB: u32 = 16 << 10;
        self.settle_heads();
        let (ram, vram) = match self.kind {
            VideoType::Qxl => (Some(64 << 10), Some(64 << 10)),
            VideoType::Vga | VideoType::Cirrus | VideoType::Vmvga | VideoType::Bochs => {
                (None, Some(USUAL_KIB))
            }
            VideoType::Xen => (None, Some(4 << 10)),
            _ => (None, None),
        };
        for (size, usual) in [(&mut self.ram, ram), (&mut self.vram, vram)] {
            *size = size.filter(|kib| *kib > 0).or(usual).map(u32::next_power_of_two);
        }
    }

    fn settle_heads(&mut self) {
        if !matches!(self.kind, VideoType::None | VideoType::Default) {
            self.heads.get_or_insert(1);
        }
    }
}
