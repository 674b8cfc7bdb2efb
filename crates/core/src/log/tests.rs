// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is logged, where, and how a line looks.

use std::{env, fs, process};

use super::*;

#[test]
fn filters_and_outputs_read_and_write_alike() {
    let shown = |text| {
        let filters = Filter::parse_all(text).unwrap();
        filters.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    for (text, written) in [
        ("1:qemu 3:rpc", "1:*qemu* 3:*rpc*"),
        (" 4:+util.json:x ", "4:*util.json*"),
        ("1:*a?b*", "1:*a?b*"),
    ] {
        assert_eq!(shown(text), written);
        assert_eq!(shown(written), written);
    }
    let shown = |text| {
        let outputs = Output::parse_all(text).unwrap();
        outputs.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    let text = "1:stderr 3:syslog:virtqemud 2:file:/var/log/x.log 4:journald";
    assert_eq!(shown(text), text);
    assert_eq!(shown("1:stderr 1:file:/x 2:stderr"), "1:file:/x 2:stderr");
}

#[test]
fn what_is_wrong_is_named_in_libvirts_words() {
    for (text, why) in [
        ("qemu", "Malformed format for filter 'qemu'"),
        ("5:qemu", "Invalid priority '5' for filter '5:qemu'"),
        ("debug:qemu", "Invalid priority 'debug' for filter"),
        ("1:", "Invalid match string ''"),
    ] {
        let error = Filter::parse_all(text).unwrap_err().to_string();
        assert!(error.starts_with("invalid argument: ") && error.contains(why), "{error}");
    }
    for (text, why) in [
        ("qemu", "Malformed format for log output 'qemu'"),
        ("0:stderr", "Invalid log priority '0' for log output '0:stderr'"),
        ("1:file:x.log", "'1:file:x.log' needs the absolute path"),
        ("1:file", "'1:file' does not meet the format requirements for destination type 'file'"),
        ("1:syslog:", "does not meet the format requirements for destination type 'syslog'"),
        ("1:console", "Invalid log destination 'console' for log output '1:console'"),
    ] {
        let error = Output::parse_all(text).unwrap_err().to_string();
        assert!(error.starts_with("invalid argument: ") && error.contains(why), "{error}");
    }
}

#[test]
fn a_filter_is_a_part_with_wildcards() {
    for (pattern, category, wanted) in [
        ("qemu", "qemu.monitor", true),
        ("mon", "qemu.monitor", true),
        ("q*tor", "qemu.monitor", true),
        ("q?mu.m", "qemu.monitor", true),
        ("q?monitor", "qemu.monitor", false),
        ("monitor*x", "qemu.monitor", false),
        ("*", "rpc", true),
        ("rpc", "rp", false),
    ] {
        let filters = Filter::parse_all(&format!("1:{pattern}")).unwrap();
        let settings = Settings { filters, ..Settings::new("x") };
        let found = settings.threshold(category) == Level::Debug;
        assert_eq!(found, wanted, "{pattern} in {category}");
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
    let error = active.change(|settings| settings.clone_from(&gone)).unwrap_err().to_string();
    assert!(error.contains("cannot log to '1:file:/nonexistent/x'"), "{error}");
    assert_eq!(active.settings(), settings);
}

#[test]
fn logs_of_others_need_not_be_there_yet() {
    let outputs = Output::parse_all("3:journald 3:syslog:x").unwrap();
    Active::open(Settings { outputs, ..Settings::new("x") }).unwrap();
}
