// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Where tests find libvirt's own test data, which lies beside the repository where it is at hand.

use std::path::{Path, PathBuf};

/// The folder `name` of the corpus; says so and returns `None` where there is no corpus.
pub(crate) fn folder(name: &str) -> Option<PathBuf> {
    let found = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|ancestor| ancestor.join("shared/corpus/data").join(name))
        .find(|path| path.is_dir());
    if found.is_none() {
        eprintln!("skipped: no corpus with '{name}' beside the repository");
    }
    found
}
