// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is on paper: names, UUIDs, autostart, rename, leftovers, metadata, memory and vCPUs.

use std::sync::Arc;

use virtus_api::{
    DomainAttachDeviceFlags, DomainCreate, DomainDefineXml, DomainDefineXmlFlags, DomainDestroy,
    DomainDetachDeviceFlags, DomainGetAutostart, DomainGetMetadata, DomainGetVcpusFlags,
    DomainGetXmlDesc, DomainRename, DomainSetAutostart, DomainSetMaxMemory, DomainSetMemoryFlags,
    DomainSetMetadata, DomainSetVcpusFlags, DomainSnapshotCurrent, DomainSnapshotListNames,
    DomainUndefineFlags, ErrorCode,
};

use super::null::Host;
use super::{Daemon, Folder, put, xml, xml_with};

#[tokio::test]
async fn names_and_uuids_belong_to_one_machine() {
    let (folder, host) = (Folder::new(), Arc::new(Host::default()));
    let daemon = Daemon::start(&folder, &host).await;
    let define = |xml: String| daemon.call(DomainDefineXml { xml });
    let one = uuid::Uuid::from_u128(1);
    define(xml_with("a", 1)).await.unwrap();
    let error = define(xml_with("a", 2)).await.unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with(&format!("operation failed: domain 'a' already exists with uuid {one}"))
    );
    let error = define(xml_with("b", 1)).await.unwrap_err();
    assert!(
        error.to_string().starts_with(&format!(
            "operation failed: domain 'a' is already defined with uuid {one}"
        ))
    );
    define(xml_with("a", 1)).await.unwrap();
    assert_eq!(daemon.heard.take(), ["a 0.0", "a 0.1"]);
    for bad in ["a/b", "", "\u{9}"] {
        define(xml(bad)).await.unwrap_err();
    }
    let error =
        daemon.call(DomainDefineXmlFlags { xml: xml("c"), flags: 0x100 }).await.unwrap_err();
    assert_eq!(error.to_string(), "unsupported flags (0x100) in function virDomainDefineXMLFlags");
    assert_eq!(daemon.machines.all().len(), 1);
}

#[tokio::test]
async fn odd_names_survive_a_restart() {
    let (folder, host) = (Folder::new(), Arc::new(Host::default()));
    let daemon = Daemon::start(&folder, &host).await;
    let names = ["ä ö ü", "a'b\"<&>", "-rf", ".hidden", "日本語", "a--b", "vm.xml"];
    for name in names {
        daemon.call(DomainDefineXml { xml: xml(name) }).await.unwrap();
        let dom = daemon.dom(name).await;
        daemon.call(DomainSetAutostart { dom, autostart: 1 }).await.unwrap();
    }
    daemon.killed();
    let daemon = Daemon::start(&folder, &host).await;
    for name in names {
        let dom = daemon.dom(name).await;
        assert_eq!(daemon.call(DomainGetAutostart { dom }).await.unwrap(), 1, "{name}");
    }
    assert_eq!(daemon.machines.all().len(), names.len());
}

#[tokio::test]
async fn a_rename_moves_everything() {
    let (folder, host) = (Folder::new(), Arc::new(Host::default()));
    let daemon = Daemon::start(&folder, &host).await;
    let dom = daemon.call(DomainDefineXml { xml: xml("old") }).await.unwrap();
    daemon.call(DomainDefineXml { xml: xml("taken") }).await.unwrap();
    daemon.call(DomainSetAutostart { dom: dom.clone(), autostart: 1 }).await.unwrap();
    daemon.heard.take();
    let rename = |to: &str| {
        daemon.call(DomainRename { dom: dom.clone(), new_name: Some(to.into()), flags: 0 })
    };
    for bad in ["old", "taken", "a/b", ""] {
        rename(bad).await.unwrap_err();
    }
    rename("new").await.unwrap();
    assert_eq!(daemon.heard.take(), ["old 1.1", "new 0.2"]);
    assert!(daemon.machines.by_name("old").is_none());
    daemon.call(DomainCreate { dom: dom.clone() }).await.unwrap();
    let error = rename("newer").await.unwrap_err();
    assert!(error.text().contains("cannot rename active domain"));
    daemon.call(DomainDestroy { dom }).await.unwrap();
    daemon.killed();
    let daemon = Daemon::start(&folder, &host).await;
    assert!(daemon.machines.by_name("new").unwrap().snapshot().autostart);
    assert_eq!(daemon.machines.all().len(), 2);
}

