// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The life of a machine: what each call answers, and which events it brings in which order.

use std::sync::Arc;

use virtus_api::{
    ConnectListAllDomains, DomainCreate, DomainCreateWithFlags, DomainCreateXml, DomainDefineXml,
    DomainDestroy, DomainGetInfo, DomainGetState, DomainGetXmlDesc, DomainReset, DomainResume,
    DomainSetMemory, DomainSetVcpusFlags, DomainShutdown, DomainState, DomainSuspend,
    DomainUndefine, ErrorCode,
};

use super::null::Host;
use super::{Daemon, Folder, until, xml};
use crate::jobs::{Job, Long};
use crate::notice::{End, Notice, Pause};
use crate::start::Wishes;

#[tokio::test]
async fn a_defined_machine_lives_and_every_step_is_told() {
    let (folder, host) = (Folder::new(), Arc::new(Host::default()));
    let daemon = Daemon::start(&folder, &host).await;
    let dom = daemon.call(DomainDefineXml { xml: xml("vm") }).await.unwrap();
    assert_eq!(dom.id, -1);
    assert_eq!(daemon.heard.take(), ["vm 0.0"]);
    let definition = folder.file("etc/libvirt/null/vm.xml");
    assert!(std::fs::read_to_string(&definition).unwrap().starts_with("<!--\n"));

    daemon.call(DomainCreate { dom: dom.clone() }).await.unwrap();
    assert_eq!(daemon.heard.take(), ["vm 2.0"]);
    assert!(folder.file("run/libvirt/null/vm.xml").exists());
    let error = daemon.call(DomainCreate { dom: dom.clone() }).await.unwrap_err();
    assert_eq!(error.to_string(), "Requested operation is not valid: domain is already running");
    assert_eq!(daemon.dom("vm").await.id, 1);

    daemon.call(DomainSuspend { dom: dom.clone() }).await.unwrap();
    daemon.call(DomainSuspend { dom: dom.clone() }).await.unwrap();
    let state = daemon.call(DomainGetState { dom: dom.clone(), flags: 0 }).await.unwrap();
    assert_eq!((state.state, state.reason), (DomainState::Paused as i32, 1));
    daemon.call(DomainResume { dom: dom.clone() }).await.unwrap();
    daemon.call(DomainReset { dom: dom.clone(), flags: 0 }).await.unwrap();
    until("the reset", || daemon.heard.0.lock().unwrap().len() == 3).await;
    assert_eq!(daemon.heard.take(), ["vm 3.0", "vm 4.0", "event 1"]);

    daemon.call(DomainSetMemory { dom: dom.clone(), memory: 4096 }).await.unwrap();
    daemon.call(DomainSetVcpusFlags { dom: dom.clone(), nvcpus: 3, flags: 1 }).await.unwrap();
    let info = daemon.call(DomainGetInfo { dom: dom.clone() }).await.unwrap();
    assert_eq!((info.memory, info.nr_virt_cpu, info.cpu_time), (4096, 3, 7));

    daemon.call(DomainShutdown { dom: dom.clone() }).await.unwrap();
    until("the end", || host.is_clean()).await;
    until("the event", || daemon.heard.0.lock().unwrap().len() == 2).await;
    assert_eq!(daemon.heard.take(), ["vm 6.1", "vm 5.0"]);
    assert!(!folder.file("run/libvirt/null/vm.xml").exists());
    let error = daemon.call(DomainSuspend { dom: dom.clone() }).await.unwrap_err();
    assert!(
        error.to_string().starts_with("Requested operation is not valid: domain is not running")
    );

    daemon.call(DomainUndefine { dom: dom.clone() }).await.unwrap();
    assert_eq!(daemon.heard.take(), ["vm 1.0"]);
    assert!(!definition.exists());
    let error = daemon.call(DomainUndefine { dom }).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::NoDomain);
}

#[tokio::test]
async fn a_transient_machine_is_gone_when_it_ends() {
    let (folder, host) = (Folder::new(), Arc::new(Host::default()));
    let daemon = Daemon::start(&folder, &host).await;
    let dom = daemon.call(DomainCreateXml { xml_desc: xml("t"), flags: 1 }).await.unwrap();
    assert_eq!(dom.id, 1);
    assert_eq!(daemon.heard.take(), ["t 2.0", "t 3.0"]);
    let error = daemon.call(DomainUndefine { dom: dom.clone() }).await.unwrap_err();
    assert!(error.to_string().contains("cannot undefine transient domain"));
    let again = xml("t").replace("<memory>", &format!("<uuid>{}</uuid><memory>", dom.uuid));
    let error = daemon.call(DomainCreateXml { xml_desc: again, flags: 0 }).await.unwrap_err();
    assert_eq!(error.to_string(), "Requested operation is not valid: domain 't' is already active");
    daemon.call(DomainDestroy { dom: dom.clone() }).await.unwrap();
    assert_eq!(daemon.heard.take(), ["t 5.1"]);
    assert!(host.is_clean());
    let list = ConnectListAllDomains { need_results: 1, flags: 0 };
    assert_eq!(daemon.call(list).await.unwrap().ret, 0);
    let error = daemon.call(DomainDestroy { dom }).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::NoDomain);
}

