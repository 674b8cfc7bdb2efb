// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `cargo xtask dist`: everything that packages install beside the programs, and lists of what belongs to which package.
//!
//! `OUT/root` is a tree as it lies on a host; `OUT/packages/NAME.files` has one line for each file of a package: its kind
//! (program, unit, config, manual, data) and its path. Programs are listed only: cargo makes them.
#![expect(clippy::print_stderr, reason = "this is where a program speaks")]
#![expect(clippy::disallowed_methods, reason = "what it writes can be made again")]

mod configuration;
mod layout;
mod manual;
mod roff;
mod systemd;
mod template;
mod tree;

use std::process::ExitCode;

use layout::Layout;
use tree::Tree;

const USAGE: &str = "usage: cargo xtask dist --out DIR [--prefix /usr] [--sysconfdir /etc]
  [--bindir DIR] [--sbindir DIR] [--libexecdir DIR] [--unitdir DIR] [--mandir DIR]
  [--systemd RELEASE]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let made = Layout::read(&arguments)
        .ok_or_else(|| USAGE.to_owned())
        .and_then(|layout| tree(&layout).write(&layout.out).map_err(|error| error.to_string()));
    match made {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Everything that is installed.
fn tree(layout: &Layout) -> Tree {
    let mut tree = Tree::default();
    for daemon in virtus_daemons::table::DAEMONS {
        let files = &mut tree.package(daemon.package);
        files.program(&layout.sbindir, daemon.name);
        systemd::add(daemon, layout, files);
        configuration::add(daemon, layout, files);
        manual::add(daemon, layout, files);
    }
    layout::add_common(layout, &mut tree);
    tree
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_daemon_has_its_program_units_configuration_and_manual_page() {
        let tree = tree(&Layout::default());
        for daemon in virtus_daemons::table::DAEMONS {
            let name = daemon.name;
            for path in [
                format!("/usr/sbin/{name}"),
                format!("/usr/lib/systemd/system/{name}.service"),
                format!("/usr/lib/systemd/system/{name}.socket"),
                format!("/etc/libvirt/{name}.conf"),
                format!("/usr/share/man/man8/{name}.8"),
            ] {
                assert!(tree.has(daemon.package, &path), "{path}");
            }
        }
    }

    #[test]
    fn every_documented_key_stands_in_its_file() {
        let tree = tree(&Layout::default());
        let text = |file: &str| {
            let path = format!("/etc/libvirt/{file}");
            let shown = |at: &str| at.strip_suffix(".example").unwrap_or(at) == path;
            tree.texts().find_map(|(at, text)| shown(at).then_some(text)).unwrap_or_default()
        };
        for part in include_str!("keys.txt").split("\n\n").skip(1) {
            let mut words = part.split_whitespace();
            let of = words.next().unwrap_or_default();
            let daemons = virtus_daemons::table::DAEMONS.iter().filter(|daemon| match of {
                "drivers" => daemon.own.is_none(),
                "listeners" => daemon.listens_on_ip,
                _ => false,
            });
            let mut files: Vec<String> = daemons.map(|one| format!("{}.conf", one.name)).collect();
            if files.is_empty() {
                files.push(of.to_owned());
            }
            for (file, key) in
                files.iter().flat_map(|file| words.clone().map(move |key| (file, key)))
            {
                assert!(text(file).contains(&format!("\n#{key} = ")), "{file}: {key}");
            }
        }
    }

    #[test]
    fn every_option_is_known_and_stands_in_the_manual_page() {
        let tree = tree(&Layout::default());
        for daemon in virtus_daemons::table::DAEMONS {
            let path = format!("/usr/share/man/man8/{}.8", daemon.name);
            let (_, page) = tree.texts().find(|(at, _)| *at == path).expect("a page");
            let listen = (daemon.name == "libvirtd").then_some(("l", "listen"));
            let common = [
                ("h", "help"),
                ("v", "verbose"),
                ("d", "daemon"),
                ("t", "timeout"),
                ("f", "config"),
                ("V", "version"),
                ("p", "pid-file"),
            ];
            let known: Vec<_> = virtus_daemons::options::known_to(daemon).collect();
            assert_eq!(known.len(), 7 + listen.iter().len(), "{}", daemon.name);
            for (short, long) in common.into_iter().chain(listen) {
                assert!(known.iter().any(|one| one.long == long && short.starts_with(one.short)));
                let shown = page.replace('\\', "");
                assert!(shown.contains(&format!("--{long}")), "{}: --{long}", daemon.name);
            }
        }
    }

    #[test]
    fn no_placeholder_is_left() {
        for (path, text) in tree(&Layout::default()).texts() {
            for line in text.lines() {
                assert!(!line.starts_with('?'), "{path}: {line}");
                let mut parts = line.split('@');
                parts.next();
                let left = parts
                    .find(|part| template::is_name(part) && line.contains(&format!("@{part}@")));
                assert_eq!(left, None, "{path}: {line}");
            }
        }
    }
}
