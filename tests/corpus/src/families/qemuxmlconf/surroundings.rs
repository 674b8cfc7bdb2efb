// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The surroundings that the corpus describes: capabilities by name, a fixed host, descriptors with known numbers.

use std::collections::BTreeMap;

use serde_json::Value;
use virtus_qemu::caps::{Capabilities, Flag, GicVersion, Machine};
use virtus_qemu::complete::{Defaults, HostAudio};
use virtus_qemu::firmware::{Firmware, in_force};
use virtus_qemu::plan::{
    Config, Context, Descriptor, Dirs, FdKey, HugePages, Sealed, What, descriptors,
};
use virtus_qemu::validate::Host;
use virtus_xml::domain::graphics::{GraphicsType, ListenType};
use virtus_xml::domain::interface::{ActualNetwork, Interface, InterfaceSource, InterfaceType};
use virtus_xml::value::YesNo;
use virtus_xml::{Document, Domain, Network, NetworkPort, ParseFlags};

use super::disks;
use crate::{Case, Corpus};

/// The capabilities of a case: aliases of machines are dropped, so that `pc` stays as it is written.
pub(super) fn capabilities(corpus: &Corpus, case: &Case) -> Result<Capabilities, String> {
    let name = case.param("qemu_caps").ok_or("the case names no capabilities")?;
    let mut caps = Capabilities::clone(&*corpus.qemu(name)?);
    for accelerator in &mut caps.accelerators {
        let machines = std::mem::take(&mut accelerator.machines);
        for machine in machines {
            let plain = Machine { alias: None, ..machine };
            let alias = machine.alias.map(|name| Machine { name, ..plain.clone() });
            accelerator.machines.extend(alias.into_iter().chain([plain]));
        }
        // A case that states the host's CPU leaves no room for what QEMU said of another.
        if case.param("host_cpu").is_some() {
            accelerator.host_cpu = None;
        }
    }
    if let Some(versions) = case.params["gic"].as_array().filter(|list| !list.is_empty()) {
        let versions = versions.iter().filter_map(|version| version.as_u64()?.try_into().ok());
        caps.gic =
            versions.map(|version| GicVersion { version, kernel: true, emulated: true }).collect();
    }
    let flags = |key| case.words(key).into_iter().filter_map(Flag::from_name);
    flags("caps_add").for_each(|flag| caps.flags.insert(flag));
    flags("caps_del").for_each(|flag| caps.flags.remove(flag));
    Ok(caps)
}

/// The firmware descriptors of the data.
pub(in crate::families) fn firmwares(corpus: &Corpus) -> Result<Vec<Firmware>, String> {
    let folders = ["etc/qemu/firmware", "usr/share/qemu/firmware"]
        .map(|name| corpus.folder(&format!("qemufirmwaredata/{name}")));
    let folders = folders.into_iter().collect::<Result<Vec<_>, _>>()?;
    let files = in_force(folders);
    Ok(files.iter().filter_map(|file| Firmware::parse(&file.name, &file.text).ok()).collect())
}

/// The defaults of a case.
pub(in crate::families) fn defaults(corpus: &Corpus, params: &Value) -> Result<Defaults, String> {
    let flags = params["parse_flags"].as_array().cloned().unwrap_or_default();
    let config = &params["driver_config"];
    let env = |name: &str| params["env"][name].as_str();
    Ok(Defaults {
        abi_update: flags.iter().any(|flag| flag == "abi-update"),
        dirs: dirs(),
        host_audio: HostAudio::of_variables(env("QEMU_AUDIO_DRV"), env("SDL_AUDIODRIVER")),
        vnc_allow_host_audio: truth(&config["vnc_allow_host_audio"]).unwrap_or(false),
        nographics_allow_host_audio: truth(&config["nographics_allow_host_audio"]).unwrap_or(false),
        firmwares: firmwares(corpus)?,
    })
}

/// What the host has to offer.
pub(super) fn host(params: &Value) -> Host {
    let only = params["env"]["VIR_TEST_MOCK_FAKE_TPM_VERSION"].as_str();
    let versions = only.map_or(vec!["1.2", "2.0"], |version| vec![version]);
    Host { tpm_versions: Some(versions.into_iter().map(str::to_owned).collect()) }
}

fn truth(value: &Value) -> Option<bool> {
    value.as_bool().or_else(|| value.as_i64().map(|number| number != 0))
}

