// SPDX-License-Identifier: Apache-2.0 OR MIT
//! File systems of a container.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// One file system of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// What is mounted.
    pub source: Source,
    /// Where, in the container; made if it is missing. A path with a symbolic link in it is refused.
    pub target: PathBuf,
    /// Whether nothing can be written to it.
    pub read_only: bool,
    /// Whether the owners of its files on the disk are ids inside the container (an id-mapped mount). Without
    /// this, files of the host's user 0 belong to nobody in a container with a map of its own.
    pub id_mapped: bool,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// A folder or file of the host.
    Bind {
        /// The folder or file.
        path: PathBuf,
        /// Takes along what is mounted below it.
        recursive: bool,
    },
    /// A folder or file of the container, as it is put together so far.
    Inner(PathBuf),
    /// A disk of the host; its file system is recognised.
    Block(PathBuf),
    /// A file of the host that holds the image of a file system.
    Image(PathBuf),
    /// Memory.
    Ram {
        /// How much, in bytes.
        bytes: u64,
    },
}
