// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Root file systems that want to lead the controller out: refused, and nothing outside is touched.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use virtus_lxc::blueprint::{Mount, Source};

use crate::bed::{Bed, run};
use crate::{Case, Outcome, contains, equal};

pub(crate) const CASES: &[Case] = &[
    ("symbolic_links_are_refused", symbolic_links_are_refused),
    ("symbolic_links_that_come_and_go_lead_nowhere", symbolic_links_that_come_and_go_lead_nowhere),
];

fn symbolic_links_are_refused() -> Outcome {
    for place in ["dev", "proc", "sys", "mnt", "mnt/a", "var/lib/x"] {
        for target in ["absolute", "../../../../../../relative", "dangling"] {
            let mut bed = Bed::new("echo ran > /out");
            let victim = bed.beside("victim");
            fs::create_dir(&victim).unwrap();
            let link = bed.root(place);
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            if link.is_dir() {
                fs::remove_dir(&link).unwrap();
            }
            match target {
                "absolute" => symlink(&victim, &link).unwrap(),
                "dangling" => symlink(victim.join("new"), &link).unwrap(),
                _ => symlink("../victim", &link).unwrap(),
            }
            let ram = |path: &str| Mount {
                source: Source::Ram { bytes: 4096 },
                target: path.into(),
                read_only: false,
                id_mapped: false,
            };
            bed.blueprint.mounts = vec![ram("/mnt/a/b"), ram("/var/lib/x")];
            let error = match run(bed.run()) {
                Ok(_) => return Err(format!("'{place}' as a {target} link was followed")),
                Err(error) => error,
            };
            contains(&error, "it, or a folder above it, is a symbolic link")?;
            equal("what ran", bed.out().as_str(), "")?;
            equal("outside", fs::read_dir(&victim).unwrap().count(), 0)?;
            bed.left_nothing()?;
        }
    }
    Ok(())
}

fn symbolic_links_that_come_and_go_lead_nowhere() -> Outcome {
    let mut bed = Bed::new("exit 0");
    let victim = bed.beside("victim");
    fs::create_dir(&victim).unwrap();
    let (place, link) = (bed.root("a"), bed.root("link"));
    fs::create_dir(&place).unwrap();
    symlink(&victim, &link).unwrap();
    bed.blueprint.mounts = vec![Mount {
        source: Source::Ram { bytes: 4096 },
        target: "/a/b/c".into(),
        read_only: false,
        id_mapped: false,
    }];
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                swap(&place, &link);
            }
        });
        for _ in 0..20 {
            // It starts, or it is refused.
            let _ = run(bed.run());
        }
        done.store(true, Ordering::Relaxed);
    });
    equal("outside", fs::read_dir(&victim).unwrap().count(), 0)?;
    bed.left_nothing()
}

/// A folder becomes a link or a folder again, with no moment between.
fn swap(place: &Path, link: &Path) {
    renameat_with(CWD, place, CWD, link, RenameFlags::EXCHANGE).unwrap();
}
