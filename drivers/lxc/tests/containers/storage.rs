// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a container mounts.

use std::fs::File;
use std::path::Path;

use virtus_host::process::Run;
use virtus_lxc::blueprint::{Mount, Source};

use crate::bed::{Bed, run, write};
use crate::{Case, Outcome, contains, equal};

pub(crate) const CASES: &[Case] = &[
    ("folders_files_and_memory", folders_files_and_memory),
    ("read_only_means_all_of_it", read_only_means_all_of_it),
    ("an_id_mapped_container_cannot_lift_read_only", an_id_mapped_container_cannot_lift_read_only),
    ("an_image_is_a_disk", an_image_is_a_disk),
];

fn mount(source: Source, target: &str, read_only: bool) -> Mount {
    Mount { source, target: target.into(), read_only, id_mapped: false }
}

fn bind(path: &Path, target: &str, read_only: bool) -> Mount {
    mount(Source::Bind { path: path.to_owned(), recursive: false }, target, read_only)
}

fn folders_files_and_memory() -> Outcome {
    let mut bed = Bed::new(
        "cat /data/file /etc/one; echo new > /data/new; echo x > /ram/x; cat /again/x; \
         df /ram | tail -1 | tr -s ' ' | cut -d' ' -f2",
    );
    bed.blueprint.init.args[1].insert_str(0, "exec > /out 2>&1\n");
    let folder = bed.beside("folder");
    std::fs::create_dir(&folder).unwrap();
    write(&folder.join("file"), "from the host\n");
    bed.blueprint.mounts = vec![
        bind(&folder, "/data", false),
        bind(&folder.join("file"), "/etc/one", true),
        mount(Source::Ram { bytes: 1 << 20 }, "/ram", false),
        mount(Source::Inner("/ram".into()), "/deep/er/../../again", false),
    ];
    contains(&run(bed.run()).unwrap_err(), "'/deep/er/../../again' contains '..'")?;
    bed.left_nothing()?;
    bed.blueprint.mounts[3].target = "/again".into();
    equal("the container", run(bed.run())?.as_str(), "from the host\nfrom the host\nx\n1024\n")?;
    equal("the host", std::fs::read_to_string(folder.join("new")).unwrap().as_str(), "new\n")
}

fn read_only_means_all_of_it() -> Outcome {
    let mut bed = Bed::new(
        "for f in /x /data/x /bin/x /ram/x; do (echo x > $f) 2>&1 | sed 's/.*: //'; done > /ram/out; cat /ram/out > /data2/out",
    );
    bed.blueprint.root.read_only = true;
    let folder = bed.beside("folder");
    std::fs::create_dir(&folder).unwrap();
    bed.blueprint.mounts = vec![
        bind(&folder, "/data", true),
        bind(&folder, "/data2", false),
        mount(Source::Ram { bytes: 1 << 20 }, "/ram", false),
    ];
    run(bed.run())?;
    let out = std::fs::read_to_string(folder.join("out")).unwrap();
    equal("the container", out.as_str(), "Read-only file system\n".repeat(3).as_str())
}

fn an_id_mapped_container_cannot_lift_read_only() -> Outcome {
    let mut bed = Bed::new(
        "mount -o remount,rw,bind /data 2>&1; umount /data 2>&1; echo x > /data/x; ls /data",
    );
    bed.blueprint.init.args[1].insert_str(0, "exec > /out 2>&1\n");
    bed.map_ids();
    let folder = bed.beside("folder");
    std::fs::create_dir(&folder).unwrap();
    write(&folder.join("file"), "");
    bed.blueprint.mounts = vec![bind(&folder, "/data", true)];
    let out = run(bed.run())?;
    contains(&out, "Read-only file system\nfile\n")?;
    equal("the host", folder.join("x").exists(), false)
}

fn an_image_is_a_disk() -> Outcome {
    let mut bed = Bed::new(
        "grep /disk /proc/mounts | cut -d' ' -f3,4 | cut -d, -f1; (echo x > /disk/x) 2>&1 | sed 's/.*: //'",
    );
    bed.blueprint.init.args[1].insert_str(0, "exec > /out 2>&1\n");
    let image = bed.beside("image");
    File::create(&image).and_then(|file| file.set_len(4 << 20)).unwrap();
    bed.blueprint.mounts = vec![mount(Source::Image(image.clone()), "/disk", true)];
    let error = run(bed.run()).unwrap_err();
    contains(&error, "has no file system that is known")?;
    let made = run(Run::new("mkfs.ext4").arg("-q").arg(&image).output(crate::bed::PATIENCE));
    if made.is_err() {
        return Ok(());
    }
    equal("the container", run(bed.run())?.as_str(), "ext4 ro\nRead-only file system\n")
}