/// The configuration of a case.
fn config(params: &Value) -> Config {
    let mut config = Config {
        spice_password: Some("123456".to_owned()),
        vnc_sasl_dir: Some("/etc/sasl2".to_owned()),
        spice_sasl_dir: Some("/etc/sasl2".to_owned()),
        ..Config::default()
    };
    let given = &params["driver_config"];
    let set = |target: &mut bool, key: &str| {
        if let Some(value) = truth(&given[key]) {
            *target = value;
        }
    };
    set(&mut config.vnc_tls, "vnc_tls");
    set(&mut config.vnc_tls_x509_verify, "vnc_tls_x509_verify");
    set(&mut config.vnc_sasl, "vnc_sasl");
    set(&mut config.vnc_auto_unix_socket, "vnc_auto_unix_socket");
    set(&mut config.spice_tls, "spice_tls");
    set(&mut config.spice_sasl, "spice_sasl");
    set(&mut config.spice_auto_unix_socket, "spice_auto_unix_socket");
    set(&mut config.chardev_tls, "chardev_tls");
    set(&mut config.chardev_tls_x509_verify, "chardev_tls_x509_verify");
    set(&mut config.nbd_tls, "nbd_tls");
    set(&mut config.dump_guest_core, "dump_guest_core");
    let text = |key: &str| given[key].as_str().map(str::to_owned);
    config.vnc_tls_x509_secret_uuid = text("vnc_tls_x509_secret_uuid");
    config.chardev_tls_x509_secret_uuid = text("chardev_tls_x509_secret_uuid");
    config.nbd_tls_x509_secret_uuid = text("nbd_tls_x509_secret_uuid");
    if let Some(listen) = text("vnc_listen") {
        config.vnc_listen = listen;
    }
    if let Some(listen) = text("spice_listen") {
        config.spice_listen = listen;
    }
    config
}

/// What the driver puts into a definition before it starts.
pub(super) fn prepare(corpus: &Corpus, domain: &mut Domain, params: &Value) {
    let config = config(params);
    let dir = format!("/var/lib/libvirt/qemu/domain--1-{}", domain.name);
    for graphics in &mut domain.body.devices.graphics {
        let rendered = graphics.kind == GraphicsType::EglHeadless
            || graphics.gl.as_ref().is_some_and(|gl| gl.enable == Some(YesNo::Yes));
        if rendered && graphics.kind != GraphicsType::Sdl {
            let gl = graphics.gl.get_or_insert_with(Default::default);
            gl.rendernode.get_or_insert_with(|| "/dev/dri/foo".to_owned());
        }
        if graphics.kind == GraphicsType::Dbus && graphics.p2p != Some(YesNo::Yes) {
            let socket =
                format!("unix:path=/var/run/libvirt/qemu/dbus/-1-{}-dbus.sock", domain.body.name);
            graphics.address.get_or_insert(socket);
        }
        let auto = graphics.autoport == Some(YesNo::Yes);
        match graphics.kind {
            GraphicsType::Vnc => {
                if auto {
                    graphics.port = Some(5900);
                }
                if graphics.websocket == Some(-1) {
                    graphics.websocket = Some(5700);
                }
            }
            GraphicsType::Spice if auto => {
                graphics.port = Some(5901);
                if config.spice_tls {
                    graphics.tls_port = Some(5902);
                }
            }
            GraphicsType::Spice => {}
            _ => {}
        }
        let automatic = match graphics.kind {
            GraphicsType::Vnc => config.vnc_auto_unix_socket,
            GraphicsType::Spice => config.spice_auto_unix_socket,
            _ => false,
        };
        for listen in &mut graphics.listens {
            if let (ListenType::Network, Some(name)) = (listen.kind, &listen.network) {
                listen.address = network_address(corpus, name);
            }
        }
        if automatic
            && let Some(listen) = graphics.listens.first_mut()
            && listen.kind == ListenType::Address
            && listen.address.is_none()
        {
            listen.kind = ListenType::Socket;
            listen.socket = Some(format!("{dir}/{}.sock", graphics.kind));
        }
    }
    for net in &mut domain.body.devices.interfaces {
        net.actual = plugged(corpus, net).map(Box::new);
    }
    if let Some(vsock) = &mut domain.body.devices.vsock
        && let Some(cid) = vsock.cid.as_mut().filter(|cid| cid.auto == Some(YesNo::Yes))
    {
        cid.address = Some(42);
    }
}

/// Where a card on the network `NET;PORT` is plugged if the network gives it a device of the host.
fn plugged(corpus: &Corpus, net: &Interface) -> Option<ActualNetwork> {
    let name = net.source.as_ref()?.network.as_deref()?;
    let (_, file) = name.split_once(';').filter(|(_, file)| !file.is_empty())?;
    let text = corpus.read(&format!("virnetworkportxml2xmldata/{file}.xml")).ok()?;
    let plug = NetworkPort::parse(&text, ParseFlags::empty()).ok()?.value.plug?;
    let source = InterfaceSource { pci_address: Some(plug.address?), ..Default::default() };
    let kind = InterfaceType::Hostdev;
    Some(ActualNetwork { kind, source: Some(source), ..Default::default() })
}

/// The host's address on the network behind `NET;PORT`.
fn network_address(corpus: &Corpus, name: &str) -> Option<String> {
    let file = name.split(';').next().unwrap_or(name);
    let text = corpus.read(&format!("networkxml2xmlin/{file}.xml")).ok()?;
    let network = Network::parse(&text, ParseFlags::INACTIVE).ok()?.value;
    network.ips.first().map(|ip| ip.address.to_string())
}