#[tokio::test]
async fn nvram_and_saved_memory_are_not_lost_by_accident() {
    let (folder, host) = (Folder::new(), Arc::new(Host::default()));
    let daemon = Daemon::start(&folder, &host).await;
    let nvram = folder.file("vars.fd");
    let with_nvram = xml("vm").replace(
        "</os>",
        &format!(
            "<loader readonly='yes' type='pflash'>/code.fd</loader><nvram>{}</nvram></os>",
            nvram.display()
        ),
    );
    let dom = daemon.call(DomainDefineXml { xml: with_nvram.clone() }).await.unwrap();
    put(&nvram, "x");
    let undefine = |flags| daemon.call(DomainUndefineFlags { dom: dom.clone(), flags });
    let error = undefine(0).await.unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("Requested operation is not valid: cannot undefine domain with nvram")
    );
    assert_eq!(undefine(4 | 8).await.unwrap_err().code(), ErrorCode::InvalidArg);
    let saved = folder.file("var/lib/libvirt/null/save/vm.save");
    std::fs::create_dir_all(saved.parent().unwrap()).unwrap();
    put(&saved, "x");
    daemon.killed();
    let daemon = Daemon::start(&folder, &host).await;
    let undefine = |flags| daemon.call(DomainUndefineFlags { dom: dom.clone(), flags });
    assert!(undefine(4).await.unwrap_err().text().contains("managed save image"));
    let error = daemon.call(DomainCreate { dom: dom.clone() }).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::OperationUnsupported, "{error}");
    undefine(1 | 8).await.unwrap();
    assert!(!saved.exists() && nvram.exists());
    let dom = daemon.call(DomainDefineXml { xml: with_nvram }).await.unwrap();
    daemon.call(DomainUndefineFlags { dom, flags: 4 }).await.unwrap();
    assert!(!nvram.exists());
}

#[tokio::test]
async fn notes_are_kept_and_told() {
    let (folder, host) = (Folder::new(), Arc::new(Host::default()));
    let daemon = Daemon::start(&folder, &host).await;
    let dom = daemon.call(DomainDefineXml { xml: xml("vm") }).await.unwrap();
    daemon.call(DomainCreate { dom: dom.clone() }).await.unwrap();
    daemon.heard.take();
    let set = |r#type: i32, text: Option<&str>, flags| {
        daemon.call(DomainSetMetadata {
            dom: dom.clone(),
            r#type,
            metadata: text.map(Into::into),
            key: Some("app".into()),
            uri: Some("http://a".into()),
            flags,
        })
    };
    let get = |r#type, flags| {
        let uri = Some("http://a".into());
        daemon.call(DomainGetMetadata { dom: dom.clone(), r#type, uri, flags })
    };
    set(1, Some("a title"), 3).await.unwrap();
    set(1, Some("two\nlines"), 3).await.unwrap_err();
    set(2, Some("<x a='1'/>"), 1).await.unwrap();
    set(2, Some("<x"), 1).await.unwrap_err();
    assert_eq!(daemon.heard.take(), ["event 23", "event 23"]);
    assert_eq!(get(1, 2).await.unwrap(), "a title");
    assert_eq!(get(2, 1).await.unwrap(), "<x a=\"1\"/>");
    let error = get(2, 2).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::NoDomainMetadata);
    set(2, None, 1).await.unwrap();
    get(2, 1).await.unwrap_err();
    daemon.killed();
    let daemon = Daemon::start(&folder, &host).await;
    let text = daemon.call(DomainGetXmlDesc { dom, flags: 0 }).await.unwrap();
    assert!(text.contains("<title>a title</title>"));
}

