// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Machines that do not answer: what waits, for how long, and what never waits.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use virtus_api::{
    ConnectListAllDomains, DomainCreate, DomainCreateXml, DomainDefineXml, DomainDestroy,
    DomainDestroyFlags, DomainGetControlInfo, DomainGetInfo, DomainGetJobStats, DomainGetXmlDesc,
    DomainReset, DomainSuspend, DomainUndefine, ErrorCode,
};

use super::null::Host;
use super::{Daemon, Folder, until, xml};

#[tokio::test(start_paused = true)]
async fn a_deaf_machine_delays_only_those_who_ask_it() {
    let (folder, host) = (Folder::new(), Arc::new(Host::default()));
    let daemon = Daemon::start(&folder, &host).await;
    let dom = daemon.call(DomainCreateXml { xml_desc: xml("deaf"), flags: 0 }).await.unwrap();
    let other = daemon.call(DomainCreateXml { xml_desc: xml("well"), flags: 0 }).await.unwrap();

    let client = daemon.client.clone();
    let hanging = DomainSuspend { dom: dom.clone() };
    let hanging = tokio::spawn(async move { client.call(hanging).await });
    let handle = daemon.machines.by_name("deaf").unwrap();
    until("the job", || handle.busy().short.is_some()).await;

    // What reads snapshots does not notice, nor do other machines.
    let begun = Instant::now();
    daemon.call(ConnectListAllDomains { need_results: 1, flags: 0 }).await.unwrap();
    daemon.call(DomainGetInfo { dom: dom.clone() }).await.unwrap();
    daemon.call(DomainGetXmlDesc { dom: dom.clone(), flags: 0 }).await.unwrap();
    daemon.call(DomainSuspend { dom: other }).await.unwrap();
    let control = daemon.call(DomainGetControlInfo { dom: dom.clone(), flags: 0 }).await.unwrap();
    assert_eq!(control.state, 1, "a job runs");
    assert!(begun.elapsed() < Duration::from_secs(1));

    // A second job waits its 30 s and says for whom.
    let begun = Instant::now();
    let error = daemon.call(DomainReset { dom: dom.clone(), flags: 0 }).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::OperationTimeout);
    assert!(error.to_string().starts_with(
        "Timed out during operation: cannot acquire state change lock (held by monitor=virDomainSuspend)"
    ));
    assert!(
        begun.elapsed() >= Duration::from_secs(30) && begun.elapsed() < Duration::from_secs(31)
    );

    // Its definition can be changed beside the job, and it can be destroyed at once.
    let begun = Instant::now();
    let with_uuid = xml("deaf").replace("<memory>", &format!("<uuid>{}</uuid><memory>", dom.uuid));
    daemon.call(DomainDefineXml { xml: with_uuid }).await.unwrap();
    daemon.call(DomainDestroy { dom: dom.clone() }).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(1));
    let cancelled = hanging.await.unwrap().unwrap_err();
    assert_eq!(cancelled.code(), ErrorCode::OperationAborted);
    daemon.call(DomainUndefine { dom }).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn destroy_cancels_a_start_and_undoes_it() {
    let (folder, host) = (Folder::new(), Arc::new(Host::default()));
    let daemon = Daemon::start(&folder, &host).await;
    let dom = daemon.call(DomainDefineXml { xml: xml("endless") }).await.unwrap();
    daemon.heard.take();
    let client = daemon.client.clone();
    let start = DomainCreate { dom: dom.clone() };
    let start = tokio::spawn(async move { client.call(start).await });
    until("the process", || !host.facts().processes.is_empty()).await;
    assert_eq!(daemon.machines.active().len(), 1, "a machine that starts is shown");
    let stats = daemon.call(DomainGetJobStats { dom: dom.clone(), flags: 0 }).await.unwrap();
    assert_eq!(stats.r#type, 2);

    daemon.call(DomainDestroy { dom: dom.clone() }).await.unwrap();
    assert!(host.is_clean());
    assert_eq!(start.await.unwrap().unwrap_err().code(), ErrorCode::OperationAborted);
    assert!(daemon.heard.take().is_empty());
    assert!(daemon.machines.active().is_empty());
    assert!(!folder.file("run/libvirt/null/endless.xml").exists());
}

#[tokio::test(start_paused = true)]
async fn a_destroy_that_fails_leaves_the_machine_as_it_was() {
    let (folder, host) = (Folder::new(), Arc::new(Host::default()));
    let daemon = Daemon::start(&folder, &host).await;
    let dom = daemon.call(DomainCreateXml { xml_desc: xml("undead"), flags: 0 }).await.unwrap();
    daemon.call(DomainDestroy { dom: dom.clone() }).await.unwrap_err();
    assert!(daemon.machines.by_name("undead").unwrap().snapshot().state.is_running());
    let dom = daemon.call(DomainCreateXml { xml_desc: xml("slow"), flags: 0 }).await.unwrap();
    let graceful = DomainDestroyFlags { dom: dom.clone(), flags: 1 };
    daemon.call(graceful).await.unwrap_err();
    // One that is polite and waits gives way to one that is not.
    let stubborn =
        daemon.call(DomainCreateXml { xml_desc: xml("polite"), flags: 0 }).await.unwrap();
    let client = daemon.client.clone();
    let waits = DomainDestroyFlags { dom: stubborn.clone(), flags: 1 };
    let waits = tokio::spawn(async move { client.call(waits).await });
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
    daemon.call(DomainDestroy { dom: stubborn }).await.unwrap();
    waits.await.unwrap().unwrap();
    daemon.call(DomainSuspend { dom: dom.clone() }).await.unwrap();
    daemon.call(DomainDestroy { dom }).await.unwrap();
    assert_eq!(
        daemon.heard.take(),
        ["undead 2.0", "slow 2.0", "polite 2.0", "polite 5.1", "slow 3.0", "slow 5.1"]
    );
}

#[tokio::test(start_paused = true)]
async fn the_work_of_a_caller_that_left_goes_on() {
    let (folder, host) = (Folder::new(), Arc::new(Host::default()));
    let daemon = Daemon::start(&folder, &host).await;
    let start = daemon.call(DomainCreateXml { xml_desc: xml("vm"), flags: 0 });
    let left = timeout(Duration::ZERO, start).await;
    assert!(left.is_err());
    until("the start", || daemon.machines.active().len() == 1).await;
}
