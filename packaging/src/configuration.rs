// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `/etc/libvirt/NAME.conf` of daemons and drivers: every key as a comment, with its usual value.

use virtus_core::conf::manual::Key;
use virtus_daemons::settings;
use virtus_daemons::table::{Daemon, Deployment};

use crate::layout::Layout;
use crate::tree::Files;

/// How wide comments are.
const WIDTH: usize = 100;

/// The files of `daemon` and its drivers.
pub(crate) fn add(daemon: &Daemon, layout: &Layout, files: &mut Files) {
    let name = daemon.name;
    let mut text = comment(&format!(
        "Configuration of {name}, see {name}(8). Each key stands with its usual value, or with an example where it \
         usually has none; remove the # to set it. 'systemctl reload {name}' reads the file anew."
    ));
    for subject in settings::of(daemon) {
        chapter(subject.title, &subject.about.replace("NAME", name), subject.keys, &mut text);
    }
    files.add("config", format!("{}/libvirt/{name}.conf", layout.sysconfdir), text);
    // The daemon of all drivers has no package of theirs. What a driver reads is nobody's but its administrator's, so
    // that it stays through every change of packages: an example stands beside it.
    let drivers = daemon.drivers.iter().filter(|_| daemon.deployment == Deployment::Modular);
    for manual in drivers.filter_map(|driver| driver.conf) {
        let mut text = comment(&format!(
            "{about} Write to {file} what is to differ: each key stands here with its usual value, or with an example where \
             it usually has none.",
            about = manual.about,
            file = manual.file,
        ));
        for part in manual.chapters {
            chapter(part.title, part.about, part.keys, &mut text);
        }
        let path = format!("{}/libvirt/{}.example", layout.sysconfdir, manual.file);
        files.add("config", path, text);
    }
}

fn chapter(title: &str, about: &str, keys: &[Key], text: &mut String) {
    text.push_str(&format!("\n\n## {title}\n"));
    text.push_str(&comment(about));
    for key in keys {
        text.push('\n');
        text.push_str(&comment(key.about));
        if !key.heeded {
            text.push_str("# Known, and without effect here.\n");
        }
        text.push_str(&format!("#{} = {}\n", key.name, key.value));
    }
}

/// `about` as lines of comment.
fn comment(about: &str) -> String {
    let mut text = String::new();
    let mut line = String::new();
    for word in about.split_whitespace() {
        if !line.is_empty() && line.len() + 1 + word.len() > WIDTH {
            text.push_str(&format!("#{line}\n"));
            line.clear();
        }
        line.push(' ');
        line.push_str(word);
    }
    if !line.is_empty() {
        text.push_str(&format!("#{line}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use virtus_daemons::table::{LIBVIRTD, VIRTQEMUD};

    fn file(daemon: &Daemon) -> String {
        let mut tree = crate::tree::Tree::default();
        add(daemon, &Layout::default(), tree.package("x"));
        let own = format!("/{}.conf", daemon.name);
        tree.texts().filter(|(path, _)| path.ends_with(&own)).map(|(_, text)| text).collect()
    }

    #[test]
    fn only_daemons_that_listen_on_tcp_have_its_keys() {
        assert!(file(&LIBVIRTD).contains("\n#listen_tls = 1\n"));
        let text = file(&VIRTQEMUD);
        assert!(!text.contains("tls") && text.contains("\n#max_clients = 5000\n"), "{text}");
    }
}
