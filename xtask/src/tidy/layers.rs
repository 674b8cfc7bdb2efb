// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which crate may use which: only those of lower layers, and no driver another driver.
//!
//! Each package of the product says its layer in `[package.metadata.virtus] layer = N`; what only tests use is free.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Finding;
use crate::{Result, workspace};

/// A package of the workspace, as far as this rule is concerned.
pub(crate) struct Package {
    pub(crate) name: String,
    /// Its Cargo.toml, relative to the repository's root.
    pub(crate) manifest: PathBuf,
    pub(crate) layer: Option<u64>,
    /// The workspace's packages that it is built from.
    pub(crate) uses: Vec<String>,
}

impl Package {
    fn is_driver(&self) -> bool {
        self.manifest.starts_with("drivers")
    }

    /// Tools and tests stand outside the ladder: they may use anything, and nothing may use them.
    fn is_product(&self) -> bool {
        ["crates", "drivers", "programs"].iter().any(|folder| self.manifest.starts_with(folder))
    }

    fn finding(&self, text: String) -> Finding {
        Finding { path: self.manifest.clone(), line: 1, text }
    }
}

/// The workspace's packages, from `cargo metadata`.
pub(crate) fn packages() -> Result<Vec<Package>> {
    let output = workspace::cargo()
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .output()?;
    if !output.status.success() {
        return Err(format!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let listed = metadata["packages"].as_array().ok_or("cargo metadata lists no packages")?;
    Ok(listed.iter().map(package).collect())
}

fn package(value: &Value) -> Package {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let manifest = PathBuf::from(text(&value["manifest_path"]));
    let uses = value["dependencies"].as_array().into_iter().flatten();
    Package {
        name: text(&value["name"]),
        manifest: manifest
            .strip_prefix(workspace::root())
            .map(Path::to_path_buf)
            .unwrap_or(manifest),
        layer: value["metadata"]["virtus"]["layer"].as_u64(),
        uses: uses
            .filter(|used| used["kind"] != "dev" && used["path"].is_string())
            .map(|used| text(&used["name"]))
            .collect(),
    }
}

/// Every use must lead downwards.
pub(crate) fn check(packages: &[Package]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in packages.iter().filter(|package| package.is_product()) {
        let Some(layer) = package.layer else {
            findings.push(
                package.finding("says no layer: `[package.metadata.virtus] layer = N`".to_owned()),
            );
            continue;
        };
        for used in packages.iter().filter(|other| package.uses.contains(&other.name)) {
            if package.is_driver() && used.is_driver() {
                findings
                    .push(package.finding(format!("the driver uses the driver `{}`", used.name)));
            } else if used.layer.is_none_or(|lower| lower >= layer) {
                let theirs = used
                    .layer
                    .map_or_else(|| "no layer".to_owned(), |lower| format!("layer {lower}"));
                findings.push(
                    package.finding(format!("layer {layer} uses `{}` of {theirs}", used.name)),
                );
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, folder: &str, layer: Option<u64>, uses: &[&str]) -> Package {
        Package {
            name: name.to_owned(),
            manifest: PathBuf::from(folder).join(name).join("Cargo.toml"),
            layer,
            uses: uses.iter().map(|&name| name.to_owned()).collect(),
        }
    }

    #[test]
    fn uses_lead_downwards() {
        let good =
            [package("api", "crates", Some(0), &[]), package("core", "crates", Some(2), &["api"])];
        assert_eq!(check(&good), []);
        let upwards =
            [package("api", "crates", Some(0), &["core"]), package("core", "crates", Some(2), &[])];
        assert!(check(&upwards)[0].to_string().contains("layer 0 uses `core` of layer 2"));
        let level = [package("a", "crates", Some(2), &["b"]), package("b", "crates", Some(2), &[])];
        assert_eq!(check(&level).len(), 1);
    }

    #[test]
    fn drivers_do_not_use_drivers_and_say_their_layer() {
        let drivers = [
            package("qemu", "drivers", Some(4), &["network"]),
            package("network", "drivers", Some(3), &[]),
        ];
        assert!(check(&drivers)[0].to_string().contains("the driver uses the driver `network`"));
        assert_eq!(check(&[package("qemu", "drivers", None, &[])]).len(), 1);
        assert_eq!(check(&[package("xtask", "", None, &["qemu"])]), []);
    }
}
