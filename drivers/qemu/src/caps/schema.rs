// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Asks QEMU's own description of its protocol (the reply to `query-qmp-schema`) whether something exists.
//!
//! A question is a path: a command's name, then steps separated by `/`:
//!
//! ```text
//! arg-type, ret-type   what the command takes or gives
//! word                 a member of an object
//! +word                the variant of a union for this value of its tag
//! ^word                a value of an enumeration
//! $word                a feature of what the path has reached
//! ```
//! Arrays are looked through.

use std::collections::HashMap;

use serde_json::Value;

/// The description, by name.
#[derive(Debug)]
pub(super) struct Schema<'a>(HashMap<&'a str, &'a Value>);

impl<'a> Schema<'a> {
    /// From the reply to `query-qmp-schema`; what is no list describes nothing.
    pub(super) fn new(reply: &'a Value) -> Self {
        let entries = reply.as_array().map(Vec::as_slice).unwrap_or_default();
        Self(entries.iter().filter_map(|entry| Some((entry["name"].as_str()?, entry))).collect())
    }

    /// Whether there is a command with this name.
    pub(super) fn has_command(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|entry| entry["meta-type"] == "command")
    }

    /// Whether the path leads anywhere.
    pub(super) fn has(&self, path: &str) -> bool {
        self.follow(path).is_some()
    }

    fn follow(&self, path: &str) -> Option<()> {
        let mut steps = path.split('/');
        let mut here = self.entry(steps.next()?)?;
        let mut steps = steps.peekable();
        while let Some(step) = steps.next() {
            here = self.through_arrays(here)?;
            if let Some(value) = step.strip_prefix('^') {
                return enumerates(here, value).then_some(()).filter(|()| steps.peek().is_none());
            }
            if let Some(feature) = step.strip_prefix('$') {
                return names(&here["features"], feature).then_some(());
            }
            let (list, key, name) = match step.strip_prefix('+') {
                Some(case) => ("variants", "case", case),
                None if matches!(step, "arg-type" | "ret-type") => {
                    here = self.entry(here[step].as_str()?)?;
                    continue;
                }
                None => ("members", "name", step),
            };
            let found = here[list].as_array()?.iter().find(|entry| entry[key] == name)?;
            if list == "members" && steps.peek().is_some_and(|next| next.starts_with('$')) {
                here = found;
            } else {
                here = self.entry(found["type"].as_str()?)?;
            }
        }
        Some(())
    }

    fn entry(&self, name: &str) -> Option<&'a Value> {
        self.0.get(name).copied()
    }

    fn through_arrays(&self, mut entry: &'a Value) -> Option<&'a Value> {
        // The description could be circular only if QEMU were broken.
        for _ in 0..8 {
            if entry["meta-type"] != "array" {
                return Some(entry);
            }
            entry = self.entry(entry["element-type"].as_str()?)?;
        }
        None
    }
}

fn enumerates(entry: &Value, value: &str) -> bool {
    names(&entry["values"], value)
        || entry["members"]
            .as_array()
            .is_some_and(|members| members.iter().any(|member| member["name"] == value))
}

fn names(list: &Value, name: &str) -> bool {
    list.as_array()
        .is_some_and(|list| list.iter().any(|entry| *entry == name || entry["name"] == name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_lead_through_objects_unions_arrays_and_enumerations() {
        let reply = json!([
            {"name": "blockdev-add", "meta-type": "command", "arg-type": "1", "ret-type": "0"},
            {"name": "1", "meta-type": "object",
             "members": [{"name": "driver", "type": "2"}, {"name": "list", "type": "[3]"}],
             "tag": "driver", "variants": [{"case": "file", "type": "3"}]},
            {"name": "2", "meta-type": "enum", "values": ["file"]},
            {"name": "[3]", "meta-type": "array", "element-type": "3"},
            {"name": "3", "meta-type": "object",
             "members": [{"name": "aio", "type": "4", "features": ["fast"]}]},
            {"name": "4", "meta-type": "enum", "members": [{"name": "io_uring"}]},
        ]);
        let schema = Schema::new(&reply);
        assert!(schema.has_command("blockdev-add"));
        assert!(!schema.has_command("1"));
        for path in [
            "blockdev-add/arg-type/driver/^file",
            "blockdev-add/arg-type/+file/aio/^io_uring",
            "blockdev-add/arg-type/+file/aio/$fast",
            "blockdev-add/arg-type/list/aio",
        ] {
            assert!(schema.has(path), "{path}");
        }
        for path in [
            "blockdev-del",
            "blockdev-add/arg-type/+nbd",
            "blockdev-add/arg-type/driver/^nbd",
            "blockdev-add/arg-type/+file/aio/$slow",
            "blockdev-add/ret-type/x",
            "",
        ] {
            assert!(!schema.has(path), "{path}");
        }
    }
}
