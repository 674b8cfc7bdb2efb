// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How the kernel merges equal pages of guests' memory (KSM).

use std::fs;
use std::path::PathBuf;

use virtus_api::{Error, ErrorCode, Result};

use super::Node;
use crate::kernel_file;

/// A value of the kernel's page merging.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merging {
    /// Pages that are looked at before the next rest.
    PagesToScan,
    /// How long a rest is, in milliseconds.
    SleepMillisecs,
    /// Pages that stand for several.
    PagesShared,
    /// Places where such a page stands for another.
    PagesSharing,
    /// Pages that are looked at again and again, and have no equal.
    PagesUnshared,
    /// Pages that change too fast.
    PagesVolatile,
    /// How often all was looked at.
    FullScans,
    /// Whether pages of different NUMA nodes are merged.
    MergeAcrossNodes,
}

impl Merging {
    fn file(self) -> &'static str {
        match self {
            Self::PagesToScan => "pages_to_scan",
            Self::SleepMillisecs => "sleep_millisecs",
            Self::PagesShared => "pages_shared",
            Self::PagesSharing => "pages_sharing",
            Self::PagesUnshared => "pages_unshared",
            Self::PagesVolatile => "pages_volatile",
            Self::FullScans => "full_scans",
            Self::MergeAcrossNodes => "merge_across_nodes",
        }
    }
}

impl Node {
    /// What the kernel says; `None` where it does not merge pages, or not by NUMA nodes.
    #[must_use]
    pub fn merging(&self, value: Merging) -> Option<u64> {
        fs::read_to_string(self.merging_file(value)).ok()?.trim().parse().ok()
    }

    /// Changes one of the first two or the last.
    ///
    /// # Errors
    /// `VIR_ERR_OPERATION_INVALID` where this kernel does not have it; what the kernel says.
    pub fn set_merging(&self, value: Merging, to: u64) -> Result<()> {
        let (name, file) = (value.file(), self.merging_file(value));
        if !file.exists() {
            let text = format!("this host's kernel does not know '{name}' of page merging (KSM)");
            return Err(Error::new(ErrorCode::OperationInvalid, text));
        }
        kernel_file::write(&file, &to.to_string()).map_err(|cause| {
            let error = Error::system(format!("cannot set '{name}' of page merging"), &cause);
            match value {
                Merging::MergeAcrossNodes => {
                    error.hint("unmerge all pages before: write 2 to /sys/kernel/mm/ksm/run")
                }
                _ => error,
            }
        })
    }

    fn merging_file(&self, value: Merging) -> PathBuf {
        self.kernel_memory.join("ksm").join(value.file())
    }
}
