// SPDX-License-Identifier: Apache-2.0 OR MIT
//! libvirt's own documents of what guests can have, against ours.
//!
//! Left out of the comparison is what needs a map of CPU models (what `host-model` is, who makes a model, which name
//! stands for which version), and RDP, which Virtus does not offer.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its data stops")]

use std::path::{Path, PathBuf};

use serde_json::Value;
use virtus_qemu::caps::{Accel, Capabilities};
use virtus_qemu::domain_caps::{Host, domain_capabilities};
use virtus_qemu::firmware::{FOLDERS, Firmware, in_force};
use virtus_xml::domain_capabilities::DomainCapabilities;
use virtus_xml::value::YesNo;

fn data() -> Option<PathBuf> {
    let shared = std::env::var_os("VIRTUS_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let corpus = shared.join("corpus");
    corpus.join("index.json").is_file().then_some(corpus)
}

fn firmwares(corpus: &Path) -> Vec<Firmware> {
    let folders = FOLDERS.map(|folder| {
        let path = corpus.join("data/qemufirmwaredata").join(folder.trim_start_matches('/'));
        let files = std::fs::read_dir(path).unwrap().map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(path).unwrap())
        });
        files.collect()
    });
    let files = in_force(folders.into());
    files.iter().filter_map(|(name, text)| Firmware::parse(name, text).ok()).collect()
}

/// Takes out what is not compared.
fn comparable(mut document: DomainCapabilities) -> String {
    let os = document.os.as_mut().unwrap();
    os.loader.as_mut().unwrap().values.clear();
    let modes = &mut document.cpu.as_mut().unwrap().modes;
    modes.retain(|mode| mode.name != "host-model");
    for custom in modes.iter_mut().flat_map(|mode| &mut mode.models) {
        custom.model.vendor = None;
        custom.model.canonical = None;
    }
    // Newer than the map of the release.
    let unmapped = ["ClearwaterForest", "SierraForest-v2", "YongFeng"];
    for mode in modes {
        mode.models.retain(|model| !unmapped.iter().any(|new| model.model.name.starts_with(new)));
    }
    for choices in &mut document.devices.graphics.as_mut().unwrap().enums {
        choices.values.retain(|value| value != "rdp");
    }
    document.format()
}

#[test]
fn the_documents_say_what_those_of_libvirt_say() {
    let Some(corpus) = data() else {
        println!("skipped: no corpus beside the repository");
        return;
    };
    let firmwares = firmwares(&corpus);
    let read = |path: &str| std::fs::read_to_string(corpus.join("data").join(path)).unwrap();
    let manifest = std::fs::read_to_string(corpus.join("families/domaincaps/manifest.json"));
    let manifest: Value = serde_json::from_str(&manifest.unwrap()).unwrap();
    let mut cases = 0;
    for case in manifest["cases"].as_array().unwrap() {
        let params = &case["params"];
        let Some(name) = params["qemu_caps"].as_str() else { continue };
        let text = read(&format!("qemucapabilitiesdata/{name}.xml"));
        let mut caps = Capabilities::from_cache_xml(&text).unwrap();
        caps.binary = params["emulator"].as_str().unwrap().into();
        let accel = Accel::of_domain_type(params["virt_type"].as_str().unwrap()).unwrap();
        let host = Host {
            vfio: true,
            tpm_versions: vec!["2.0".to_owned()],
            kvm_max_vcpus: None,
            sev_guests: Some((59, 450)),
        };
        let arch = params["arch"].as_str().unwrap();
        let machine = params["machine"].as_str();
        let ours = domain_capabilities(&caps, accel, arch, machine, &firmwares, &host);
        let theirs = read(case["expected"]["xml"].as_str().unwrap());
        let theirs = DomainCapabilities::parse(&theirs).unwrap().value;
        let host_model = &ours.cpu.as_ref().unwrap().modes[2];
        assert_eq!(host_model.supported, YesNo::No);
        assert_eq!(comparable(ours), comparable(theirs), "{}", case["name"]);
        cases += 1;
    }
    println!("domaincaps caps2domcaps, but for CPU maps and RDP: {cases}/{cases}");
}
