// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Asks a guest's QEMU and the kernel for what statistics need.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};
use virtus_api::DomainStatsTypes as Groups;
use virtus_host::cgroup::{CpuUsage, Group};
use virtus_host::process::ThreadStat;
use virtus_xml::Domain;

use crate::driver::QemuDriver;
use crate::guest::Guest;
use crate::launch::cgroup;
use crate::readings::balloon::{self, Words};
use crate::readings::block::Readings;
use crate::readings::dirty_rate::{self, DirtyRate};
use crate::readings::iothread::{self, Iothread};
use crate::readings::link::{self, Traffic};

/// What QEMU answered; what it did not is not there.
#[derive(Debug, Default)]
pub(super) struct Answers {
    pub(super) memory_kib: Option<u64>,
    pub(super) words: Words,
    pub(super) block: Option<Readings>,
    pub(super) iothreads: Option<Vec<Iothread>>,
    pub(super) dirty_rate: Option<DirtyRate>,
}

/// Network devices of this host by name.
pub(super) type Links = HashMap<String, Traffic>;

#[derive(Clone, Copy)]
enum Question {
    Memory,
    Words,
    Blocks,
    Nodes,
    Iothreads,
    DirtyRate,
}

/// Asks everything that the groups need in one batch, unless QEMU is known not to answer.
pub(super) async fn ask(guest: &Arc<Guest>, def: &Domain, groups: Groups, end: Instant) -> Answers {
    let questions = questions(def, groups);
    let mut answers = Answers::default();
    if questions.is_empty() || !guest.is_answering() {
        return answers;
    }
    let commands =
        questions.iter().map(|(_, name, arguments)| (*name, arguments.clone())).collect();
    let left = end.saturating_duration_since(Instant::now());
    let Ok(replies) = guest.execute_all(commands, left).await else { return answers };
    for ((question, ..), reply) in questions.iter().zip(replies) {
        let Ok(reply) = reply else { continue };
        match question {
            Question::Memory => answers.memory_kib = balloon::actual(&reply),
            Question::Words => answers.words = balloon::words(&reply),
            Question::Blocks => {
                answers.block.get_or_insert_with(Readings::default).read_stats(&reply);
            }
            Question::Nodes => {
                answers.block.get_or_insert_with(Readings::default).read_nodes(&reply);
            }
            Question::Iothreads => answers.iothreads = Some(iothread::read(&reply)),
            Question::DirtyRate => answers.dirty_rate = dirty_rate::read(&reply),
        }
    }
    answers
}

fn questions(def: &Domain, groups: Groups) -> Vec<(Question, &'static str, Option<Value>)> {
    let mut all = Vec::new();
    if groups.contains(Groups::BALLOON)
        && let Some(alias) = balloon_alias(def)
    {
        all.push((Question::Memory, "query-balloon", None));
        all.push((Question::Words, "qom-get", Some(guest_stats(alias))));
    }
    if groups.contains(Groups::BLOCK) && !def.devices.disks.is_empty() {
        all.push((Question::Blocks, "query-blockstats", None));
        all.push((Question::Nodes, "query-named-block-nodes", Some(json!({ "flat": true }))));
    }
    if groups.contains(Groups::IOTHREAD) && def.iothreads.is_some_and(|count| count > 0) {
        all.push((Question::Iothreads, "query-iothreads", None));
    }
    if groups.contains(Groups::DIRTYRATE) {
        all.push((Question::DirtyRate, "query-dirty-rate", None));
    }
    all
}

/// The guest's balloon, if it has one.
pub(in crate::routes) fn balloon_alias(def: &Domain) -> Option<&str> {
    use virtus_xml::domain::misc::BalloonModel;
    let balloon = def.devices.memballoon.as_ref()?;
    balloon.info.alias.as_deref().filter(|_| balloon.model != BalloonModel::None)
}

/// The arguments that ask for the guest's own words about its memory.
pub(in crate::routes) fn guest_stats(alias: &str) -> Value {
    json!({ "path": format!("/machine/peripheral/{alias}"), "property": "guest-stats" })
}

