// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `docs/support.md` says what the drivers answer, no more and no less.

use std::path::Path;

#[test]
fn the_support_matrix_is_the_routes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/support.md");
    let now = virtus_daemons::support::matrix();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        #[expect(clippy::disallowed_methods, reason = "a document of the repository")]
        std::fs::write(&path, &now).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == now, "docs/support.md is not up to date: its second paragraph says how");
}
