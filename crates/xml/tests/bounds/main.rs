// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Hostile documents end in an error, and cost no more than their length.

mod effort;
mod hostile;
mod schema;
