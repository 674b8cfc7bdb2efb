// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The daemon dies in any phase, and the next one finds everything.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use virtus_api::{
    DomainCreate, DomainCreateXml, DomainDefineXml, DomainDestroy, DomainSetAutostart,
    DomainShutdown, DomainSuspend, ErrorCode,
};

use super::null::Host;
use super::{Daemon, Folder, put, until, xml, xml_with};
use crate::notice::End;

#[tokio::test]
async fn what_ran_runs_on_and_what_ended_is_cleaned_up() {
    let (folder, host) = (Folder::new(), Arc::new(Host::default()));
    let daemon = Daemon::start(&folder, &host).await;
    let defined = daemon.call(DomainDefineXml { xml: xml("defined") }).await.unwrap();
    daemon.call(DomainCreate { dom: defined.clone() }).await.unwrap();
    let transient =
        daemon.call(DomainCreateXml { xml_desc: xml("transient"), flags: 0 }).await.unwrap();
    let gone = daemon.call(DomainDefineXml { xml: xml("gone") }).await.unwrap();
    daemon.call(DomainCreate { dom: gone.clone() }).await.unwrap();
    let lost = daemon.call(DomainCreateXml { xml_desc: xml("lost"), flags: 0 }).await.unwrap();
    daemon.call(DomainSuspend { dom: transient.clone() }).await.unwrap();
    daemon.killed();
    host.ends(gone.uuid, End::Failed);
    host.ends(lost.uuid, End::Failed);

    let daemon = Daemon::start(&folder, &host).await;
    let snapshot = |name: &str| daemon.machines.by_name(name).map(|h| h.snapshot());
    assert_eq!(snapshot("defined").unwrap().id(), Some(1));
    assert!(snapshot("defined").unwrap().state.is_running());
    assert!(snapshot("defined").unwrap().persistent.is_some());
    assert_eq!(snapshot("transient").unwrap().state.word(), "paused");
    assert!(!snapshot("gone").unwrap().is_active());
    assert!(snapshot("lost").is_none());
    let mut heard = daemon.heard.take();
    heard.sort();
    assert_eq!(heard, ["gone 5.5", "lost 5.5"]);

    // Events flow again, and numbers go on.
    let next = daemon.call(DomainCreateXml { xml_desc: xml("next"), flags: 0 }).await.unwrap();
    assert_eq!(next.id, 5, "numbers of files that were found are not used again");
    daemon.call(DomainShutdown { dom: defined }).await.unwrap();
    daemon.call(DomainDestroy { dom: transient }).await.unwrap();
    until("the end", || daemon.machines.active().len() == 1).await;
    daemon.call(DomainDestroy { dom: next }).await.unwrap();
    assert!(host.is_clean());
}

#[tokio::test]
async fn a_start_that_was_interrupted_is_undone() {
    let (folder, host) = (Folder::new(), Arc::new(Host::default()));
    let daemon = Daemon::start(&folder, &host).await;
    let dom = daemon.call(DomainDefineXml { xml: xml("endless") }).await.unwrap();
    let client = daemon.client.clone();
    let start = tokio::spawn(async move { client.call(DomainCreate { dom }).await });
    until("the process", || !host.facts().processes.is_empty()).await;
    let status = folder.file("run/libvirt/null/endless.xml");
    let text = std::fs::read_to_string(&status).unwrap();
    assert!(text.contains("state='paused' reason='starting up'"), "{text}");
    start.abort();
    daemon.killed();

    let daemon = Daemon::start(&folder, &host).await;
    assert!(host.is_clean());
    assert!(daemon.heard.take().is_empty());
    assert!(!daemon.machines.by_name("endless").unwrap().snapshot().is_active());
    assert!(!status.exists());
}

