// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Giving memory back, in a process of its own: nothing else changes what it holds.

/// KiB of files that the kernel has mapped for this process.
fn mapped() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").expect("the own status");
    let line = status.lines().find_map(|line| line.strip_prefix("RssFile:"));
    let amount = line.and_then(|line| line.trim().strip_suffix(" kB"));
    amount.and_then(|amount| amount.parse().ok()).expect("an amount")
}

#[test]
fn a_program_goes_on_after_it_has_given_itself_back() {
    let before = mapped();
    virtus_host::memory::give_back();
    let after = mapped();
    assert!(after < before, "{after} KiB, and {before} before");
}