/// What the kernel counts of one guest.
#[derive(Debug, Default)]
pub(super) struct Host {
    pub(super) cpu: Option<CpuUsage>,
    pub(super) rss_kib: Option<u64>,
    /// Online vCPUs by their number.
    pub(super) vcpus: Vec<Vcpu>,
}

/// What the kernel counts of one vCPU's thread, in nanoseconds.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Vcpu {
    pub(super) time: Option<u64>,
    pub(super) wait: Option<u64>,
    pub(super) delay: Option<u64>,
}

/// A guest to look at from outside.
pub(super) struct Work {
    guest: Arc<Guest>,
    group: Group,
}

impl Work {
    pub(super) fn new(driver: &QemuDriver, guest: &Arc<Guest>) -> Self {
        let facts = &guest.facts;
        let group = cgroup::of(&driver.qemu.cgroups, facts.id, &facts.name);
        Self { guest: guest.clone(), group }
    }

    fn look(&self, groups: Groups) -> Host {
        let mut host = Host::default();
        let Some(stat) = self.guest.process.stat() else { return host };
        let pid = self.guest.process.pid();
        host.rss_kib = Some(stat.rss_kib);
        if groups.contains(Groups::CPU_TOTAL) {
            host.cpu = Some(cpu_usage(&self.guest, &self.group));
        }
        if groups.contains(Groups::VCPU) {
            host.vcpus = self.guest.vcpu_threads().iter().map(|tid| vcpu(pid, *tid)).collect();
        }
        host
    }
}

/// CPU time of a guest: of everything in its cgroup, or of its process where it has none.
pub(in crate::routes) fn cpu_usage(guest: &Guest, group: &Group) -> CpuUsage {
    if group.exists()
        && let Ok(usage) = group.cpu_usage()
    {
        return usage;
    }
    let stat = guest.process.stat().unwrap_or_default();
    CpuUsage { total: stat.cpu_time(), user: stat.user, system: stat.system }
}

fn vcpu(pid: u32, tid: u32) -> Vcpu {
    let Some(thread) = ThreadStat::read(pid, tid) else { return Vcpu::default() };
    let sched = std::fs::read_to_string(format!("/proc/{pid}/task/{tid}/sched"));
    Vcpu {
        time: Some(nanos(thread.cpu_time())),
        wait: sched.ok().and_then(|text| wait_sum(&text)),
        delay: thread.waited.map(nanos),
    }
}

/// How long a thread waited, from its `sched` file: milliseconds with a fraction. Many kernels do not count it.
fn wait_sum(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| {
        let name = line.split_once(':').map_or("", |(name, _)| name.trim());
        matches!(name, "wait_sum" | "se.statistics.wait_sum" | "se.wait_sum")
    })?;
    let value = line.split_once(':')?.1.trim();
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    let nanos: u64 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(nanos)
}

pub(in crate::routes) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Looks at all guests and at the network devices, off the runtime's threads.
pub(super) async fn look_at_host(
    guests: Vec<Work>,
    groups: Groups,
    end: Instant,
) -> (Vec<Host>, Links) {
    let seen = Groups::CPU_TOTAL | Groups::VCPU | Groups::BALLOON | Groups::INTERFACE;
    if !groups.intersects(seen) || guests.is_empty() {
        return Default::default();
    }
    let work = tokio::task::spawn_blocking(move || {
        let hosts = guests.iter().map(|guest| guest.look(groups)).collect();
        let links = groups.contains(Groups::INTERFACE).then(links).unwrap_or_default();
        (hosts, links)
    });
    match timeout_at(end, work).await {
        Ok(Ok(seen)) => seen,
        _ => Default::default(),
    }
}

/// What the kernel counts of the network devices of this host.
pub(in crate::routes) fn links() -> Links {
    link::read(&std::fs::read_to_string("/proc/net/dev").unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_read_to_the_nanosecond() {
        let text = "qemu (1, #threads: 2)\n---\nse.sum_exec_runtime : 5.000001\n\
                    wait_sum                       :          12.345678\nwait_count : 3\n";
        assert_eq!(wait_sum(text), Some(12_345_678));
        assert_eq!(wait_sum("se.statistics.wait_sum : 3\n"), Some(3_000_000));
        assert_eq!(wait_sum("nothing\n"), None);
    }
}