#[tokio::test(start_paused = true)]
async fn a_deaf_machine_does_not_keep_the_daemon_from_serving() {
    let (folder, host) = (Folder::new(), Arc::new(Host::default()));
    let daemon = Daemon::start(&folder, &host).await;
    daemon.call(DomainCreateXml { xml_desc: xml("deaf"), flags: 0 }).await.unwrap();
    daemon.call(DomainCreateXml { xml_desc: xml("well"), flags: 0 }).await.unwrap();
    daemon.killed();
    let begun = Instant::now();
    let daemon = Daemon::start(&folder, &host).await;
    assert!(begun.elapsed() < Duration::from_secs(3));
    assert_eq!(daemon.machines.active().len(), 2);
    let dom = daemon.dom("deaf").await;
    daemon.call(DomainDestroy { dom }).await.unwrap();
    assert_eq!(daemon.heard.take(), ["deaf 5.1"]);
    let dom = daemon.dom("well").await;
    daemon.call(DomainDestroy { dom }).await.unwrap();
    assert!(host.is_clean());
}

#[tokio::test]
async fn what_looks_like_a_definition_and_is_none_is_forgotten() {
    let (folder, host) = (Folder::new(), Arc::new(Host::default()));
    let daemon = Daemon::start(&folder, &host).await;
    let good = daemon.call(DomainDefineXml { xml: xml("good") }).await.unwrap();
    let runs = daemon.call(DomainDefineXml { xml: xml("runs") }).await.unwrap();
    daemon.call(DomainCreate { dom: runs.clone() }).await.unwrap();
    daemon.killed();
    let file = |name: &str| folder.file(&format!("etc/libvirt/null/{name}.xml"));
    let damaged = xml_with("damaged", 7).replace("</os>", "");
    put(file("damaged"), &damaged);
    put(file("runs"), xml_with("runs", runs.uuid.as_u128()).replace("4</vcpu>", "many</vcpu>"));

    let daemon = Daemon::start(&folder, &host).await;
    let snapshot = |name: &str| daemon.machines.by_name(name).map(|h| h.snapshot());
    let seen = snapshot("damaged").expect("it is listed until it is read");
    assert_eq!(seen.def().unwrap_err().code(), ErrorCode::XmlDetail);
    until("the check", || snapshot("damaged").is_none()).await;
    until("the check", || snapshot("runs").unwrap().persistent.is_none()).await;
    assert!(snapshot("runs").unwrap().is_active());
    assert_eq!(std::fs::read_to_string(file("damaged")).unwrap(), damaged);
    assert_eq!(snapshot("good").unwrap().def().unwrap().uuid, Some(good.uuid));
    let mut heard = daemon.heard.take();
    heard.sort();
    assert_eq!(heard, ["damaged 1.0", "runs 1.0"]);
    daemon.call(DomainDestroy { dom: runs }).await.unwrap();
}

#[tokio::test]
async fn broken_files_stop_nothing() {
    let (folder, host) = (Folder::new(), Arc::new(Host::default()));
    let daemon = Daemon::start(&folder, &host).await;
    let dom = daemon.call(DomainDefineXml { xml: xml("good") }).await.unwrap();
    daemon.call(DomainSetAutostart { dom: dom.clone(), autostart: 1 }).await.unwrap();
    daemon.machines.let_go().await;
    let config = folder.file("etc/libvirt/null");
    let write = |name: &str, text: &str| put(config.join(name), text);
    write("broken.xml", "<domain type='test'><name>broken");
    write("empty.xml", "");
    write("other.xml", &std::fs::read_to_string(config.join("good.xml")).unwrap());
    std::fs::create_dir_all(folder.file("run/libvirt/null")).unwrap();
    put(folder.file("run/libvirt/null/bad.xml"), "<domstatus/>");
    let daemon = Daemon::start(&folder, &host).await;
    let all = daemon.machines.all();
    assert_eq!(all.len(), 1);
    assert!(all[0].1.autostart);
    daemon.machines.autostart().await;
    assert_eq!(daemon.machines.active().len(), 1);
    daemon.call(DomainDestroy { dom }).await.unwrap();
    daemon.machines.autostart().await;
    assert_eq!(daemon.machines.active().len(), 0, "once per boot of the host");
}
