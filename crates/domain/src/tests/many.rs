// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Many machines, and many callers at once.

use std::sync::Arc;
use std::time::Instant;

use virtus_api::{
    ConnectListAllDomains, ConnectListDefinedDomains, ConnectNumOfDefinedDomains, DomainCreateXml,
    DomainDefineXml, DomainSuspend, DomainUndefine, ErrorCode,
};

use super::null::Host;
use super::{Daemon, Folder, put, xml, xml_with};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_definitions_load_and_list() {
    const MANY: usize = 10_000;
    let (folder, host) = (Folder::new(), Arc::new(Host::default()));
    let config = folder.file("etc/libvirt/null");
    std::fs::create_dir_all(&config).unwrap();
    for number in 0..MANY {
        let text = xml_with(&format!("vm{number}"), number as u128 + 1);
        put(config.join(format!("vm{number}.xml")), text);
    }
    let begun = Instant::now();
    let daemon = Daemon::start(&folder, &host).await;
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
    assert_eq!(daemon.call(ConnectNumOfDefinedDomains).await.unwrap(), 10_000);
    let begun = Instant::now();
    let list = ConnectListAllDomains { need_results: 1, flags: 0 };
    assert_eq!(daemon.call(list).await.unwrap().domains.len(), MANY);
    assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
    let some = daemon.call(ConnectListDefinedDomains { maxnames: 7 }).await.unwrap();
    assert_eq!(some.len(), 7);
    assert!(daemon.machines.all().iter().all(|(handle, _)| handle.is_asleep()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_define_and_undefine_at_once_agree() {
    let (folder, host) = (Folder::new(), Arc::new(Host::default()));
    let daemon = Arc::new(Daemon::start(&folder, &host).await);
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..8_u128 {
        let daemon = daemon.clone();
        callers.spawn(async move {
            for round in 0..20 {
                let number = (caller + round) % 4;
                let text = xml_with(&format!("vm{number}"), number + 1);
                let dom = daemon.call(DomainDefineXml { xml: text }).await.unwrap();
                daemon.call(ConnectListAllDomains { need_results: 1, flags: 0 }).await.unwrap();
                // Another caller may have been faster.
                if let Err(raced) = daemon.call(DomainUndefine { dom }).await {
                    assert_eq!(raced.code(), ErrorCode::NoDomain, "{raced}");
                }
            }
        });
    }
    while let Some(caller) = callers.join_next().await {
        caller.unwrap();
    }
    let all = daemon.machines.all();
    let on_disk = std::fs::read_dir(folder.file("etc/libvirt/null")).unwrap();
    let files = on_disk.filter(|e| e.as_ref().unwrap().path().extension().is_some()).count();
    assert_eq!(files, all.len());
}

#[tokio::test]
async fn filters_choose() {
    let (folder, host) = (Folder::new(), Arc::new(Host::default()));
    let daemon = Daemon::start(&folder, &host).await;
    daemon.call(DomainDefineXml { xml: xml("off") }).await.unwrap();
    daemon.call(DomainCreateXml { xml_desc: xml("runs"), flags: 0 }).await.unwrap();
    let dom = daemon.call(DomainCreateXml { xml_desc: xml("rests"), flags: 0 }).await.unwrap();
    daemon.call(DomainSuspend { dom }).await.unwrap();
    for (flags, names) in [
        (0, vec!["off", "rests", "runs"]),
        (0x1, vec!["rests", "runs"]),
        (0x2, vec!["off"]),
        (0x4, vec!["off"]),
        (0x8, vec!["rests", "runs"]),
        (0x10, vec!["runs"]),
        (0x10 | 0x20, vec!["rests", "runs"]),
        (0x40, vec!["off"]),
        (0x80, vec![]),
        (0x1 | 0x4, vec![]),
        (0x100, vec![]),
        (0x200, vec!["off", "rests", "runs"]),
        (0x400, vec![]),
        (0x1000, vec![]),
        (0x2000 | 0x2, vec!["off"]),
    ] {
        let list = ConnectListAllDomains { need_results: 1, flags };
        let reply = daemon.call(list).await.unwrap();
        let found: Vec<_> = reply.domains.iter().map(|dom| dom.name.as_str()).collect();
        assert_eq!(found, names, "flags {flags:#x}");
    }
}
