// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The JSON files by which packages describe what QEMU can use: firmware and vhost-user programs.
//!
//! They lie in several folders. A file in a folder that comes earlier replaces the one of the same name in a later one,
//! an empty file masks it, and all are ordered by name, whatever their folders.

use std::collections::BTreeMap;

/// A file that is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescriptorFile {
    /// The number of its folder in the list that was given.
    pub folder: usize,
    /// Its name in that folder.
    pub name: String,
    /// What it says.
    pub text: String,
}

/// The files in force of several folders, the most important folder first; each file is its name and its text.
#[must_use]
pub fn in_force(folders: Vec<Vec<(String, String)>>) -> Vec<DescriptorFile> {
    let mut files: BTreeMap<String, DescriptorFile> = BTreeMap::new();
    for (folder, content) in folders.into_iter().enumerate() {
        for (name, text) in content {
            if name.ends_with(".json") && !name.starts_with('.') {
                files.entry(name.clone()).or_insert(DescriptorFile { folder, name, text });
            }
        }
    }
    files.into_values().filter(|file| !file.text.is_empty()).collect()
}

/// The folders of one kind of descriptors (`firmware`, `vhost-user`), the most important first; `user` is the user's
/// configuration folder, which sessions heed.
#[must_use]
pub fn folders(kind: &str, user: Option<&str>) -> Vec<String> {
    let user = user.map(|user| format!("{user}/qemu/{kind}"));
    let host = ["/etc", "/usr/share"].map(|place| format!("{place}/qemu/{kind}"));
    user.into_iter().chain(host).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earlier_folders_replace_and_mask() {
        let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        let found = in_force(vec![
            vec![file("50-a.json", "mine"), file("60-b.json", ""), file("notes.txt", "no")],
            vec![file("60-b.json", "theirs"), file("50-a.json", "theirs"), file("40-c.json", "c")],
        ]);
        let found: Vec<_> =
            found.iter().map(|one| (one.folder, one.name.as_str(), one.text.as_str())).collect();
        assert_eq!(found, [(1, "40-c.json", "c"), (0, "50-a.json", "mine")]);
    }
}
