// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What hosts say of themselves: texts of tools and of the kernel, read into documents.

use virtus_host::sysinfo;
use virtus_xml::FormatFlags;
use virtus_xml::domain::sysinfo::Sysinfo;
use virtus_xml::reader::Element as _;
use virtus_xml::writer::Writer;

use crate::{Case, Corpus, Verdict, compare};

pub(super) fn sysinfo(corpus: &Corpus, case: &Case) -> Verdict {
    let input = |role| case.input(role).and_then(|path| corpus.read(path));
    let cpuinfo = || input("cpuinfo");
    let found = match case.param("source").unwrap_or_default() {
        "/proc/sysinfo and /proc/cpuinfo" => sysinfo::from_s390(&input("sysinfo")?, &cpuinfo()?),
        "/proc/cpuinfo" => sysinfo::from_ppc_cpuinfo(&cpuinfo()?),
        source if source.starts_with("dmidecode") => match input("sysinfo") {
            Ok(text) => sysinfo::from_dmidecode(&text, oem_string),
            Err(_) => sysinfo::from_arm_cpuinfo(&cpuinfo()?),
        },
        other => return Err(format!("unknown source '{other}'")),
    };
    compare::text(&case.read_expected(corpus, "xml")?, &text(&found))
}

/// What the suite's `dmidecode --oem-string` answers.
fn oem_string(number: u32) -> Option<String> {
    match number {
        2 => Some("Some valid OEM string\n".to_owned()),
        3 => Some(
            "Ha ha ha try parsing\\n\n      String 3: this correctly\n      String 4:then\n"
                .to_owned(),
        ),
        _ => None,
    }
}

fn text(sysinfo: &Sysinfo) -> String {
    let mut out = Writer::new(FormatFlags::empty());
    sysinfo.write("sysinfo", &mut out);
    out.finish()
}
