// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What documents cost: a guest of 60 lines read, completed, checked and written; all definitions of a host loaded.
//!
//! `cargo bench -p virtus-xml`. The numbers that hold are in `docs/performance.md`.

use std::fmt::Write as _;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use virtus_xml::{Domain, FormatFlags, ParseFlags};

const GUEST: &str = include_str!("guest.xml");
/// As many definitions as a large host has.
const DEFINITIONS: usize = 10_000;

fn parse(text: &str, flags: ParseFlags) -> Domain {
    match Domain::parse(text, flags) {
        Ok(parsed) => parsed.value,
        Err(error) => unreachable!("the guest of the benchmark is valid: {error}"),
    }
}

fn one_guest(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("guest");
    group.bench_function("parse, complete and format", |bench| {
        bench.iter(|| parse(black_box(GUEST), ParseFlags::INACTIVE).format(FormatFlags::INACTIVE));
    });
    group.bench_function("parse and complete", |bench| {
        bench.iter(|| parse(black_box(GUEST), ParseFlags::INACTIVE));
    });
    group.bench_function("parse, validate and complete", |bench| {
        let flags = ParseFlags::INACTIVE | ParseFlags::VALIDATE;
        bench.iter(|| parse(black_box(GUEST), flags));
    });
    let guest = parse(GUEST, ParseFlags::INACTIVE);
    group.bench_function("format", |bench| {
        bench.iter(|| black_box(&guest).format(FormatFlags::INACTIVE));
    });
    group.finish();
}

fn all_definitions(bench: &mut Criterion) {
    let mut texts = Vec::new();
    for number in 0..DEFINITIONS {
        let mut name = String::new();
        // Writing to a String does not fail.
        let _ = write!(name, "<name>guest-{number}</name>");
        texts.push(GUEST.replace("<name>guest</name>", &name));
    }
    let mut group = bench.benchmark_group("host");
    group.sample_size(10).throughput(Throughput::Elements(DEFINITIONS as u64));
    group.bench_function("load 10000 definitions", |bench| {
        bench.iter(|| {
            texts
                .iter()
                .map(|text| parse(text, ParseFlags::INACTIVE).devices.disks.len())
                .sum::<usize>()
        });
    });
    group.finish();
}

criterion_group!(benches, one_guest, all_definitions);
criterion_main!(benches);
