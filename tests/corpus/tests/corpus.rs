// SPDX-License-Identifier: Apache-2.0 OR MIT
//! No kind of check may pass fewer cases than `floor.txt` says; its numbers only rise.

use virtus_corpus::{Corpus, Filter, run};

const FLOOR: &str = include_str!("../floor.txt");

#[test]
fn no_score_is_below_its_floor() {
    let Some(corpus) = Corpus::beside() else {
        println!("skipped: no golden data at $VIRTUS_SHARED/corpus or ../shared/corpus");
        return;
    };
    let report = run(&corpus, &Filter::default()).unwrap();
    let mut sunk = Vec::new();
    for (name, score) in &report.scores {
        println!("{name}: {}/{}", score.passed, score.total);
    }
    for line in FLOOR.lines() {
        let (name, floor) = line.rsplit_once(": ").unwrap();
        let passed = report.scores.get(name).map_or(0, |score| score.passed);
        if passed < floor.parse().unwrap() {
            sunk.push(format!("{name}: {floor} passed once, now {passed}"));
        }
    }
    assert!(sunk.is_empty(), "fewer cases pass than before:\n{}", sunk.join("\n"));
}
