// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is logged, where, and how a line looks.

use std::{env, fs, process};

use super::*;

#[test]
fn filters_and_outputs_read_and_write_alike() {
    for text in ["1:qemu 3:rpc", "4:util.json"] {
        let filters = Filter::parse_all(text).unwrap();
        let written = filters.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(written.join(" "), text);
    }
    let text = "1:stderr 3:syslog:virtqemud 2:file:/var/log/x.log 4:journald";
    let outputs = Output::parse_all(text).unwrap();
    let written = outputs.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(written.join(" "), text);
}

#[test]
fn what_is_wrong_is_named() {
    for (text, why) in [
        ("qemu", "the ':' is missing"),
        ("5:qemu", "the level must be"),
        ("debug:qemu", "the level must be"),
        ("1:", "the category is missing"),
    ] {
        let error = Filter::parse_all(text).unwrap_err().to_string();
        assert!(error.contains(why) && error.contains(text), "{error}");
    }
    for (text, why) in [
        ("1:file:x.log", "absolute path"),
        ("1:file", "after the second ':'"),
        ("1:console", "no such destination"),
    ] {
        let error = Output::parse_all(text).unwrap_err().to_string();
        assert!(error.contains(why) && error.contains(text), "{error}");
    }
}

#[test]
fn the_first_matching_filter_holds() {
    let mut settings = Settings::new("x");
    settings.filters = Filter::parse_all("1:qemu.monitor 4:qemu").unwrap();
    assert_eq!(settings.threshold("qemu.monitor"), Level::Debug);
    assert_eq!(settings.threshold("qemu.start"), Level::Error);
    assert_eq!(settings.threshold("rpc"), Level::Warning);
}

#[test]
fn lines_follow_level_filter_and_change() {
    let file = env::temp_dir().join(format!("virtus-log-{}", process::id()));
    let settings = Settings {
        outputs: Output::parse_all(&format!("1:file:{}", file.display())).unwrap(),
        filters: Filter::parse_all("1:core.log").unwrap(),
        ..Settings::new("x")
    };
    let active = Arc::new(Active::open(settings.clone()).unwrap());
    tracing::subscriber::with_default(active.subscriber(), || {
        tracing::debug!(name = "vm1", "filtered in");
        tracing::info!(target: "virtus_rpc::client", "left out");
        tracing::warn!(target: "virtus_rpc::client", "a warning");
    });
    let text = fs::read_to_string(&file).unwrap();
    fs::remove_file(&file).unwrap();
    let lines = text.lines().collect::<Vec<_>>();
    assert!(lines[0].ends_with(": info : libvirt version: 11.3.0"), "{text}");
    assert!(lines[1].contains(": info : hostname: "), "{text}");
    assert!(lines[2].contains(": debug : core.log.tests:"), "{text}");
    assert!(lines[2].ends_with(" : filtered in name=vm1"), "{text}");
    assert!(lines[3].contains(": warning : rpc.client:") && lines.len() == 4, "{text}");
    let gone = Settings {
        outputs: Output::parse_all("1:file:/nonexistent/x").unwrap(),
        ..settings.clone()
    };
    let error = active.change(gone).unwrap_err().to_string();
    assert!(error.contains("cannot log to '1:file:/nonexistent/x'"), "{error}");
    assert_eq!(active.settings(), settings);
}
