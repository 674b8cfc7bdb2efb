// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Finds programs.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

/// Where programs are looked for when PATH does not say.
const USUAL: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The program called `name` (a path with a slash stands for itself), if it is there and may be run.
#[must_use]
pub fn find_program(name: impl AsRef<Path>) -> Option<PathBuf> {
    let name = name.as_ref();
    let may_run = |path: &Path| path.is_file() && access(path, Access::EXEC_OK).is_ok();
    if name.as_os_str().as_bytes().contains(&b'/') {
        return may_run(name).then(|| name.to_owned());
    }
    let folders = std::env::var_os("PATH").unwrap_or_else(|| USUAL.into());
    std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| may_run(path))
}
