// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `/proc/cpuinfo` and `/proc/sysinfo` of architectures without SMBIOS: `name : value` lines.

use virtus_xml::domain::sysinfo::{Entries, Sysinfo};

use super::block;

/// POWER: a block of lines for each thread, then lines about the machine.
#[must_use]
pub fn from_ppc_cpuinfo(text: &str) -> Sysinfo {
    let first = |name| value(text, name);
    Sysinfo {
        system: block([
            ("version", first("machine")),
            ("serial", first("model")),
            ("family", first("platform")),
        ]),
        processors: processors(text, |lines| {
            block([
                ("socket_destination", value(lines, "processor")),
                ("type", value(lines, "cpu")),
                ("version", value(lines, "revision")),
            ])
        }),
        ..Sysinfo::default()
    }
}

/// ARM: one name for all processors.
#[must_use]
pub fn from_arm_cpuinfo(text: &str) -> Sysinfo {
    let Some(model) = value(text, "model name").or_else(|| value(text, "Processor")) else {
        return Sysinfo::default();
    };
    let processor = |lines: &str| {
        block([("socket_destination", value(lines, "processor")), ("type", Some(model))])
    };
    Sysinfo { processors: processors(text, processor), ..Sysinfo::default() }
}

/// s390: the machine by `/proc/sysinfo`, its processors by `/proc/cpuinfo`.
#[must_use]
pub fn from_s390(sysinfo: &str, cpuinfo: &str) -> Sysinfo {
    let machine = |name| value(sysinfo, name);
    let vendor = value(cpuinfo, "vendor_id");
    let processor = |line: &str| {
        let (number, facts) = line.strip_prefix("processor ")?.split_once(':')?;
        let fact = |name| facts.split(',').find_map(|fact| of_line(fact, '=', name));
        let clock = cpuinfo
            .split_once(&format!("cpu number      : {}\n", number.trim()))
            .and_then(|(_, rest)| value(rest, "cpu MHz dynamic"));
        block([
            ("family", fact("machine")),
            ("manufacturer", vendor),
            ("version", fact("version")),
            ("max_speed", clock),
            ("serial_number", fact("identification")),
        ])
    };
    Sysinfo {
        system: block([
            ("manufacturer", machine("Manufacturer")),
            ("serial", machine("Sequence Code")),
            ("family", machine("Type")),
        ]),
        processors: cpuinfo.lines().filter_map(processor).collect(),
        ..Sysinfo::default()
    }
}

/// What `read` makes of the lines of each processor.
fn processors(text: &str, read: impl Fn(&str) -> Option<Entries>) -> Vec<Entries> {
    let starts: Vec<usize> =
        std::iter::successors(Some(0), |at| text[*at..].find('\n').map(|end| at + end + 1))
            .filter(|at| {
                of_line(text[*at..].lines().next().unwrap_or_default(), ':', "processor").is_some()
            })
            .collect();
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    starts.iter().zip(ends).filter_map(|(start, end)| read(&text[*start..end])).collect()
}

/// The value of the first line with this name.
fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| of_line(line, ':', name))
}

fn of_line<'a>(line: &'a str, sign: char, name: &str) -> Option<&'a str> {
    let (known, value) = line.split_once(sign)?;
    (known.trim() == name).then(|| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_told_apart() {
        let text = "model name\t: ARMv8\nprocessor\t: 0\nBogoMIPS\t: 1\n\nprocessor\t: 7\n";
        let found = from_arm_cpuinfo(text).processors;
        assert_eq!(found.len(), 2);
        assert_eq!(found[1].get("socket_destination"), Some("7"));
        assert_eq!(from_arm_cpuinfo("processor : 0\n"), Sysinfo::default());
    }
}
