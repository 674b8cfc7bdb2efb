// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `/etc/libvirt/NAME.conf`: every key as a comment, with its usual value.

use virtus_daemons::settings::{self, Subject};
use virtus_daemons::table::Daemon;

use crate::layout::Layout;
use crate::tree::Files;

/// How wide comments are.
const WIDTH: usize = 100;

/// The file of `daemon`.
pub(crate) fn add(daemon: &Daemon, layout: &Layout, files: &mut Files) {
    let name = daemon.name;
    let mut text = comment(&format!(
        "Configuration of {name}, see {name}(8). Each key stands with its usual value, or with an example where it \
         usually has none; remove the # to set it. 'systemctl reload {name}' reads the file anew."
    ));
    for subject in settings::of(daemon) {
        text.push_str(&format!("\n\n## {}\n", subject.title));
        text.push_str(&comment(&subject.about.replace("NAME", name)));
        keys(subject, &mut text);
    }
    files.add("config", format!("{}/libvirt/{name}.conf", layout.sysconfdir), text);
}

fn keys(subject: &Subject, text: &mut String) {
    for setting in subject.settings {
        text.push('\n');
        text.push_str(&comment(setting.about));
        if !setting.heeded {
            text.push_str("# Known, and without effect here.\n");
        }
        text.push_str(&format!("#{} = {}\n", setting.name, setting.value));
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
        tree.texts().map(|(_, text)| text.to_owned()).collect()
    }

    #[test]
    fn only_daemons_that_listen_on_tcp_have_its_keys() {
        assert!(file(&LIBVIRTD).contains("\n#listen_tls = 1\n"));
        let text = file(&VIRTQEMUD);
        assert!(!text.contains("tls") && text.contains("\n#max_clients = 5000\n"), "{text}");
    }
}
