// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Real and broken binaries, asked through the cache.

use virtus_host::process::find_program;

use super::super::{Accel, Flag};
use super::*;

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("virtus-caps-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn program(&self, name: &str, script: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.0.join(name);
        store::write(&path, script.as_bytes(), 0o755).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn a_real_binary_is_asked_once_and_then_remembered() {
    let Some(binary) = find_program("qemu-system-x86_64") else {
        eprintln!("skipped: no qemu-system-x86_64");
        return;
    };
    let folder = Folder::new("real");
    let cache = Cache::new(&folder.0, None);
    assert!(cache.known(&binary).is_none());
    let (first, second) = tokio::join!(cache.get(&binary), cache.get(&binary));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert!(Arc::ptr_eq(&first, &second));
    assert_eq!(first.arch, "x86_64");
    assert!(first.version >= 6_000_000);
    assert!(first.has(Flag::Tcg) && first.has(Flag::VirtioBlkQueueSize));
    let tcg = first.accelerator(Accel::Tcg).unwrap();
    assert!(tcg.machine("q35").is_some() && tcg.cpu("qemu64").is_some());
    assert!(tcg.host_cpu.is_some());
    assert_eq!(first.has(Flag::Kvm), first.kvm_trouble.is_none());
    assert_eq!(first.has(Flag::Kvm), first.accelerator(Accel::Kvm).is_some());
    assert!(cache.known(&binary).is_some());

    let saved = || fs::metadata(cache.file(&binary)).unwrap().modified().unwrap();
    let then = saved();
    let asked = probe(&binary, None).await.unwrap();
    assert_eq!(Capabilities::from_cache_xml(&asked.to_cache_xml()).unwrap(), asked);
    let later = Cache::new(&folder.0, None).get(&binary).await.unwrap();
    assert_eq!(*later, *first);
    assert_eq!(saved(), then, "it was asked again");
}

#[tokio::test]
async fn what_is_no_qemu_is_named_with_its_complaint() {
    let folder = Folder::new("broken");
    let cache = Cache::new(&folder.0, None);
    let missing = cache.get(Path::new("/no/such/qemu")).await.unwrap_err();
    assert!(missing.to_string().contains("cannot check QEMU binary '/no/such/qemu'"), "{missing}");

    let binary = folder.program("qemu", "#!/bin/sh\necho 'qemu: lib.so is missing' >&2\nexit 1\n");
    let error = cache.get(&binary).await.unwrap_err();
    assert!(error.text().ends_with("can do: qemu: lib.so is missing"), "{error}");
    assert!(error.hint_text().is_some());
    assert!(cache.known(&binary).is_none());
}

#[test]
fn the_file_is_where_libvirt_has_it() {
    let cache = Cache::new("/cache", None);
    assert_eq!(
        cache.file(Path::new("/usr/bin/qemu-system-x86_64")),
        Path::new("/cache/926803a9278e445ec919c2b6cbd8c1c449c75b26dcb1686b774314180376c725.xml")
    );
}
