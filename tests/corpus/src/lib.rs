// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Golden data of libvirt's own test suite, run through the pure parts of Virtus, and one family through its client.
//!
//! The data is not part of the repository; its folder has `index.json`, `families/<family>/manifest.json` and `data/`,
//! and its README says what a case is. [`families::TABLE`] has a row for each kind of check that exists; a kind
//! of the data without a row counts as not passed.
//!
//! Invariant: a check sees a case's kind, parameters and files, never its name: a pass comes from general code.

pub mod case;
pub mod compare;
pub mod families;
pub mod report;

pub use case::{Case, Corpus};
pub use report::{Filter, Report, run};

/// What came of one check: nothing, or what differs.
pub type Verdict = Result<(), String>;
