// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Video cards: exactly one is the first.

use virtus_api::Result;

use super::unsupported;
use crate::domain::Domain;
use crate::domain::video::VideoType;
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
        if model.kind != VideoType::None && model.kind != VideoType::Default {
            model.heads.get_or_insert(1);
        }
    }
    Ok(())
}
