// SPDX-License-Identifier: Apache-2.0 OR MIT
//! See `virtus_fuzz::TARGETS`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| virtus_fuzz::run("lxc", data));
