// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `cargo xtask codegen`: from the table (`crates/api/table`) to `generated/` in `api`, `wire`
//! and `client`, and to polkit's list of actions.
//!
//! Invariant: the output depends on the table alone, so `--check` can tell whether somebody edited
//! generated code or forgot to run this.

mod check;
mod emit_api;
mod emit_client;
mod emit_meta;
mod emit_names;
mod emit_policy;
mod emit_wire;
mod lex;
mod names;
mod parse;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use table::Table;

/// The folders that this task owns: a file in them that it does not write is stale.
const OWNED: [&str; 3] =
    ["crates/api/src/generated", "crates/wire/src/generated", "crates/client/src/generated"];

/// Path below the workspace root -> text.
pub(crate) type Files = BTreeMap<String, String>;

/// Writes what differs, or with `check` only says that something does.
pub(super) fn run(check: bool) -> Result<(), String> {
    let root = workspace_root();
    let table = read_table(&root.join("crates/api/table"))?;
    let mut files = Files::new();
    emit_api::emit(&table, &mut files);
    emit_meta::emit(&table, &mut files);
    emit_names::emit(&table, &mut files);
    emit_wire::emit(&table, &mut files);
    emit_client::emit(&table, &mut files);
    for text in files.values_mut() {
        *text = rustfmt(text)?;
    }
    emit_policy::emit(&table, &mut files);
    let stale = differences(&root, &files)?;
    if check {
        return match stale.first() {
            None => Ok(()),
            Some(path) => Err(format!(
                "{} is not what the table says ({} files differ): run 'cargo xtask codegen'",
                path.display(),
                stale.len()
            )),
        };
    }
    apply(&root, &files, &stale)
}

fn workspace_root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Reads all `*.table` files below `folder`, in the order of their paths.
fn read_table(folder: &Path) -> Result<Table, String> {
    let mut paths = Vec::new();
    collect(folder, "table", &mut paths)?;
    let mut files = Vec::new();
    for path in paths {
        let text = read(&path)?;
        let name = path.strip_prefix(folder).unwrap_or(&path).with_extension("");
        files.push((name.to_string_lossy().into_owned(), path.display().to_string(), text));
    }
    build(&files)
}

/// The table out of its files: name, name to show in messages, text.
fn build(files: &[(String, String, String)]) -> Result<Table, String> {
    let mut table = Table::default();
    for (name, shown, text) in files {
        parse::file(&mut table, name, shown, text)?;
    }
    check::check(&table)?;
    table.calls.sort_by_key(|call| (call.program, call.number));
    Ok(table)
}

fn collect(folder: &Path, extension: &str, into: &mut Vec<PathBuf>) -> Result<(), String> {
    if !folder.exists() {
        return Ok(());
    }
    let entries = fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    for entry in entries {
        let path = entry.map_err(|e| format!("{}: {e}", folder.display()))?.path();
        if path.is_dir() {
            collect(&path, extension, into)?;
        } else if path.extension().is_some_and(|found| found == extension) {
            into.push(path);
        }
    }
    into.sort();
    Ok(())
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))
}

/// The files whose text on disk is not the text wanted, and those that should not be there.
fn differences(root: &Path, files: &Files) -> Result<Vec<PathBuf>, String> {
    let mut stale = Vec::new();
    for (path, text) in files {
        let path = root.join(path);
        if !path.exists() || read(&path)? != *text {
            stale.push(path);
        }
    }
    for folder in OWNED {
        let mut present = Vec::new();
        collect(&root.join(folder), "rs", &mut present)?;
        let known = |path: &PathBuf| {
            let below = path.strip_prefix(root).unwrap_or(path);
            files.contains_key(&*below.to_string_lossy())
        };
        stale.extend(present.into_iter().filter(|path| !known(path)));
    }
    Ok(stale)
}

fn apply(root: &Path, files: &Files, stale: &[PathBuf]) -> Result<(), String> {
    for path in stale {
        let below = path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned();
        let done = match files.get(&below) {
            Some(text) => {
                if let Some(folder) = path.parent() {
                    fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
                }
                fs::write(path, text)
            }
            None => fs::remove_file(path),
        };
        done.map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(())
}

fn rustfmt(text: &str) -> Result<String, String> {
    let mut child = Command::new("rustfmt")
        .args(["--edition", "2024", "--config", "max_width=100,use_small_heuristics=Max"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| format!("rustfmt: {e}"))?;
    let mut input = child.stdin.take().ok_or("rustfmt: no stdin")?;
    let sent = text.to_owned();
    let writer = std::thread::spawn(move || input.write_all(sent.as_bytes()));
    let output = child.wait_with_output().map_err(|e| format!("rustfmt: {e}"))?;
    writer.join().map_err(|_| "rustfmt: writer")?.map_err(|e| format!("rustfmt: {e}"))?;
    if !output.status.success() {
        return Err("rustfmt refused the generated code".to_owned());
    }
    String::from_utf8(output.stdout).map_err(|e| format!("rustfmt: {e}"))
}
