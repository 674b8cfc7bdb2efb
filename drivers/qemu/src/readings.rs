// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What QEMU's and the kernel's replies say, as plain numbers.
//!
//! Invariant: nothing here asks anybody; each part reads one kind of reply and takes what is missing in it
//! as not known, never as an error. The tests read replies that were recorded from QEMU 10.0.

pub(crate) mod balloon;
pub(crate) mod block;
pub(crate) mod dirty_rate;
pub(crate) mod image;
pub(crate) mod iothread;
pub(crate) mod link;
pub(crate) mod throttle;

#[cfg(test)]
pub(crate) mod recorded {
    //! Replies of a real QEMU.

    use serde_json::Value;

    /// The replies of the recorded guest, by name.
    pub(crate) fn reply(name: &str) -> Value {
        let all: Value = serde_json::from_str(include_str!("readings/recorded.json")).unwrap();
        all[name].clone()
    }
}
