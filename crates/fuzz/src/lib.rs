// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the fuzzers run, as plain functions: `fuzz/` hands them a fuzzer's bytes, the tests here hand them
//! bytes of their own, so that every run of the tests covers every target, without a fuzzer.
//!
//! To add a target: a module with `pub const TARGET: Target`, a row in [`TARGETS`], and a file of three
//! lines in `fuzz/fuzz_targets`. A target must return on every input; it fails by panicking.

mod document;
mod engine;
mod frame;
mod image;
mod lxc;
mod monitor;
mod probed;
mod reply;
mod request;
mod sasl;
mod text;

use virtus_wire::sample::Random;

/// One thing to fuzz.
#[derive(Clone, Copy)]
pub struct Target {
    pub name: &'static str,
    /// Takes any bytes; panics where an invariant breaks.
    pub run: fn(&[u8]),
    /// Makes an input that reaches deep, as a seed to change.
    pub seed: fn(&mut Random) -> Vec<u8>,
}

/// Every target.
pub const TARGETS: &[Target] = &[
    frame::TARGET,
    request::TARGET,
    reply::TARGET,
    engine::TARGET,
    document::TARGET,
    image::TARGET,
    text::TARGET,
    probed::TARGET,
    monitor::TARGET,
    sasl::TARGET,
    lxc::TARGET,
];

/// Runs the target of this name on a fuzzer's bytes.
pub fn run(name: &str, input: &[u8]) {
    if let Some(target) = TARGETS.iter().find(|target| target.name == name) {
        (target.run)(input);
    }
}

/// Runs a target on `count` inputs, the same ones every time: seeds, seeds with a few bytes changed,
/// cut off or repeated, and noise.
pub fn run_bounded(target: &Target, count: u64) {
    for number in 0..count {
        let mut random = Random::new(number);
        let mut input = match number % 8 {
            0 => {
                let length = random.below(512);
                random.bytes(length)
            }
            _ => (target.seed)(&mut random),
        };
        if number % 8 > 1 {
            change(&mut input, &mut random);
        }
        (target.run)(&input);
    }
}

/// Makes a few small changes, of the kinds that fuzzers make.
fn change(input: &mut Vec<u8>, random: &mut Random) {
    const EDGES: [u8; 6] = [0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff];
    for _ in 0..=random.below(3) {
        let at = random.below(input.len());
        match random.below(5) {
            0 => input.truncate(at),
            1 => input.extend_from_within(at..),
            2 => input.insert(at.min(input.len()), EDGES[random.below(EDGES.len())]),
            3 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte = EDGES[random.below(EDGES.len())];
                }
            }
            _ => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << random.below(8);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `VIRTUS_FUZZ` says how many inputs each target takes, if not 20,000.
    #[test]
    fn every_target_survives_a_bounded_run() {
        let count = std::env::var("VIRTUS_FUZZ").map_or(20_000, |count| count.parse().unwrap());
        for target in TARGETS {
            let start = std::time::Instant::now();
            run_bounded(target, count);
            println!("{}: {count} inputs in {:?}", target.name, start.elapsed());
        }
    }

    #[test]
    fn every_target_survives_the_smallest_inputs() {
        for target in TARGETS {
            (target.run)(&[]);
            for byte in 0..=u8::MAX {
                (target.run)(&[byte]);
            }
        }
    }

    #[test]
    fn every_target_has_a_fuzzer() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/fuzz_targets");
        for target in TARGETS {
            let path = format!("{folder}/{}.rs", target.name);
            assert!(std::path::Path::new(&path).exists(), "{path} is missing");
        }
    }
}
