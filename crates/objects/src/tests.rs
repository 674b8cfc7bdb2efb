// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Collections, shown with networks.

mod nwfilter;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;
use virtus_api::{Error, ErrorCode, Result};
use virtus_core::{Paths, store};
use virtus_xml::{Document, Network, ParseFlags};

use crate::{Collection, Object, Shelf};

const A: Uuid = Uuid::from_u128(0xa);
const B: Uuid = Uuid::from_u128(0xb);

/// A folder that goes when the test ends.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("virtus-objects-{}", Uuid::new_v4()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn paths(&self) -> Paths {
        Paths::system_below(&self.0)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join("etc/libvirt/qemu/networks").join(name)
    }

    async fn networks(&self) -> Arc<Collection<Network>> {
        Collection::open(Shelf::folder(&self.paths(), "qemu/networks")).await.unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

fn network(name: &str, uuid: Uuid) -> Network {
    let text = format!("<network><name>{name}</name><uuid>{uuid}</uuid></network>");
    Network::parse(&text, ParseFlags::INACTIVE).unwrap().value
}

async fn define(networks: &Arc<Collection<Network>>, def: Network) -> Result<()> {
    let work = |turn: crate::Turn<Network>, def| async move { turn.set_persistent(def).await };
    networks.claim(def, "define", work).await
}

fn names(networks: &Collection<Network>) -> Vec<String> {
    networks.select(|_| true).iter().map(|snapshot| snapshot.name.to_string()).collect()
}

fn text(error: &Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_name_and_a_uuid_belong_to_one_object() {
    let networks = Collection::open(Shelf::Memory).await.unwrap();
    define(&networks, network("a", A)).await.unwrap();
    define(&networks, network("a", A)).await.unwrap();
    let error = define(&networks, network("a", B)).await.unwrap_err();
    assert_eq!(text(&error), format!("operation failed: network 'a' already exists with uuid {A}"));
    let error = define(&networks, network("b", A)).await.unwrap_err();
    assert_eq!(
        text(&error),
        format!("operation failed: network 'a' is already defined with uuid {A}")
    );
    let error = networks.find(B, "b").unwrap_err();
    assert_eq!(error.code(), ErrorCode::NoNetwork);
    assert_eq!(text(&error), format!("Network not found: no network with matching uuid '{B}' (b)"));
}

#[tokio::test]
async fn what_was_defined_survives_and_what_cannot_be_read_is_passed_over() {
    let scratch = Scratch::new();
    let networks = scratch.networks().await;
    for (name, uuid) in [("a", A), ("b---", B)] {
        define(&networks, network(name, uuid)).await.unwrap();
    }
    let (object, _) = networks.lookup_name("a").unwrap();
    let work = |turn: crate::Turn<Network>| async move { turn.set_autostart(true).await };
    networks.change(&object, "autostart", work).await.unwrap();
    for (file, text) in [("c", "<network><name>c"), ("d", "<network><name>e</name></network>")] {
        store::write(&scratch.file(&format!("{file}.xml")), text.as_bytes(), store::PRIVATE)
            .unwrap();
    }
    let noted = std::fs::read_to_string(scratch.file("b---.xml")).unwrap();
    assert!(noted.contains("virsh net-edit b- - -\n"), "{noted}");

    let networks = scratch.networks().await;
    assert_eq!(names(&networks), ["a", "b---"]);
    let (object, snapshot) = networks.lookup_name("a").unwrap();
    assert!(snapshot.autostart && snapshot.is_persistent() && !snapshot.is_active());
    let work = |turn: crate::Turn<Network>| async move { turn.remove_persistent().await };
    networks.change(&object, "undefine", work).await.unwrap();
    assert_eq!(names(&networks), ["b---"]);
    assert!(!scratch.file("a.xml").exists());
    std::fs::symlink_metadata(scratch.file("autostart/a.xml")).unwrap_err();
    let error = networks.change(&object, "again", |_| async { Ok(()) }).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::NoNetwork);
}

#[tokio::test]
async fn a_definition_that_fails_leaves_nothing() {
    let networks = Collection::open(Shelf::Memory).await.unwrap();
    let work = |_, _| async { Err::<(), _>(Error::new(ErrorCode::OperationFailed, "no")) };
    networks.claim(network("a", A), "define", work).await.unwrap_err();
    let work = |_, _| async { panic!("as a driver's mistake would") };
    let error = networks.claim::<(), _, _>(network("a", A), "define", work).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::InternalError);
    assert!(names(&networks).is_empty());
    define(&networks, network("a", B)).await.unwrap();
}

/// Turns: one at a time and to the end, even if the caller goes away; nobody who reads waits for them.
#[tokio::test(start_paused = true)]
async fn changes_take_turns() {
    let networks = Collection::open(Shelf::Memory).await.unwrap();
    define(&networks, network("a", A)).await.unwrap();
    let (object, _) = networks.lookup_name("a").unwrap();
    let slow = |networks: Arc<Collection<Network>>, object: Arc<Object<Network>>, seconds| async move {
        let work = move |turn: crate::Turn<Network>| async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            turn.publish(|snapshot| snapshot.autostart = !snapshot.autostart);
            Ok(())
        };
        networks.change(&object, "slow", work).await
    };
    let given_up =
        tokio::time::timeout(Duration::from_secs(1), slow(networks.clone(), object.clone(), 10));
    given_up.await.unwrap_err();
    assert!(!object.snapshot().autostart);
    slow(networks.clone(), object.clone(), 1).await.unwrap();
    assert!(!object.snapshot().autostart, "both changes were made");

    let stuck = tokio::spawn(slow(networks.clone(), object.clone(), 100));
    tokio::task::yield_now().await;
    let error = networks.change(&object, "late", |_| async { Ok(()) }).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::OperationTimeout);
    stuck.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_definition_that_waits_for_its_turn_finds_the_object_gone_and_makes_it_anew() {
    let networks = Collection::open(Shelf::Memory).await.unwrap();
    define(&networks, network("a", A)).await.unwrap();
    let (object, _) = networks.lookup_name("a").unwrap();
    let work = |turn: crate::Turn<Network>| async move {
        tokio::task::yield_now().await;
        turn.remove_persistent().await
    };
    let again = async { define(&networks, network("a", A)).await };
    let (gone, defined) = tokio::join!(networks.change(&object, "undefine", work), again);
    gone.unwrap();
    defined.unwrap();
    assert_eq!(names(&networks), ["a"]);
}
