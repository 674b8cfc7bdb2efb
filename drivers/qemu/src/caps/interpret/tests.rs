// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What follows from answers; recorded conversations are among the golden data.

use super::*;

#[test]
fn a_binary_that_answers_nothing_can_do_nothing() {
    let caps = Capabilities::from_replies(&Replies::default(), None, Circumstances::default());
    assert!(caps.flags.is_empty());
    assert!(caps.accelerator(Accel::Tcg).unwrap().machines.is_empty());
}
