// SPDX-License-Identifier: Apache-2.0 OR MIT
//! QEMU's domains: definition to inactive document, and to the command line.

pub(super) mod disks;
pub(super) mod surroundings;

use virtus_qemu::caps::{Capabilities, Flag};
use virtus_qemu::{complete, plan, validate};
use virtus_xml::{Domain, FormatFlags, ParseFlags};

use super::cpu_hosts;
use super::documents::chance;
use crate::{Case, Corpus, Verdict, compare};

/// The definition as the driver would keep it, or why it is refused.
fn completed(
    corpus: &Corpus,
    case: &Case,
    caps: &Capabilities,
    text: &str,
    mut flags: ParseFlags,
) -> Result<Result<Domain, virtus_api::Error>, String> {
    let defaults = surroundings::defaults(corpus, &case.params)?;
    if defaults.abi_update {
        flags |= ParseFlags::ABI_UPDATE;
    }
    Ok(Domain::parse(text, flags).and_then(|parsed| {
        let mut domain = parsed.value;
        if !flags.contains(ParseFlags::INACTIVE) {
            let id = case.params["domain_id_if_unset"].as_i64().and_then(|id| id.try_into().ok());
            domain.id = domain.id.or(id);
        }
        domain.name_missing([0x52, 0x54, 0], &mut chance);
        if !flags.contains(ParseFlags::INACTIVE) {
            let id = case.params["domain_id_if_unset"].as_i64().and_then(|id| id.try_into().ok());
            domain.id = domain.id.or(id);
        }
        complete::complete(&mut domain, caps, &defaults)?;
        validate::validate(&domain, caps, &surroundings::host(&case.params))?;
        Ok(domain)
    }))
}

/// The case's definition as the driver would keep it.
fn defined(
    corpus: &Corpus,
    case: &Case,
    caps: &Capabilities,
) -> Result<Result<Domain, virtus_api::Error>, String> {
    completed(corpus, case, caps, &case.read_input(corpus, "file")?, ParseFlags::INACTIVE)
}

/// The case's result, defined once more: nothing is left to complete.
fn redefined(corpus: &Corpus, case: &Case, caps: &Capabilities) -> Result<Domain, String> {
    let text = case.read_expected(corpus, "xml")?;
    completed(corpus, case, caps, &text, ParseFlags::INACTIVE)?.map_err(said)
}

fn planned(
    corpus: &Corpus,
    mut domain: Domain,
    caps: &Capabilities,
    case: &Case,
) -> Result<Vec<String>, virtus_api::Error> {
    disks::place_volumes(&mut domain, corpus)?;
    surroundings::prepare(corpus, &mut domain, &case.params);
    let cpus = cpu_hosts::cpus(&case.params, "core2duo")?;
    plan::live(&mut domain, caps, &cpus)?;
    let mut cx = surroundings::context(&domain, &case.params);
    cx.format_nodes = !caps.has(Flag::BlockjobBackingMaskProtocol);
    let line = plan::command_line(&domain, caps, &cx)?;
    let mut words = vec!["LC_ALL=C".to_owned(), "PATH=/bin".to_owned()];
    let mut env = line.env.into_iter();
    let set =
        |(name, value): (String, Option<String>)| format!("{name}={}", value.unwrap_or_default());
    words.extend(env.next().map(set));
    words.extend(["USER=test".to_owned(), "LOGNAME=test".to_owned()]);
    words.extend(env.map(set));
    words.push(line.program);
    words.extend(line.args);
    Ok(words)
}

fn said(error: virtus_api::Error) -> String {
    format!("ERROR {error}")
}

pub(super) fn document(corpus: &Corpus, case: &Case) -> Verdict {
    let caps = surroundings::capabilities(corpus, case)?;
    let domain = defined(corpus, case, &caps)?.map_err(said)?;
    let actual = domain.format(FormatFlags::INACTIVE | FormatFlags::SECURE);
    compare::text(&case.read_expected(corpus, "xml")?, &actual)
}

pub(super) fn document_again(corpus: &Corpus, case: &Case) -> Verdict {
    let caps = surroundings::capabilities(corpus, case)?;
    let actual =
        redefined(corpus, case, &caps)?.format(FormatFlags::INACTIVE | FormatFlags::SECURE);
    compare::text(&case.read_expected(corpus, "xml")?, &actual)
}

pub(super) fn command_line_again(corpus: &Corpus, case: &Case) -> Verdict {
    let caps = surroundings::capabilities(corpus, case)?;
    let actual = planned(corpus, redefined(corpus, case, &caps)?, &caps, case).map_err(said)?;
    compare::command_line(&case.read_expected(corpus, "argv")?, &actual)
}

pub(super) fn refused(corpus: &Corpus, case: &Case) -> Verdict {
    let caps = surroundings::capabilities(corpus, case)?;
    compare::refused(&defined(corpus, case, &caps)?)
}

pub(super) fn command_line(corpus: &Corpus, case: &Case) -> Verdict {
    let caps = surroundings::capabilities(corpus, case)?;
    let domain = defined(corpus, case, &caps)?.map_err(said)?;
    let actual = planned(corpus, domain, &caps, case).map_err(said)?;
    compare::command_line(&case.read_expected(corpus, "argv")?, &actual)
}

pub(super) fn not_planned(corpus: &Corpus, case: &Case) -> Verdict {
    let caps = surroundings::capabilities(corpus, case)?;
    let domain = defined(corpus, case, &caps)?.map_err(said)?;
    compare::refused(&planned(corpus, domain, &caps, case))
}

/// A running domain's document, in the form of `format`.
fn live(corpus: &Corpus, case: &Case, format: FormatFlags) -> Result<String, String> {
    let caps = surroundings::capabilities(corpus, case)?;
    let text = case.read_input(corpus, "file")?;
    let flags = ParseFlags::empty();
    let domain = completed(corpus, case, &caps, &text, flags)?.map_err(said)?;
    Ok(domain.format(format | FormatFlags::SECURE))
}

pub(super) fn active(corpus: &Corpus, case: &Case) -> Verdict {
    let actual = live(corpus, case, FormatFlags::empty())?;
    compare::text(&case.read_expected(corpus, "active")?, &actual)
}

pub(super) fn active_to_inactive(corpus: &Corpus, case: &Case) -> Verdict {
    let actual = live(corpus, case, FormatFlags::INACTIVE)?;
    compare::text(&case.read_expected(corpus, "inactive")?, &actual)
}

/// The limit of memory that may be locked; 0 stands for the usual one.
pub(super) fn memory_lock(corpus: &Corpus, case: &Case) -> Verdict {
    let caps = surroundings::capabilities(corpus, case)?;
    let text = case.read_input(corpus, "file")?;
    let domain = completed(corpus, case, &caps, &text, ParseFlags::INACTIVE)?.map_err(said)?;
    let actual = plan::memory_lock_limit(&domain).unwrap_or(0);
    let expected = case.params["result_bytes"].as_u64().unwrap_or_default();
    if actual == expected { Ok(()) } else { Err(format!("- {expected}\n+ {actual}")) }
}
