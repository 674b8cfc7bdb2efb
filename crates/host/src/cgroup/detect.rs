// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Finds out which hierarchies are mounted where, and in which group the daemon is.

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
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Self::from_texts(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"), |group| {
            fs::read_to_string(group.join("cgroup.controllers")).unwrap_or_default()
        })
    }

    /// From the contents of `mountinfo` and `cgroup`; `controllers` tells those of a unified group.
    pub(super) fn from_texts(
        mountinfo: &str,
        cgroup: &str,
        controllers: impl Fn(&Path) -> String,
    ) -> Self {
        let mut hierarchies: Vec<Hierarchy> = Vec::new();
        for mount in mountinfo.lines().filter_map(mount) {
            let Some(own) = own_group(cgroup, &mount) else { continue };
            let found: Vec<Controller> = if mount.unified {
                let names = controllers(&own);
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
                || hierarchies.iter().any(|known| known.own == own)
            {
                continue;
            }
            hierarchies.push(Hierarchy { unified: mount.unified, named, own, controllers: found });
        }
        Self { hierarchies }
    }
}

struct Mount<'a> {
    unified: bool,
    root: &'a str,
    point: String,
    options: &'a str,
}

fn mount(line: &str) -> Option<Mount<'_>> {
    let (head, tail) = line.split_once(" - ")?;
    let mut head = head.split(' ').skip(3);
    let (root, point) = (head.next()?, head.next()?);
    let mut tail = tail.split(' ');
    let (kind, _, options) = (tail.next()?, tail.next()?, tail.next()?);
    let unified = match kind {
        "cgroup" => false,
        "cgroup2" => true,
        _ => return None,
    };
    Some(Mount { unified, root, point: unescape(point), options })
}

/// The kernel writes blanks as `\040`.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
}

/// The folder of the group that the process is in, as seen through this mount.
fn own_group(cgroup: &str, mount: &Mount<'_>) -> Option<PathBuf> {
    let path = cgroup.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (number, names, path) = (fields.next()?, fields.next()?, fields.next()?);
        let ours = if mount.unified {
            number == "0" && names.is_empty()
        } else {
            !names.is_empty()
                && names.split(',').all(|name| mount.options.split(',').any(|o| o == name))
        };
        ours.then_some(path)
    })?;
    // Where only a part of the hierarchy is mounted (in a container), paths start at that part.
    let below = path.strip_prefix(mount.root).or_else(|| path.strip_prefix('/')).unwrap_or(path);
    let below = below.trim_start_matches('/');
    let point = Path::new(&mount.point);
    Some(if below.is_empty() || below.starts_with("..") {
        point.to_owned()
    } else {
        point.join(below)
    })
}
