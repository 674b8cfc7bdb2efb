// SPDX-License-Identifier: Apache-2.0 OR MIT
//! QEMU's domains: definition to inactive document, and to the command line.

mod surroundings;

use virtus_qemu::caps::Capabilities;
use virtus_qemu::{complete, plan};
use virtus_xml::{Domain, FormatFlags, ParseFlags};

use super::documents::chance;
use crate::{Case, Corpus, Verdict, compare};

/// The definition as the driver would keep it, or why it is refused.
fn completed(
    corpus: &Corpus,
    case: &Case,
    caps: &Capabilities,
) -> Result<Result<Domain, virtus_api::Error>, String> {
    let text = case.read_input(corpus, "file")?;
    let defaults = surroundings::defaults(corpus, &case.params)?;
    let mut flags = ParseFlags::INACTIVE;
    if defaults.abi_update {
        flags |= ParseFlags::ABI_UPDATE;
    }
    Ok(Domain::parse(&text, flags).and_then(|parsed| {
        let mut domain = parsed.value;
        domain.name_missing([0x52, 0x54, 0], &mut chance);
        complete::complete(&mut domain, caps, &defaults)?;
        Ok(domain)
    }))
}

fn planned(
    mut domain: Domain,
    caps: &Capabilities,
    case: &Case,
) -> Result<Vec<String>, virtus_api::Error> {
    surroundings::prepare(&mut domain, &case.params);
    plan::live(&mut domain)?;
    let cx = surroundings::context(&domain, &case.params);
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
    let domain = completed(corpus, case, &caps)?.map_err(said)?;
    let actual = domain.format(FormatFlags::INACTIVE | FormatFlags::SECURE);
    compare::text(&case.read_expected(corpus, "xml")?, &actual)
}

pub(super) fn refused(corpus: &Corpus, case: &Case) -> Verdict {
    let caps = surroundings::capabilities(corpus, case)?;
    compare::refused(&completed(corpus, case, &caps)?)
}

pub(super) fn command_line(corpus: &Corpus, case: &Case) -> Verdict {
    let caps = surroundings::capabilities(corpus, case)?;
    let domain = completed(corpus, case, &caps)?.map_err(said)?;
    let actual = planned(domain, &caps, case).map_err(said)?;
    compare::command_line(&case.read_expected(corpus, "argv")?, &actual)
}

pub(super) fn not_planned(corpus: &Corpus, case: &Case) -> Verdict {
    let caps = surroundings::capabilities(corpus, case)?;
    let domain = completed(corpus, case, &caps)?.map_err(said)?;
    compare::refused(&planned(domain, &caps, case))
}
