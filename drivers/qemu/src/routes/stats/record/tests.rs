// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What clients read of a running guest and of one that is off, from recorded replies.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;
use virtus_api::{DomainRunningReason, DomainShutoffReason};
use virtus_domain::{AtRest, Snapshot, State};
use virtus_host::cgroup::CpuUsage;
use virtus_xml::ParseFlags;

use super::super::collect::{Host, Vcpu};
use super::*;
use crate::readings::block::Readings;
use crate::readings::recorded::reply;
use crate::readings::{balloon, iothread, link};

const GUEST: &str = "<domain type='qemu' id='3'><name>g</name><memory unit='KiB'>131072</memory>\
    <vcpu current='1'>2</vcpu><iothreads>1</iothreads>\
    <os><type arch='x86_64' machine='q35'>hvm</type></os><devices>\
    <disk type='file'><driver name='qemu' type='qcow2'/>\
    <source file='/images/top.qcow2' index='2'/>\
    <backingStore type='file' index='3'><format type='qcow2'/>\
    <source file='/images/base.qcow2'/><backingStore/></backingStore>\
    <target dev='vda' bus='virtio'/><alias name='virtio-disk0'/></disk>\
    <disk type='file' device='cdrom'><target dev='sdb' bus='sata'/><alias name='sata0-0-2'/></disk>\
    <interface type='ethernet'><target dev='vtest0'/></interface><interface type='user'/>\
    </devices></domain>";

fn subject(state: State) -> Subject {
    let def = Arc::new(Domain::parse(GUEST, ParseFlags::STATUS).unwrap().value);
    let active = state.is_active();
    Subject {
        facts: Some(Arc::new(Facts::of(&def))),
        snapshot: Arc::new(Snapshot {
            uuid: Uuid::nil(),
            name: "g".into(),
            persistent: Some(Arc::new(AtRest::kept(&def))),
            live: active.then_some(def),
            state,
            autostart: false,
            updated: false,
            managed_save: false,
            moments: Default::default(),
            started: None,
            pid: None,
            answering: true,
        }),
        guest: None,
        learnt: None,
        images: Vec::new(),
    }
}

/// As virsh prints it, one field after the other.
fn text(subject: &Subject, groups: Groups, backing: bool) -> String {
    let links = link::read("vtest0: 586 7 0 0 0 0 0 0 608 4 0 0 0 0 0 0\n");
    let show = |value: &TypedValue| match value {
        TypedValue::String(text) => text.clone(),
        number => number.as_i64().map_or_else(|| "?".to_owned(), |number| number.to_string()),
    };
    let params = write(subject, groups, backing, &links);
    let fields: Vec<_> = params.iter().map(|p| format!("{}={}", p.field, show(&p.value))).collect();
    fields.join(" ")
}

fn furnished() -> Subject {
    let mut subject = subject(State::Running(DomainRunningReason::Booted));
    let mut block = Readings::default();
    block.read_stats(&reply("blockstats"));
    block.read_nodes(&reply("named-block-nodes"));
    let answers = Answers {
        memory_kib: Some(102_400),
        words: balloon::words(&reply("guest-stats")),
        block: Some(block),
        iothreads: Some(iothread::read(&reply("iothreads"))),
        dirty_rate: None,
    };
    let host = Host {
        cpu: Some(CpuUsage {
            total: Duration::from_secs(3),
            user: Duration::from_secs(2),
            system: Duration::from_secs(1),
        }),
        rss_kib: Some(243_864),
        vcpus: vec![Vcpu { time: Some(5), wait: None, delay: Some(7) }],
    };
    subject.learnt = Some(Box::new(Learnt { answers, host }));
    subject
}

#[test]
fn a_running_guest_is_told_in_libvirts_words() {
    let subject = furnished();
    assert_eq!(
        text(&subject, Groups::STATE | Groups::CPU_TOTAL | Groups::VCPU, false),
        "state.state=1 state.reason=1 cpu.time=3000000000 cpu.user=2000000000 \
         cpu.system=1000000000 vcpu.current=1 vcpu.maximum=2 vcpu.0.state=1 vcpu.0.time=5 \
         vcpu.0.wait=0 vcpu.0.delay=7"
    );
    assert_eq!(
        text(&subject, Groups::BALLOON, false),
        "balloon.current=102400 balloon.maximum=131072 balloon.swap_in=0 balloon.swap_out=0 \
         balloon.major_fault=0 balloon.minor_fault=2189 balloon.unused=57272 \
         balloon.available=94504 balloon.usable=63488 balloon.last-update=1795231290 \
         balloon.disk_caches=10848 balloon.hugetlb_pgalloc=0 balloon.hugetlb_pgfail=0 \
         balloon.rss=243864"
    );
    assert_eq!(
        text(&subject, Groups::INTERFACE | Groups::IOTHREAD, false),
        "net.count=2 net.0.name=vtest0 net.0.rx.bytes=608 net.0.rx.pkts=4 net.0.rx.errs=0 \
         net.0.rx.drop=0 net.0.tx.bytes=586 net.0.tx.pkts=7 net.0.tx.errs=0 net.0.tx.drop=0 \
         iothread.count=1 iothread.1.poll-max-ns=32768 iothread.1.poll-grow=0 \
         iothread.1.poll-shrink=0"
    );
}

#[test]
fn images_below_are_told_on_request() {
    let subject = furnished();
    let top = "block.0.name=vda block.0.path=/images/top.qcow2 block.0.backingIndex=2 \
               block.0.rd.reqs=2 block.0.rd.bytes=4608 block.0.rd.times=78367 block.0.wr.reqs=0 \
               block.0.wr.bytes=0 block.0.wr.times=0 block.0.fl.reqs=0 block.0.fl.times=0 \
               block.0.allocation=0 block.0.capacity=16777216 block.0.physical=200704";
    let alone = text(&subject, Groups::BLOCK, false);
    assert!(alone.starts_with(&format!("block.count=2 {top} block.1.name=sdb ")), "{alone}");
    let whole = text(&subject, Groups::BLOCK, true);
    let below = "block.1.name=vda block.1.path=/images/base.qcow2 block.1.backingIndex=3 \
                 block.1.allocation=0 block.1.capacity=16777216 block.1.physical=200704 \
                 block.2.name=sdb";
    assert!(whole.starts_with(&format!("block.count=3 {top} {below}")), "{whole}");
}

#[test]
fn of_a_guest_that_is_off_the_images_are_told() {
    let mut subject = subject(State::Shutoff(DomainShutoffReason::Destroyed));
    let sizes = Sizes { capacity: 16_777_216, allocation: 0, physical: 196_616 };
    subject.images = vec![Some(sizes), None];
    assert_eq!(
        text(&subject, Groups::all(), false),
        "state.state=5 state.reason=2 balloon.current=131072 balloon.maximum=131072 \
         vcpu.current=1 vcpu.maximum=2 block.count=2 block.0.name=vda \
         block.0.path=/images/top.qcow2 block.0.backingIndex=2 block.0.capacity=16777216 \
         block.0.physical=196616 block.1.name=sdb"
    );
}

#[test]
fn a_guest_that_does_not_answer_is_told_as_it_is_known() {
    let subject = subject(State::Running(DomainRunningReason::Booted));
    let told = text(&subject, Groups::STATE | Groups::BALLOON | Groups::BLOCK, false);
    assert!(told.starts_with("state.state=1 state.reason=1 balloon.current=131072"), "{told}");
    assert!(told.contains("block.1.name=sdb"), "{told}");
}
