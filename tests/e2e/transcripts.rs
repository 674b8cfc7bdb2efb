// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What `virsh` prints, word for word: transcripts recorded with the stock daemon, replayed with ours.
//!
//! A file in `transcripts/` is what a person would see: lines `$ command` and what virsh answers, errors included. The
//! commands are read from it, so a new transcript is a file of commands; `UPDATE_EXPECT=1 VIRTUS_TEST_BACKEND=stock`
//! fills in the answers. What differs from run to run is replaced by words (`FOLDER`, `GUEST`, `SOME`).

use std::path::{Path, PathBuf};

use virtus_tests::{Outcome, Testbed, guest_folder};

/// What the stock daemon tells and ours does not yet: calls of newer clients that no other client misses.
/// Of a running guest's XML: the features that QEMU gave to its CPU, and where the chains of images end.
const NOT_YET: &[&str] =
    &["Autostart Once:", "Messages:", "<feature policy='require' name=", "<backingStore/>"];

/// The names of all transcripts, sorted.
pub(crate) fn names() -> Vec<String> {
    crate::names_in(&folder(), ".txt")
}

/// Replays one transcript; what differs from it is the error.
pub(crate) fn replay(name: &str) -> Outcome {
    let file = folder().join(format!("{name}.txt"));
    let expected = std::fs::read_to_string(&file)?;
    let bed = Testbed::new()?;
    for entry in std::fs::read_dir(folder())? {
        let path = entry?.path();
        if path.extension().is_some_and(|kind| kind == "xml") {
            let text = std::fs::read_to_string(&path)?;
            let name =
                path.file_name().and_then(|name| name.to_str()).ok_or("a name that is no text")?;
            bed.write(name, &concrete(&bed, &text)?)?;
        }
    }
    let mut found = String::new();
    for line in expected.lines().filter(|line| line.starts_with("$ ") || line.starts_with('#')) {
        found += line;
        found.push('\n');
        let command = line.trim_start_matches("$ ");
        if let Some(image) = command.strip_prefix("image ") {
            let path = bed.path(image).display().to_string();
            bed.run("qemu-img", &["create", "-q", "-f", "qcow2", &path, "64M"])?;
        } else if !line.starts_with('#') {
            let done = bed.try_virsh(&concrete(&bed, command)?)?;
            let answer = general(&bed, &format!("{}{}", done.out.trim_end(), errors(&done.err)))?;
            // Hints are what ours adds to errors, on lines of their own.
            let told = |line: &&str| !line.is_empty() && !line.starts_with("hint: ");
            for line in answer.lines().map(str::trim_end).filter(told) {
                found += line;
                found.push('\n');
            }
        }
    }
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        return Ok(std::fs::write(&file, found)?);
    }
    match differences(&expected, &found) {
        None => Ok(()),
        Some(text) => Err(text.into()),
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/transcripts")
}

/// Errors stand after what was printed before them.
fn errors(text: &str) -> String {
    if text.trim().is_empty() { String::new() } else { format!("\n{}", text.trim_end()) }
}

fn concrete(bed: &Testbed, text: &str) -> Outcome<String> {
    let folder = bed.path("").display().to_string();
    let guest = guest_folder()?.display().to_string();
    Ok(text.replace("FOLDER", folder.trim_end_matches('/')).replace("GUEST", &guest))
}

/// The other way; the stock daemon's paths lie at the machine's own places, ours below the folder.
fn general(bed: &Testbed, text: &str) -> Outcome<String> {
    let folder = bed.path("").display().to_string();
    let folder = folder.trim_end_matches('/');
    let guest = guest_folder()?.display().to_string();
    let mut text = text.replace(&guest, "GUEST");
    for place in [
        "/etc/libvirt",
        "/run/libvirt",
        "/var/lib/libvirt",
        "/var/log/libvirt",
        "/var/cache/libvirt",
    ] {
        text = text.replace(&format!("{folder}{place}"), place);
    }
    Ok(text.replace(folder, "FOLDER").lines().map(steady).collect::<Vec<_>>().join("\n"))
}

/// A line without what is another every time: CPU time, terminal numbers, and rules as long as the folder's name.
fn steady(line: &str) -> String {
    if line.starts_with("CPU time:") {
        return "CPU time:       SOME".to_owned();
    }
    if line.len() > 3 && line.bytes().all(|byte| byte == b'-') {
        return "----".to_owned();
    }
    // Numbers of images are of use only to who reads them in the same run.
    let line = match line.split_once(" index='") {
        Some((source, _)) if source.contains("<source ") => format!("{source} index='N'/>"),
        _ => line.replace("' check='full'>", "' check='none'>"),
    };
    let mut parts = line.split("/dev/pts/");
    let mut steady = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        steady += "/dev/pts/N";
        steady += part.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    steady
}

/// The commands with other answers, and the first lines that differ in each.
fn differences(expected: &str, found: &str) -> Option<String> {
    let (mut wanted, got) = (answers(expected), answers(found));
    for (_, lines) in &mut wanted {
        lines.retain(|line| !NOT_YET.iter().any(|start| line.trim_start().starts_with(start)));
    }
    let mut text = String::new();
    let mut count = 0;
    for ((command, wanted), (_, got)) in wanted.iter().zip(&got) {
        let got: Vec<&str> = got
            .iter()
            .copied()
            .filter(|line| !NOT_YET.iter().any(|start| line.trim_start().starts_with(start)))
            .collect();
        if *wanted == got {
            continue;
        }
        count += 1;
        text += &format!("\n{command}");
        let missing =
            wanted.iter().filter(|line| !got.contains(line)).map(|line| format!("\n  - {line}"));
        let surplus =
            got.iter().filter(|line| !wanted.contains(line)).map(|line| format!("\n  + {line}"));
        let lines: Vec<String> = missing.chain(surplus).collect();
        if lines.is_empty() {
            text += "\n  (the same lines in another order)";
        }
        text.extend(lines.into_iter().take(20));
    }
    (count > 0)
        .then(|| format!("{count} of {} answers differ (- stock, + found){text}", wanted.len()))
}

/// Each command with the lines that answer it.
fn answers(transcript: &str) -> Vec<(&str, Vec<&str>)> {
    let mut answers: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in transcript.lines() {
        match answers.last_mut() {
            Some((_, lines)) if !line.starts_with(['$', '#']) => lines.push(line),
            _ => answers.push((line, Vec::new())),
        }
    }
    answers
}
