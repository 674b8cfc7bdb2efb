// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Changes how many vCPUs a running guest has.
//!
//! Invariant: the live definition says how many there are then, also when only some of the changes came about: a
//! guest gives a vCPU back when it likes, or never.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use virtus_api::{Error, ErrorCode, Result};
use virtus_xml::Domain;
use virtus_xml::domain::DomainType;

use crate::cpu_map;
use crate::guest::{Guest, QUERY, WORK};

/// How long a guest may take to give vCPUs back.
const UNPLUG: Duration = Duration::from_secs(5);
/// How often QEMU is asked whether it has; the guest needs a good part of a second for each.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// A place for vCPUs.
#[derive(Debug, Clone, PartialEq)]
struct Slot {
    /// What tells QEMU which place it is.
    props: Value,
    kind: Value,
    vcpus: u64,
    /// The device in it; one that was there from the start has no name of its own.
    device: Option<Device>,
}

#[derive(Debug, Clone, PartialEq)]
enum Device {
    Fixed,
    Plugged(String),
}

/// Reads the reply to `query-hotpluggable-cpus`, which lists the last place first.
fn slots(reply: &Value) -> Vec<Slot> {
    let entries = reply.as_array().into_iter().flatten().rev();
    let slot = |entry: &Value| Slot {
        props: entry["props"].clone(),
        kind: entry["type"].clone(),
        vcpus: entry["vcpus-count"].as_u64().unwrap_or(1),
        device: entry["qom-path"].as_str().map(|path| {
            path.strip_prefix("/machine/peripheral/")
                .map_or(Device::Fixed, |id| Device::Plugged(id.to_owned()))
        }),
    };
    entries.map(slot).collect()
}

fn present(slots: &[Slot]) -> u64 {
    slots.iter().filter(|slot| slot.device.is_some()).map(|slot| slot.vcpus).sum()
}

async fn ask(guest: &Guest) -> Result<Vec<Slot>> {
    Ok(slots(&guest.execute("query-hotpluggable-cpus", None, QUERY).await?))
}

/// Plugs vCPUs in until there are `count`, or asks the guest to give the last ones back.
pub(crate) async fn set(guest: &Guest, live: &mut Domain, count: u32) -> Result<()> {
    let before = ask(guest).await?;
    let wanted = u64::from(count);
    let outcome = if present(&before) < wanted {
        if live.kind == DomainType::Qemu {
            survives(guest, &before, wanted)?;
        }
        plug(guest, &before, wanted).await
    } else {
        unplug(guest, &before, wanted).await
    };
    let after = present(&ask(guest).await?);
    let removed = present(&before).saturating_sub(after);
    guest.removed_vcpus.fetch_add(u32::try_from(removed).unwrap_or(u32::MAX), Ordering::Relaxed);
    let threads = guest.vcpu_threads();
    let cpus = guest.execute("query-cpus-fast", None, QUERY).await?;
    guest.learn_vcpu_threads(&cpus);
    if let Some(vcpu) = live.vcpu.as_mut() {
        let after = u32::try_from(after).unwrap_or(vcpu.max);
        vcpu.current = (after != vcpu.max).then_some(after);
    }
    bind(guest, live, &threads)?;
    outcome
}

/// QEMU's emulator has room for each vCPU once: one more thread than there are places ends QEMU, and the guest with
/// it. A vCPU that was taken out keeps its room.
fn survives(guest: &Guest, slots: &[Slot], wanted: u64) -> Result<()> {
    let room: u64 = slots.iter().map(|slot| slot.vcpus).sum();
    let removed = u64::from(guest.removed_vcpus.load(Ordering::Relaxed));
    if wanted.saturating_add(removed) <= room {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::OperationUnsupported,
        "vCPUs that were taken out of an emulated guest cannot be added again while it runs",
    )
    .hint("QEMU would end with the guest; stop and start the guest to get them back, or use KVM"))
}

async fn plug(guest: &Guest, slots: &[Slot], wanted: u64) -> Result<()> {
    let mut have = present(slots);
    for slot in slots.iter().filter(|slot| slot.device.is_none()) {
        if have >= wanted {
            break;
        }
        let mut arguments = slot.props.clone();
        arguments["driver"] = slot.kind.clone();
        arguments["id"] = format!("vcpu{have}").into();
        guest.execute("device_add", arguments, WORK).await?;
        have += slot.vcpus;
    }
    Ok(())
}

async fn unplug(guest: &Guest, slots: &[Slot], wanted: u64) -> Result<()> {
    let mut have = present(slots);
    let mut leaving = Vec::new();
    for slot in slots.iter().rev() {
        if have <= wanted {
            break;
        }
        match &slot.device {
            None => {}
            Some(Device::Plugged(id)) => {
                leaving.push(id.as_str());
                have -= slot.vcpus;
            }
            Some(Device::Fixed) => {
                return Err(Error::new(
                    ErrorCode::OperationUnsupported,
                    "vCPUs with which the guest was started cannot be removed while it runs",
                )
                .hint("change their number for the next start with '--config'"));
            }
        }
    }
    for id in &leaving {
        guest.execute("device_del", json!({ "id": id }), WORK).await?;
    }
    let end = Instant::now() + UNPLUG;
    while !leaving.is_empty() && present(&ask(guest).await?) > wanted {
        if Instant::now() >= end {
            return Err(Error::new(
                ErrorCode::OperationTimeout,
                "vcpu unplug request timed out. Unplug result must be manually inspected in the \
                 domain",
            )
            .hint("the guest has been asked but keeps its vCPUs; see 'virsh vcpucount'"));
        }
        sleep(LOOK_AGAIN).await;
    }
    Ok(())
}

/// Binds the threads of new vCPUs to the CPUs that the definition gives them: a thread starts on those of the thread
/// that made it.
fn bind(guest: &Guest, live: &Domain, known: &[u32]) -> Result<()> {
    let every = cpu_map::of_thread(std::process::id());
    for (number, tid) in (0_u32..).zip(guest.vcpu_threads()) {
        if known.contains(&tid) {
            continue;
        }
        let own = live.cputune.vcpupins.iter().find(|pin| pin.vcpu == number);
        let of_all = live.vcpu.as_ref().and_then(|vcpu| vcpu.cpuset.as_ref());
        if let Some(set) = own.map(|pin| &pin.cpuset).or(of_all).or(every.as_ref()) {
            cpu_map::pin(tid, set)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::readings::recorded::reply;

    #[test]
    fn places_are_filled_from_the_first() {
        let before = slots(&reply("hotpluggable-cpus"));
        assert_eq!(present(&before), 1);
        assert_eq!(before[0].device, Some(Device::Fixed));
        assert_eq!((before[1].device.clone(), &before[1].props["socket-id"]), (None, &1.into()));
        let after = slots(&reply("hotpluggable-cpus-after"));
        assert_eq!(present(&after), 2);
        assert_eq!(after[1].device, Some(Device::Plugged("vcpu1".into())));
    }
}
