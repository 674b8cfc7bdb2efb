// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Removes logs that nobody has written for `max_age_days`, and files set aside beyond `max_backups`. Blocks.
//!
//! A log is `x.log` and all `x.log.N`; it is as old as the youngest of them. One that is open is not old.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tracing::{info, warn};

use super::rules::Rules;

/// The root of all logs and its folders, not theirs.
const DEPTH: u32 = 1;

/// The files of a log, and when one of them was last written.
struct Log {
    files: Vec<PathBuf>,
    written: SystemTime,
}

/// Looks through all logs once; `open` are those that are written now.
pub(super) fn look_through(rules: &Rules, open: &BTreeSet<PathBuf>, now: SystemTime) {
    let age = Duration::from_secs(rules.max_age_days.saturating_mul(24 * 3600));
    let mut logs = BTreeMap::new();
    collect(&rules.root, DEPTH, rules.max_backups, &mut logs);
    for (path, log) in logs {
        let old = now.duration_since(log.written).is_ok_and(|since| since >= age);
        if old && !open.contains(&path) {
            info!("log '{}' is older than {} days", path.display(), rules.max_age_days);
            log.files.iter().for_each(|file| remove(file));
        }
    }
}

fn collect(folder: &Path, depth: u32, max_backups: usize, logs: &mut BTreeMap<PathBuf, Log>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let file = entry.path();
        let Ok(facts) = entry.metadata() else { continue };
        if facts.is_dir() && depth > 0 {
            collect(&file, depth - 1, max_backups, logs);
        }
        let Some((log, number)) = name(&file).filter(|_| facts.is_file()) else { continue };
        if number.is_some_and(|number| number >= max_backups) {
            remove(&file);
            continue;
        }
        let written = facts.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let log = logs.entry(log).or_insert(Log { files: Vec::new(), written });
        log.written = log.written.max(written);
        log.files.push(file);
    }
}

/// The log that a file belongs to, and its number among those set aside.
fn name(file: &Path) -> Option<(PathBuf, Option<usize>)> {
    let extension = file.extension()?.to_str()?;
    if extension == "log" {
        return Some((file.to_owned(), None));
    }
    let log = file.with_extension("");
    let number = extension.parse().ok()?;
    (log.extension()? == "log").then_some((log, Some(number)))
}

fn remove(file: &Path) {
    if let Err(cause) = fs::remove_file(file) {
        warn!("cannot remove old log '{}': {cause}", file.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_logs_that_nobody_writes_go() {
        let root = std::env::temp_dir().join(format!("virtlogd-aging-{}", std::process::id()));
        fs::create_dir_all(root.join("qemu/deep")).unwrap();
        let files = [
            "qemu/old.log",
            "qemu/old.log.0",
            "qemu/open.log",
            "qemu/deep/x.log",
            "x.txt",
            "y.log.7",
        ];
        for file in files {
            fs::File::create(root.join(file)).unwrap();
        }
        let rules = Rules { max_age_days: 2, root: root.clone(), ..Rules::default() };
        let open = BTreeSet::from([root.join("qemu/open.log")]);
        let left = |now| {
            look_through(&rules, &open, now);
            files.iter().copied().filter(|file| root.join(file).exists()).collect::<Vec<_>>()
        };
        let day = Duration::from_secs(24 * 3600);
        assert_eq!(left(SystemTime::now() + day), files[..5]);
        assert_eq!(left(SystemTime::now() + 3 * day), files[2..5]);
        fs::remove_dir_all(&root).unwrap();
    }
}
