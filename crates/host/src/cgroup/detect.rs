// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Finds out which hierarchies are mounted where.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Cgroups, Controller, Hierarchy};

/// What a hierarchy is, as a mount of it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Version 2.
    Unified,
    /// Version 1 with systemd's name and no controller.
    Systemd,
    /// Version 1 with these controllers.
    First(Vec<Controller>),
}

impl Cgroups {
    /// The hierarchies, to mount them once more.
    #[must_use]
    pub fn kinds(&self) -> Vec<Kind> {
        let kind = |hierarchy: &Hierarchy| match hierarchy {
            Hierarchy { unified: true, .. } => Kind::Unified,
            Hierarchy { named: true, .. } => Kind::Systemd,
            Hierarchy { controllers, .. } => Kind::First(controllers.clone()),
        };
        self.hierarchies.iter().map(kind).collect()
    }

    /// What this host has now.
    #[must_use]
    pub fn detect() -> Self {
        let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
        Self::from_mounts(&read(Path::new("/proc/self/mountinfo")), |group| {
            read(&group.join("cgroup.controllers"))
        })
    }

    /// From the contents of `mountinfo`; `controllers` tells those of a unified group.
    pub(super) fn from_mounts(mountinfo: &str, controllers: impl Fn(&Path) -> String) -> Self {
        let mut hierarchies: Vec<Hierarchy> = Vec::new();
        for mount in mountinfo.lines().filter_map(mount) {
            let found: Vec<Controller> = if mount.unified {
                let names = controllers(&mount.point);
                let names: Vec<&str> = names.split_ascii_whitespace().collect();
                let counted = [Controller::Cpuacct].into_iter();
                Controller::ALL
                    .into_iter()
                    .filter(|c| c.unified_name().is_some_and(|name| names.contains(&name)))
                    // Version 2 counts CPU time in every group, but only where the cpu controller is not
                    // elsewhere does it count that of guests.
                    .chain(counted.filter(|_| names.contains(&"cpu")))
                    .collect()
            } else {
                Controller::ALL
                    .into_iter()
                    .filter(|c| mount.options.split(',').any(|option| option == c.name()))
                    .collect()
            };
            let named = mount.options.split(',').any(|option| option == "name=systemd");
            // systemd's own hierarchy has no controller, but guests have to leave its service there too.
            if (found.is_empty() && !named && !mount.unified)
                || hierarchies.iter().any(|known| known.top == mount.point)
            {
                continue;
            }
            let (unified, top) = (mount.unified, mount.point);
            hierarchies.push(Hierarchy { unified, named, top, controllers: found });
        }
        Self { hierarchies }
    }
}

struct Mount<'a> {
    unified: bool,
    point: PathBuf,
    options: &'a str,
}

fn mount(line: &str) -> Option<Mount<'_>> {
    let (head, tail) = line.split_once(" - ")?;
    let point = head.split(' ').nth(4)?;
    let mut tail = tail.split(' ');
    let (kind, _, options) = (tail.next()?, tail.next()?, tail.next()?);
    let unified = match kind {
        "cgroup" => false,
        "cgroup2" => true,
        _ => return None,
    };
    Some(Mount { unified, point: unescape(point).into(), options })
}

/// The kernel writes blanks as `\040`.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
}
