// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One guest's statistics as clients read them: libvirt's names, types and order.

use std::borrow::Cow;

use virtus_api::params::domain_bulk_stats as name;
use virtus_api::{DomainStatsTypes as Groups, TypedParam, TypedValue, VcpuState};
use virtus_domain::facts::{DiskFacts, Facts, Image};
use virtus_xml::Domain;

use super::collect::{Answers, Links, nanos};
use super::{Learnt, Subject};
use crate::image_size::Sizes;
use crate::readings::balloon::bulk_name;
use crate::readings::block::{Counts, Node};
use crate::readings::link::Way;
use crate::routes::disks;
use crate::routes::interface_stats;

struct Record(Vec<TypedParam>);

impl Record {
    fn put(&mut self, field: impl Into<Cow<'static, str>>, value: impl Into<TypedValue>) {
        self.0.push(TypedParam::new(field, value));
    }

    /// A field of the `number`th object of a kind.
    fn put_of(
        &mut self,
        kind: &str,
        number: impl std::fmt::Display,
        field: &str,
        value: impl Into<TypedValue>,
    ) {
        self.put(format!("{kind}{number}{field}"), value);
    }

    fn put_if_some(&mut self, field: &'static str, value: Option<u64>) {
        if let Some(value) = value {
            self.put(field, value);
        }
    }
}

/// Writes the groups that are asked for.
pub(super) fn write(
    subject: &Subject,
    groups: Groups,
    backing: bool,
    links: &Links,
) -> Vec<TypedParam> {
    let Some(facts) = &subject.facts else { return Vec::new() };
    let nothing = Learnt::default();
    let learnt = subject.learnt.as_deref().unwrap_or(&nothing);
    let mut out = Record(Vec::with_capacity(if subject.learnt.is_some() { 64 } else { 16 }));
    if groups.contains(Groups::STATE) {
        out.put(name::STATE_STATE, subject.snapshot.state.kind() as i32);
        out.put(name::STATE_REASON, subject.snapshot.state.reason());
    }
    if let Some(usage) = learnt.host.cpu.filter(|_| groups.contains(Groups::CPU_TOTAL)) {
        out.put(name::CPU_TIME, nanos(usage.total));
        out.put(name::CPU_USER, nanos(usage.user));
        out.put(name::CPU_SYSTEM, nanos(usage.system));
    }
    if groups.contains(Groups::BALLOON) {
        balloon(&mut out, learnt, facts);
    }
    if groups.contains(Groups::VCPU) {
        vcpus(&mut out, learnt, facts);
    }
    if let Some(live) =
        subject.snapshot.live.as_ref().filter(|_| groups.contains(Groups::INTERFACE))
    {
        interfaces(&mut out, live, links);
    }
    if groups.contains(Groups::BLOCK) {
        disks(&mut out, learnt, (facts, &subject.images), backing);
    }
    if groups.contains(Groups::IOTHREAD) {
        iothreads(&mut out, &learnt.answers);
    }
    if groups.contains(Groups::DIRTYRATE) {
        dirty_rate(&mut out, &learnt.answers);
    }
    out.0
}

fn balloon(out: &mut Record, learnt: &Learnt, facts: &Facts) {
    out.put(name::BALLOON_CURRENT, learnt.answers.memory_kib.unwrap_or(facts.memory));
    out.put(name::BALLOON_MAXIMUM, facts.max_memory);
    for (tag, value) in &learnt.answers.words {
        if let Some(field) = bulk_name(*tag) {
            out.put(field, *value);
        }
    }
    out.put_if_some(name::BALLOON_RSS, learnt.host.rss_kib);
}

fn vcpus(out: &mut Record, learnt: &Learnt, facts: &Facts) {
    out.put(name::VCPU_CURRENT, facts.vcpus);
    out.put(name::VCPU_MAXIMUM, facts.max_vcpus);
    for (number, vcpu) in learnt.host.vcpus.iter().enumerate() {
        let Some(time) = vcpu.time else { continue };
        let running = VcpuState::Running.number();
        out.put_of(name::VCPU_PREFIX, number, name::VCPU_SUFFIX_STATE, running);
        out.put_of(name::VCPU_PREFIX, number, name::VCPU_SUFFIX_TIME, time);
        let wait = vcpu.wait.unwrap_or_default();
        out.put_of(name::VCPU_PREFIX, number, name::VCPU_SUFFIX_WAIT, wait);
        if let Some(delay) = vcpu.delay {
            out.put_of(name::VCPU_PREFIX, number, name::VCPU_SUFFIX_DELAY, delay);
        }
    }
}

fn interfaces(out: &mut Record, def: &Domain, links: &Links) {
    out.put(name::NET_COUNT, count(def.devices.interfaces.len()));
    for (number, interface) in def.devices.interfaces.iter().enumerate() {
        let Some(dev) = interface.target_dev() else { continue };
        out.put_of(name::NET_PREFIX, number, name::NET_SUFFIX_NAME, dev);
        let Some(traffic) = links.get(dev) else { continue };
        let traffic = interface_stats::seen_by_guest(interface, *traffic);
        let mut way = |way: Way, fields: [&str; 4]| {
            let values = [way.bytes, way.packets, way.errors, way.dropped];
            for (field, value) in fields.into_iter().zip(values) {
                out.put_of(name::NET_PREFIX, number, field, value);
            }
        };
        way(
            traffic.received,
            [
                name::NET_SUFFIX_RX_BYTES,
                name::NET_SUFFIX_RX_PKTS,
                name::NET_SUFFIX_RX_ERRS,
                name::NET_SUFFIX_RX_DROP,
            ],
        );
        way(
            traffic.sent,
            [
                name::NET_SUFFIX_TX_BYTES,
                name::NET_SUFFIX_TX_PKTS,
                name::NET_SUFFIX_TX_ERRS,
                name::NET_SUFFIX_TX_DROP,
            ],
        );
    }
}

