// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Descriptors of vhost-user programs: which program on this host plays which device.
//!
//! Which files are in force, and in which order, is [`in_force`](crate::firmware::in_force)'s to say; the
//! first program of a kind is the one that is run.

use serde_json::{Value, json};
use virtus_api::{Error, ErrorCode, Result};

/// The devices that a program can play.
pub const TYPES: [&str; 15] = [
    "9p",
    "balloon",
    "block",
    "caif",
    "console",
    "crypto",
    "fs",
    "gpu",
    "input",
    "net",
    "rng",
    "rpmsg",
    "rproc-serial",
    "scsi",
    "vsock",
];

/// One program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The device that it plays, one of [`TYPES`].
    pub kind: String,
    /// The program's path.
    pub binary: String,
}

impl Program {
    /// Reads a descriptor; `name` is the file's name, for errors.
    pub fn parse(name: &str, text: &str) -> Result<Self> {
        let bad = |what: String| {
            Error::new(
                ErrorCode::ConfigUnsupported,
                format!("vhost-user descriptor '{name}' is not understood: {what}"),
            )
        };
        let value: Value = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
        let text = |key: &str| {
            let found = value[key].as_str().map(str::to_owned);
            found.ok_or_else(|| bad(format!("no '{key}'")))
        };
        let (kind, binary) = (text("type")?, text("binary")?);
        if !TYPES.contains(&kind.as_str()) {
            return Err(bad(format!("type '{kind}'; known are {}", TYPES.join(", "))));
        }
        Ok(Self { kind, binary })
    }

    /// The descriptor, with what it means: without description and tags.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({ "type": self.kind, "binary": self.binary })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_or_unknown_is_named() {
        let refused = |text: &str| Program::parse("50-x.json", text).map_err(|e| e.to_string());
        assert!(refused("{}").is_err_and(|text| text.contains("'type'")));
        assert!(refused(r#"{"type": "gpu"}"#).is_err_and(|text| text.contains("'binary'")));
        let toaster = r#"{"type": "toaster", "binary": "/bin/toast"}"#;
        assert!(refused(toaster).is_err_and(|text| text.contains("rproc-serial")));
    }
}
