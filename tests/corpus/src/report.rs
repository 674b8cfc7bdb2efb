// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Running the table's checks over the data, and how many of each kind pass.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::families::{Row, TABLE};
use crate::{Case, Corpus, Verdict};

/// Which cases are run; `None` is all.
#[derive(Debug, Default, Clone)]
pub struct Filter {
    pub family: Option<String>,
    /// The beginning of a case's name.
    pub case: Option<String>,
}

/// How many cases of one kind pass.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Score {
    pub passed: usize,
    pub total: usize,
}

/// A case that did not pass a check.
#[derive(Debug, Clone)]
pub struct Failure {
    pub family: String,
    pub kind: String,
    pub case: String,
    pub difference: String,
}

/// What a run found.
#[derive(Debug, Default)]
pub struct Report {
    /// By `family kind`.
    pub scores: BTreeMap<String, Score>,
    pub failures: Vec<Failure>,
}

/// One check of one case; without a row the kind cannot be run yet.
struct Job<'a> {
    case: &'a Case,
    kind: &'a str,
    row: Option<&'static Row>,
}

/// Runs all that the filter lets through, on all cores.
pub fn run(corpus: &Corpus, filter: &Filter) -> Result<Report, String> {
    let mut cases = Vec::new();
    for family in corpus.families()? {
        if filter.family.as_ref().is_none_or(|wanted| *wanted == family) {
            cases.extend(corpus.cases(&family)?);
        }
    }
    cases.retain(|case| filter.case.as_ref().is_none_or(|wanted| case.name.starts_with(wanted)));
    let jobs: Vec<Job<'_>> = cases.iter().flat_map(jobs_of).collect();

    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let verdict = job.run(corpus);
                    if let Ok(mut done) = done.lock() {
                        done.push((job.case, job.kind, verdict));
                    }
                }
            });
        }
    });
    let mut done = done.into_inner().map_err(|_| "a check died while it reported")?;
    done.sort_by(|(a, a_kind, _), (b, b_kind, _)| {
        (&a.family, a_kind, &a.name).cmp(&(&b.family, b_kind, &b.name))
    });
    let mut report = Report::default();
    for (case, kind, verdict) in done {
        report.count(case, kind, verdict);
    }
    Ok(report)
}

/// What the manifest asks for, and what the table checks besides.
fn jobs_of(case: &Case) -> impl Iterator<Item = Job<'_>> {
    let own = |row: &&'static Row| row.family == case.family;
    let asked = case.kinds.iter().map(move |kind| Job {
        case,
        kind,
        row: TABLE.iter().filter(own).find(|row| row.kind == kind),
    });
    let besides = TABLE.iter().filter(own).filter(|row| (row.besides)(case));
    asked.chain(besides.map(|row| Job { case, kind: row.kind, row: Some(row) }))
}

impl Job<'_> {
    fn run(&self, corpus: &Corpus) -> Verdict {
        let row = self.row.ok_or("this kind cannot be run yet")?;
        // One case that panics is one case that fails.
        catch_unwind(AssertUnwindSafe(|| (row.check)(corpus, self.case))).unwrap_or_else(|cause| {
            let said = cause.downcast_ref::<String>().map(String::as_str);
            Err(format!("PANIC {}", said.or(cause.downcast_ref().copied()).unwrap_or("?")))
        })
    }
}

impl Report {
    fn count(&mut self, case: &Case, kind: &str, verdict: Verdict) {
        let score = self.scores.entry(format!("{} {kind}", case.family)).or_default();
        score.total += 1;
        match verdict {
            Ok(()) => score.passed += 1,
            Err(difference) => self.failures.push(Failure {
                family: case.family.clone(),
                kind: kind.to_owned(),
                case: case.name.clone(),
                difference,
            }),
        }
    }

    /// For programs: the scores, and each case that did not pass with its difference.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let scores = self.scores.iter().filter_map(|(name, score)| {
            let (family, kind) = name.split_once(' ')?;
            Some(json!({
                "family": family, "kind": kind, "passed": score.passed, "total": score.total,
            }))
        });
        let failures = self.failures.iter().map(|failure| {
            json!({
                "family": failure.family, "kind": failure.kind, "case": failure.case,
                "difference": failure.difference,
            })
        });
        json!({ "scores": scores.collect::<Vec<_>>(), "failures": failures.collect::<Vec<_>>() })
    }
}
