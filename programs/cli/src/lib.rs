// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The tools that people run: one module for each, which gets its words and streams and answers an exit status.
//!
//! Invariant: a tool reads and writes nothing but what it is given, so that it can be tested without a process.

pub mod guests;
pub mod ssh_helper;
pub mod xml_validate;
