// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a guest does with its memory, and how often it tells.

use std::sync::Arc;

use virtus_api::{
    DomainMemoryStat, DomainMemoryStatTags as Tag, DomainMemoryStats,
    DomainModificationImpact as Impact, DomainSetMemoryStatsPeriod, Error, ErrorCode, Result,
};
use virtus_core::{Call, Routes};
use virtus_domain::Job;
use virtus_domain::routes::{check_flags, find, targets};
use virtus_xml::Domain;
use virtus_xml::domain::misc::{BalloonModel, BalloonStats, Memballoon};

use super::stats::{balloon_alias, guest_stats};
use super::{by, running};
use crate::driver::QemuDriver;
use crate::guest::QUERY;
use crate::launch::questions::balloon_period;
use crate::readings::balloon;

pub(super) fn routes() -> Routes<QemuDriver> {
    Routes::new().on(by(stats)).on(by(set_period))
}

async fn stats(
    driver: Arc<QemuDriver>,
    _: Call,
    request: DomainMemoryStats,
) -> Result<Vec<DomainMemoryStat>> {
    check_flags(request.flags, 0, "virDomainMemoryStats")?;
    let (guest, snapshot) = running(&driver, &request.dom)?;
    let def = snapshot.live()?;
    let mut all = Vec::new();
    if let Some(alias) = balloon_alias(def) {
        let questions = vec![("query-balloon", None), ("qom-get", Some(guest_stats(alias)))];
        let mut answers = guest.execute_all(questions, QUERY).await?.into_iter();
        let actual = answers.next().transpose()?.and_then(|reply| balloon::actual(&reply));
        all.extend(actual.map(|kib| (Tag::ActualBalloon, kib)));
        // A guest without a driver for its balloon has said nothing yet.
        if let Some(Ok(words)) = answers.next() {
            all.extend(balloon::words(&words));
        }
    } else {
        let known = def.current_memory.map_or(def.memory.kib, |current| current.0);
        all.push((Tag::ActualBalloon, known));
    }
    all.extend(guest.process.stat().map(|stat| (Tag::Rss, stat.rss_kib)));
    let most = usize::try_from(request.max_stats).unwrap_or(usize::MAX);
    let told = all.into_iter().take(most);
    Ok(told.map(|(tag, val)| DomainMemoryStat { tag: tag.number(), val }).collect())
}

async fn set_period(
    driver: Arc<QemuDriver>,
    _: Call,
    request: DomainSetMemoryStatsPeriod,
) -> Result<()> {
    const NAME: &str = "virDomainSetMemoryStatsPeriod";
    check_flags(request.flags, Impact::all().bits(), NAME)?;
    let period = u32::try_from(request.period).map_err(|_| {
        let text = format!("period in {NAME} must not be negative: {}", request.period);
        Error::new(ErrorCode::InvalidArg, text)
    })?;
    let (handle, _) = find(&*driver, &request.dom)?;
    handle
        .job(Job::modify(NAME), move |context| async move {
            let wanted = targets(request.flags, &context.snapshot())?;
            if wanted.config {
                context.change_persistent(|def| {
                    note(virtio_balloon(def, "persistent")?, period);
                    Ok(())
                })?;
            }
            if wanted.live {
                let mut live = (*context.live()?).clone();
                let alias = virtio_balloon(&mut live, "live")?.info.alias.clone();
                let alias = alias.unwrap_or_else(|| "balloon0".to_owned());
                let arguments = balloon_period(&alias, period);
                context.running()?.execute("qom-set", arguments, QUERY).await?;
                context.change_live(|def| {
                    if let Some(balloon) = &mut def.devices.memballoon {
                        note(balloon, period);
                    }
                })?;
            }
            Ok(())
        })
        .await
}

/// Zero is "never".
fn note(balloon: &mut Memballoon, period: u32) {
    balloon.stats = (period > 0).then_some(BalloonStats { period });
}

fn virtio_balloon<'def>(def: &'def mut Domain, which: &str) -> Result<&'def mut Memballoon> {
    let virtio = |balloon: &&mut Memballoon| {
        matches!(
            balloon.model,
            BalloonModel::Virtio
                | BalloonModel::VirtioTransitional
                | BalloonModel::VirtioNonTransitional
        )
    };
    def.devices.memballoon.as_deref_mut().filter(virtio).ok_or_else(|| {
        let text = "Memory balloon model must be virtio to set the collection period";
        Error::new(ErrorCode::OperationInvalid, text)
            .hint(format!("the {which} definition has no <memballoon model='virtio'/>"))
    })
}