fn disks(
    out: &mut Record,
    learnt: &Learnt,
    (facts, found): (&Facts, &[Option<Sizes>]),
    backing: bool,
) {
    let images = |disk: &DiskFacts| if backing { disk.images.len().max(1) } else { 1 };
    out.put(name::BLOCK_COUNT, count(facts.disks.iter().map(images).sum()));
    let mut number = 0;
    for (at, disk) in facts.disks.iter().enumerate() {
        let top = disk.images.first();
        head(out, number, disk, top);
        let readings = learnt.answers.block.as_ref();
        let alias = disk.alias.as_deref();
        if let Some(counts) = alias.and_then(|alias| readings?.devices.get(alias)) {
            traffic(out, number, counts);
        }
        if let Some(sizes) = found.get(at).copied().flatten() {
            at_rest(out, number, sizes);
        }
        let node = |image: &Image| readings.and_then(|readings| disks::node(image, readings));
        if let Some(node) = top.and_then(node) {
            sizes(out, number, node);
        }
        number += 1;
        for image in disk.images.iter().skip(1).filter(|_| backing) {
            head(out, number, disk, Some(image));
            if let Some(node) = node(image) {
                sizes(out, number, node);
            }
            number += 1;
        }
    }
}

fn head(out: &mut Record, number: u32, disk: &DiskFacts, image: Option<&Image>) {
    out.put_of(name::BLOCK_PREFIX, number, name::BLOCK_SUFFIX_NAME, &*disk.target);
    if let Some(path) = image.and_then(|image| image.path.as_deref()) {
        out.put_of(name::BLOCK_PREFIX, number, name::BLOCK_SUFFIX_PATH, path);
    }
    if let Some(index) = image.and_then(|image| image.index) {
        out.put_of(name::BLOCK_PREFIX, number, name::BLOCK_SUFFIX_BACKINGINDEX, index);
    }
}

fn traffic(out: &mut Record, number: u32, counts: &Counts) {
    for (field, value) in [
        (name::BLOCK_SUFFIX_RD_REQS, counts.reads),
        (name::BLOCK_SUFFIX_RD_BYTES, counts.read_bytes),
        (name::BLOCK_SUFFIX_RD_TIMES, counts.read_ns),
        (name::BLOCK_SUFFIX_WR_REQS, counts.writes),
        (name::BLOCK_SUFFIX_WR_BYTES, counts.written_bytes),
        (name::BLOCK_SUFFIX_WR_TIMES, counts.write_ns),
        (name::BLOCK_SUFFIX_FL_REQS, counts.flushes),
        (name::BLOCK_SUFFIX_FL_TIMES, counts.flush_ns),
    ] {
        out.put_of(name::BLOCK_PREFIX, number, field, value);
    }
}

fn sizes(out: &mut Record, number: u32, node: Node) {
    for (field, value) in [
        (name::BLOCK_SUFFIX_ALLOCATION, node.highest),
        (name::BLOCK_SUFFIX_CAPACITY, node.capacity),
        (name::BLOCK_SUFFIX_PHYSICAL, node.physical),
        (name::BLOCK_SUFFIX_THRESHOLD, Some(node.threshold).filter(|at| *at > 0)),
    ] {
        if let Some(value) = value {
            out.put_of(name::BLOCK_PREFIX, number, field, value);
        }
    }
}

/// Of an image that is not in use a size of zero says nothing and is left out, as libvirt does.
fn at_rest(out: &mut Record, number: u32, sizes: Sizes) {
    for (field, value) in [
        (name::BLOCK_SUFFIX_ALLOCATION, sizes.allocation),
        (name::BLOCK_SUFFIX_CAPACITY, sizes.capacity),
        (name::BLOCK_SUFFIX_PHYSICAL, sizes.physical),
    ] {
        if value > 0 {
            out.put_of(name::BLOCK_PREFIX, number, field, value);
        }
    }
}

fn iothreads(out: &mut Record, answers: &Answers) {
    let Some(threads) = &answers.iothreads else { return };
    out.put(name::IOTHREAD_COUNT, count(threads.len()));
    for thread in threads {
        let prefix = name::IOTHREAD_PREFIX;
        out.put_of(prefix, thread.id, name::IOTHREAD_SUFFIX_POLL_MAX_NS, thread.poll_max_ns);
        let factors = [
            (name::IOTHREAD_SUFFIX_POLL_GROW, thread.poll_grow),
            (name::IOTHREAD_SUFFIX_POLL_SHRINK, thread.poll_shrink),
        ];
        for (field, factor) in factors {
            // Clients know these as a small number first.
            match u32::try_from(factor) {
                Ok(small) => out.put_of(prefix, thread.id, field, small),
                Err(_) => out.put_of(prefix, thread.id, field, factor),
            }
        }
    }
}

fn dirty_rate(out: &mut Record, answers: &Answers) {
    let Some(rate) = &answers.dirty_rate else { return };
    out.put(name::DIRTYRATE_CALC_STATUS, rate.status);
    out.put(name::DIRTYRATE_CALC_START_TIME, rate.start);
    out.put(name::DIRTYRATE_CALC_PERIOD, rate.period);
    out.put(name::DIRTYRATE_CALC_MODE, rate.mode.as_str());
    if let Some(rate) = rate.megabytes_per_second {
        out.put(name::DIRTYRATE_MEGABYTES_PER_SECOND, rate);
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
