// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What this host can run, as a document.

use std::sync::Arc;

use tokio::task::spawn_blocking;
use virtus_api::{ConnectGetCapabilities, Error, ErrorCode, Result};
use virtus_core::{Call, Routes};
use virtus_domain::host_sleep::power_management;
use virtus_domain::routes::by;
use virtus_host::node::{self, Node};
use virtus_xml::capabilities::{
    Capabilities, Doi, Guest, GuestArch, GuestDomain, Host, HostCpu, PageSize, PowerManagement,
    Secmodel,
};

use crate::driver::LxcDriver;
use crate::paths::controller;

/// The routes of this file.
pub(super) fn routes() -> Routes<LxcDriver> {
    Routes::new().on(by(get))
}

async fn get(driver: Arc<LxcDriver>, _: Call, _: ConnectGetCapabilities) -> Result<String> {
    driver.document.get().await
}

/// The document, as the host is now. Hundreds of small files are looked at for it.
pub(crate) async fn document() -> Result<String> {
    let arch = node::arch();
    let mut guests = vec![guest(&arch, 64)];
    // A process of the smaller architecture asks for its personality.
    guests.extend(smaller(&arch).map(|small| guest(small, 32)));
    let power = power_management().await;
    let looking = spawn_blocking(move || {
        Capabilities { host: host(&Node::new(), arch, power), guests }.format()
    });
    looking.await.map_err(|cause| {
        let text = format!("looking at the host was broken off: {cause}");
        Error::new(ErrorCode::InternalError, text)
    })
}

fn host(node: &Node, arch: String, power: PowerManagement) -> Host {
    let page = |size| PageSize { unit: Some("KiB".to_owned()), size };
    let none =
        Secmodel { model: "none".to_owned(), doi: Doi("0".to_owned()), baselabels: Vec::new() };
    Host {
        uuid: node::uuid(),
        cpu: HostCpu {
            arch: Some(arch),
            pages: node.page_sizes().into_iter().map(page).collect(),
            ..HostCpu::default()
        },
        power_management: Some(power),
        topology: Some(node.host_topology(|id| node.cell_memory(id))),
        cache: node.host_caches(),
        secmodels: vec![none],
        ..Host::default()
    }
}

fn guest(arch: &str, wordsize: u32) -> Guest {
    Guest {
        os_type: "exe".to_owned(),
        arch: GuestArch {
            name: arch.to_owned(),
            wordsize,
            emulator: Some(controller().to_string_lossy().into_owned()),
            domains: vec![GuestDomain { kind: "lxc".to_owned(), ..GuestDomain::default() }],
            ..GuestArch::default()
        },
        features: None,
    }
}

fn smaller(arch: &str) -> Option<&'static str> {
    match arch {
        "x86_64" => Some("i686"),
        "ppc64" => Some("ppc"),
        "s390x" => Some("s390"),
        _ => None,
    }
}