/// The context of a live definition.
pub(in crate::families) fn context(domain: &Domain, params: &Value) -> Context {
    let mut secrets = BTreeMap::new();
    let sealed = Sealed {
        data: "9eao5F8qtkGt+seB1HYivWIxbtwUu6MQtg1zpj/oDtUsPr1q8wBYM91uEHCn6j/1".to_owned(),
        iv: "AAECAwQFBgcICQoLDA0ODw==".to_owned(),
    };
    for id in secret_ids(domain) {
        secrets.insert(id, sealed.clone());
    }
    let mut peers = BTreeMap::new();
    for tpm in &domain.devices.tpms {
        peers.insert(tpm.info.alias.clone().unwrap_or_default(), "/dev/test".to_owned());
    }
    for hostdev in &domain.devices.hostdevs {
        peers.insert(hostdev.info.alias.clone().unwrap_or_default(), "/dev/sg0".to_owned());
    }
    let dir = format!("{}/domain--1-{}", dirs().lib, domain.name);
    peers.insert("pr-helper0".to_owned(), format!("{dir}/pr-helper0.sock"));
    Context {
        id: -1,
        dirs: dirs(),
        config: config(params),
        hugetlbfs: vec![
            HugePages { mount: "/dev/hugepages2M".to_owned(), size_kib: 2048, default: true },
            HugePages { mount: "/dev/hugepages1G".to_owned(), size_kib: 1_048_576, default: false },
        ],
        fds: fds(domain, params),
        secrets,
        host_cdroms: vec!["/dev/cdrom".to_owned()],
        peers,
        host_arch: params["arch"].as_str().unwrap_or("x86_64").to_owned(),
        fd_groups: disks::fd_groups(params),
        format_nodes: false,
        nbdkit: disks::nbdkit(params, &dir),
        auto_nodes: vec![0, 1, 2, 3],
        cpu_nodes: (0..64).map(|cpu| (cpu, cpu / 4)).collect(),
        pipewire_dir: params["env"]["PIPEWIRE_RUNTIME_DIR"].as_str().map(str::to_owned),
        incoming: params["migrate_fd"].as_i64().map(|fd| format!("fd:{fd}")),
        now: 1_234_567_890,
        zone_seconds: -1800,
    }
}

/// The driver's folders.
fn dirs() -> Dirs {
    let lib = "/var/lib/libvirt/qemu".to_owned();
    Dirs {
        channel: "/var/run/libvirt/qemu/channel".to_owned(),
        ram: format!("{lib}/ram"),
        nvram: format!("{lib}/nvram"),
        dbus: "/var/run/libvirt/qemu/dbus".to_owned(),
        passt: "/var/run/libvirt/qemu/passt".to_owned(),
        lib,
    }
}

fn secret_ids(domain: &Domain) -> Vec<String> {
    let mut out = vec!["vnc-tls-creds0-secret0".to_owned()];
    let images = (0..64).map(|number| format!("libvirt-{number}"));
    for node in images.chain(["libvirt-pflash1".to_owned()]) {
        for tail in [
            "backend-secret0",
            "storage-auth-secret0",
            "storage-httpcookie-secret0",
            "format-encryption-secret0",
            "format-encryption-secret1",
            "format-encryption-secret2",
            "storage-encryption-secret0",
            "storage-encryption-secret1",
            "storage-encryption-secret2",
        ] {
            out.push(format!("{node}-{tail}"));
        }
        out.push(format!("obj{node}-storage_tls0-secret0"));
    }
    let devices = &domain.devices;
    for chardev in devices.serials.iter().chain(&devices.channels).chain(&devices.consoles) {
        let alias = chardev.info.alias.clone().unwrap_or_default();
        out.push(format!("char{alias}-secret0"));
    }
    out
}

fn fds(domain: &Domain, params: &Value) -> BTreeMap<FdKey, Vec<i32>> {
    let mut out = BTreeMap::new();
    for Descriptor { key, what, count, .. } in descriptors(domain) {
        let first = match (&key, &what) {
            (FdKey::Tap(alias), _) => {
                let plain = domain.devices.interfaces.iter().any(|net| {
                    net.info.alias.as_ref() == Some(alias)
                        && matches!(net.kind, InterfaceType::Ethernet | InterfaceType::Direct)
                });
                if plain { 3 } else { 102 }
            }
            (FdKey::VhostNet(_), _) => 44,
            (FdKey::Vdpa(device), _) => disks::vdpa_fd(params, device).unwrap_or(1732),
            (FdKey::VhostVsock, _) => 6789,
            (FdKey::VhostScsi(_), _) => 3,
            (FdKey::Tpm, _) => 1730,
            (FdKey::TpmCancel, _) => 1731,
            (FdKey::File(_), _) => 1750,
            (FdKey::Log(_), _) => 1751,
            (_, What::Listen(_) | What::Monitor | What::Renderer) => 1729,
            _ => 99,
        };
        let count = i32::try_from(count).unwrap_or(i32::MAX);
        out.insert(key, (first..first + count).collect());
    }
    out
}
