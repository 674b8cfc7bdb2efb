// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Owners that are given away and come back.

use super::*;

struct Folder(PathBuf);

impl Folder {
    /// In the build's own folder: temporary file systems may have no attributes.
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../target")
            .join(format!("label-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::File::create(&path).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn guest(uid: u32) -> Identity {
    Identity { uid, gid: uid, groups: Vec::new() }
}

fn is_root() -> bool {
    let root = Identity::current().is_root();
    if !root {
        eprintln!("skipped: needs root");
    }
    root
}

#[test]
fn files_are_given_away_and_come_back_with_the_last_user() {
    if !is_root() {
        return;
    }
    let folder = Folder::new("count");
    let path = folder.file("disk");
    std::os::unix::fs::chown(&path, Some(5), Some(6)).unwrap();
    let steps = plan([(path.as_path(), Use::Own), (path.as_path(), Use::Own)], &guest(77));
    assert_eq!(steps.len(), 1);
    apply(&steps).unwrap();
    assert_eq!(owner(&path).unwrap(), Owner { uid: 77, gid: 77 });
    let remembers = memory::add_user(&open_path(&path).unwrap(), Owner { uid: 0, gid: 0 }).is_ok();
    if !remembers {
        eprintln!("skipped: no trusted attributes here");
        return;
    }
    restore(&steps);
    assert_eq!(owner(&path).unwrap(), Owner { uid: 77, gid: 77 }, "the other one still uses it");

    let other = plan([(path.as_path(), Use::Own)], &guest(78));
    let error = apply(&other).unwrap_err();
    assert!(error.text().contains("already in use by another guest of 77:77"), "{error}");
    restore(&steps);
    assert_eq!(owner(&path).unwrap(), Owner { uid: 5, gid: 6 });
}

#[test]
fn what_fails_takes_the_rest_back() {
    if !is_root() {
        return;
    }
    let folder = Folder::new("undo");
    let path = folder.file("disk");
    let steps =
        plan([(path.as_path(), Use::Own), (&folder.0.join("missing"), Use::Own)], &guest(77));
    let error = apply(&steps).unwrap_err();
    assert!(error.text().contains("missing': No such file or directory"), "{error}");
    assert_eq!(owner(&path).unwrap().uid, 0);
}

#[test]
fn what_everybody_needs_is_left_alone() {
    let paths = ["/dev/null", "/dev/zero", "/dev/urandom"].map(Path::new);
    assert_eq!(plan(paths.map(|path| (path, Use::Own)), &guest(77)), []);
    let readable = Path::new("/etc/passwd");
    assert_eq!(plan([(readable, Use::ReadOnly)], &guest(77)), []);
}