#[tokio::test]
async fn memory_and_vcpus_keep_their_bounds() {
    let (folder, host) = (Folder::new(), Arc::new(Host::default()));
    let daemon = Daemon::start(&folder, &host).await;
    let dom = daemon.call(DomainDefineXml { xml: xml("vm") }).await.unwrap();
    let memory =
        |memory, flags| daemon.call(DomainSetMemoryFlags { dom: dom.clone(), memory, flags });
    let error = memory(1 << 30, 2).await.unwrap_err();
    assert!(
        error.to_string().starts_with("invalid argument: cannot set memory higher than max memory")
    );
    assert!(memory(1024, 1).await.unwrap_err().text().contains("domain is not running"));
    memory(524_288, 2).await.unwrap();
    daemon.call(DomainSetMaxMemory { dom: dom.clone(), memory: 262_144 }).await.unwrap();
    let text = daemon.call(DomainGetXmlDesc { dom: dom.clone(), flags: 0 }).await.unwrap();
    assert!(text.contains("<currentMemory unit='KiB'>262144</currentMemory>"), "{text}");

    let vcpus =
        |nvcpus, flags| daemon.call(DomainSetVcpusFlags { dom: dom.clone(), nvcpus, flags });
    let count = |flags| daemon.call(DomainGetVcpusFlags { dom: dom.clone(), flags });
    assert!(vcpus(5, 2).await.unwrap_err().text().contains("5 > 4"));
    vcpus(8, 2 | 4).await.unwrap();
    vcpus(8, 2).await.unwrap();
    assert_eq!((count(2).await.unwrap(), count(2 | 4).await.unwrap()), (8, 8));
    vcpus(3, 2 | 4).await.unwrap();
    assert_eq!((count(2).await.unwrap(), count(2 | 4).await.unwrap()), (3, 3));
    assert!(count(1).await.is_err() && vcpus(0, 2).await.is_err());
}

#[tokio::test]
async fn devices_come_and_go_in_the_definition() {
    let (folder, host) = (Folder::new(), Arc::new(Host::default()));
    let daemon = Daemon::start(&folder, &host).await;
    let dom = daemon.call(DomainDefineXml { xml: xml("vm") }).await.unwrap();
    let disk = "<disk type='file'><source file='/a'/><target dev='vda' bus='virtio'/></disk>";
    let attach =
        |flags| daemon.call(DomainAttachDeviceFlags { dom: dom.clone(), xml: disk.into(), flags });
    assert!(attach(1).await.unwrap_err().text().contains("domain is not running"));
    attach(2).await.unwrap();
    assert!(attach(0).await.unwrap_err().text().contains("target 'vda' already exists"));
    daemon.call(DomainCreate { dom: dom.clone() }).await.unwrap();
    let detach =
        |flags| daemon.call(DomainDetachDeviceFlags { dom: dom.clone(), xml: disk.into(), flags });
    // What the machine that runs refuses does not happen to its definition either.
    assert_eq!(detach(3).await.unwrap_err().code(), ErrorCode::OperationUnsupported);
    detach(2).await.unwrap();
    assert_eq!(detach(2).await.unwrap_err().code(), ErrorCode::DeviceMissing);
}

#[tokio::test]
async fn snapshots_are_found_again_and_not_lost_by_accident() {
    let (folder, host) = (Folder::new(), Arc::new(Host::default()));
    let daemon = Daemon::start(&folder, &host).await;
    let dom = daemon.call(DomainDefineXml { xml: xml("vm") }).await.unwrap();
    daemon.killed();
    let snapshots = folder.file("var/lib/libvirt/null/snapshot/vm");
    std::fs::create_dir_all(&snapshots).unwrap();
    let snapshot = |name: &str, parent: &str, active: u8| {
        let parent = if parent.is_empty() {
            String::new()
        } else {
            format!("<parent><name>{parent}</name></parent>")
        };
        let text = format!(
            "<domainsnapshot><name>{name}</name><state>shutoff</state>{parent}\
             <creationTime>1</creationTime><active>{active}</active></domainsnapshot>"
        );
        put(snapshots.join(format!("{name}.xml")), text);
    };
    snapshot("a", "b", 1);
    snapshot("b", "", 0);
    snapshot("c", "nobody", 0);
    put(snapshots.join("d.xml"), "");
    let daemon = Daemon::start(&folder, &host).await;
    let names = DomainSnapshotListNames { dom: dom.clone(), maxnames: 9, flags: 0 };
    assert_eq!(daemon.call(names).await.unwrap(), ["b", "a"]);
    let current = daemon.call(DomainSnapshotCurrent { dom: dom.clone(), flags: 0 });
    assert_eq!(current.await.unwrap().name, "a");
    let rename = DomainRename { dom: dom.clone(), new_name: Some("x".into()), flags: 0 };
    assert!(daemon.call(rename).await.unwrap_err().text().contains("with snapshots"));
    let undefine = |flags| daemon.call(DomainUndefineFlags { dom: dom.clone(), flags });
    assert!(undefine(0).await.unwrap_err().text().contains("with 2 snapshots"));
    undefine(2).await.unwrap();
    assert!(!snapshots.exists());
}