#[tokio::test]
async fn a_machine_that_runs_is_defined_and_undefined_beside_its_run() {
    let (folder, host) = (Folder::new(), Arc::new(Host::default()));
    let daemon = Daemon::start(&folder, &host).await;
    let dom = daemon.call(DomainCreateXml { xml_desc: xml("vm"), flags: 0 }).await.unwrap();
    let with_uuid = xml("vm").replace("<memory>", &format!("<uuid>{}</uuid><memory>", dom.uuid));
    let changed = with_uuid.replace("1048576", "2097152");
    daemon.call(DomainDefineXml { xml: changed.clone() }).await.unwrap();
    daemon.call(DomainDefineXml { xml: changed }).await.unwrap();
    let live = daemon.call(DomainGetXmlDesc { dom: dom.clone(), flags: 0 }).await.unwrap();
    let next = daemon.call(DomainGetXmlDesc { dom: dom.clone(), flags: 2 }).await.unwrap();
    assert!(live.contains("id='1'") && live.contains("1048576"));
    assert!(!next.contains("id='1'") && next.contains("2097152"));
    daemon.call(DomainUndefine { dom: dom.clone() }).await.unwrap();
    daemon.call(DomainDestroy { dom }).await.unwrap();
    assert_eq!(daemon.heard.take(), ["vm 2.0", "vm 0.0", "vm 0.1", "vm 1.0", "vm 5.1"]);
    assert!(daemon.machines.all().is_empty());
}

#[tokio::test]
async fn guests_sleep_crash_and_fail() {
    let (folder, host) = (Folder::new(), Arc::new(Host::default()));
    let daemon = Daemon::start(&folder, &host).await;
    let dom = daemon.call(DomainDefineXml { xml: xml("vm") }).await.unwrap();
    let start = DomainCreateWithFlags { dom: dom.clone(), flags: 0 };
    daemon.call(start.clone()).await.unwrap();
    host.tell(dom.uuid, Notice::Suspended);
    until("sleep", || daemon.heard.0.lock().unwrap().len() == 4).await;
    let error = daemon.call(DomainResume { dom: dom.clone() }).await.unwrap_err();
    assert!(error.text().contains("pmsuspended"));
    host.tell(dom.uuid, Notice::WokenUp);
    host.tell(dom.uuid, Notice::Changed(Box::new(|_| panic!("a fault of the driver"))));
    host.tell(dom.uuid, Notice::Paused(Pause::IoError));
    host.tell(dom.uuid, Notice::Crashed);
    host.ends(dom.uuid, End::Crashed);
    until("the end", || daemon.heard.0.lock().unwrap().len() == 9).await;
    assert_eq!(
        daemon.heard.take(),
        [
            "vm 0.0", "vm 2.0", "event 12", "vm 7.0", "event 11", "vm 2.4", "vm 3.2", "vm 8.0",
            "vm 5.2"
        ]
    );
    daemon.call(start).await.unwrap();
    host.ends(dom.uuid, End::Failed);
    until("the end", || daemon.heard.0.lock().unwrap().len() == 2).await;
    assert_eq!(daemon.heard.take(), ["vm 2.0", "vm 5.5"]);
    assert!(host.is_clean());
}

#[tokio::test]
async fn a_start_that_fails_leaves_nothing_and_tells_nothing() {
    let (folder, host) = (Folder::new(), Arc::new(Host::default()));
    let daemon = Daemon::start(&folder, &host).await;
    for name in ["broken", "planless"] {
        let dom = daemon.call(DomainDefineXml { xml: xml(name) }).await.unwrap();
        daemon.call(DomainCreate { dom: dom.clone() }).await.unwrap_err();
        daemon
            .call(DomainCreateXml { xml_desc: xml(&format!("t-{name}")), flags: 0 })
            .await
            .unwrap_err();
        daemon.call(DomainUndefine { dom }).await.unwrap();
        assert_eq!(daemon.heard.take(), [format!("{name} 0.0"), format!("{name} 1.0")]);
    }
    assert!(host.is_clean());
    assert!(daemon.machines.all().is_empty());
    assert_eq!(std::fs::read_dir(folder.file("run/libvirt/null")).unwrap().count(), 0);
}

#[tokio::test]
async fn autodestroy_ends_with_its_session() {
    let (folder, host) = (Folder::new(), Arc::new(Host::default()));
    let daemon = Daemon::start(&folder, &host).await;
    let other = daemon.other_client();
    other.call(DomainCreateXml { xml_desc: xml("mine"), flags: 2 }).await.unwrap();
    daemon.call(DomainCreateXml { xml_desc: xml("stays"), flags: 0 }).await.unwrap();
    other.close();
    until("the end of 'mine'", || daemon.machines.by_name("mine").is_none()).await;
    assert_eq!(daemon.machines.active().len(), 1);
    assert_eq!(daemon.heard.take(), ["mine 2.0", "stays 2.0", "mine 5.1"]);
}

/// The process that a job has ended tells of its end when the same job has begun to start the next one.
#[tokio::test]
async fn a_late_word_of_the_run_before_does_not_end_the_next() {
    let (folder, host) = (Folder::new(), Arc::new(Host::default()));
    let daemon = Daemon::start(&folder, &host).await;
    let dom = daemon.call(DomainDefineXml { xml: xml("vm") }).await.unwrap();
    daemon.call(DomainCreate { dom: dom.clone() }).await.unwrap();
    let handle = daemon.machines.by_name("vm").unwrap();
    let old = host.facts().processes[&dom.uuid].notices.clone();
    let again = handle.job(Job::long(Long::Snapshot, "again"), |context| async move {
        let def = context.snapshot().def()?.clone();
        context.end(End::Snapshot).await?;
        old.send(Notice::Ended(End::Failed)).unwrap();
        context.start(&def, Wishes::default()).await
    });
    again.await.unwrap();
    assert!(handle.snapshot().is_active());
}
