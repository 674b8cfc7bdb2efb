// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The Xen driver: so far what can be told of guests without running one. Pure.

pub mod domain_caps;
