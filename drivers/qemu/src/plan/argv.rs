// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The pieces of a command line: an ordered list of words, and the two forms in which QEMU takes settings.
//!
//! [`Props`] is a JSON object whose order is kept: what stands after `-device`, `-object`, `-netdev`,
//! `-blockdev` or `-audiodev`, and, unchanged, what the QMP command of a hot-plug takes. [`Opts`] is the older
//! `name,key=value` form of the options that know no JSON.

use serde_json::{Map, Value};

/// The words after the program's name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Argv(Vec<String>);

impl Argv {
    /// A flag without a value.
    pub(crate) fn flag(&mut self, name: &str) {
        self.0.push(name.to_owned());
    }

    /// A flag and its value.
    pub(crate) fn pair(&mut self, name: &str, value: impl Into<String>) {
        self.0.push(name.to_owned());
        self.0.push(value.into());
    }

    /// A flag whose value is a JSON object.
    pub(crate) fn json(&mut self, name: &str, props: Props) {
        self.pair(name, props.to_string());
    }

    /// A word as it is.
    pub(crate) fn word(&mut self, word: impl Into<String>) {
        self.0.push(word.into());
    }

    /// The words.
    #[must_use]
    pub(crate) fn into_words(self) -> Vec<String> {
        self.0
    }
}

/// A JSON object that keeps the order in which its members were added.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Props(Map<String, Value>);

impl Props {
    /// An object without members.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What `-device` takes: `driver` first.
    #[must_use]
    pub fn device(driver: &str) -> Self {
        Self::new().with("driver", driver)
    }

    /// What `-object` takes: the type and the id first.
    #[must_use]
    pub fn object(kind: &str, id: impl Into<String>) -> Self {
        Self::new().with("qom-type", kind).with("id", id.into())
    }

    /// Adds a member.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.set(key, value);
        self
    }

    /// Adds a member if there is a value.
    #[must_use]
    pub fn maybe<T: Into<Value>>(mut self, key: &str, value: Option<T>) -> Self {
        if let Some(value) = value {
            self.set(key, value);
        }
        self
    }

    /// Adds a member.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.0.insert(key.to_owned(), value.into());
    }

    /// Adds the members of `other`, after those that are there.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Takes a member out.
    pub fn remove(&mut self, key: &str) {
        self.0.shift_remove(key);
    }

    /// The value of a member.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// Whether there are no members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The older form of a flat object, for options that know no JSON yet; the value of `first` leads.
    pub(crate) fn flat(&self, first: &str) -> Opts {
        let mut opts = Opts::new(self.get(first).and_then(Value::as_str).unwrap_or_default());
        for (key, value) in self.0.iter().filter(|(key, _)| *key != first) {
            match value {
                Value::String(text) => opts.set(key, text),
                Value::Bool(on) => opts.set(key, on_off(*on)),
                other => opts.set(key, other),
            }
        }
        opts
    }

    /// The same in the older form.
    #[must_use]
    pub(crate) fn into_opts(self) -> Opts {
        self.0.into_iter().fold(Opts::default(), |opts, (key, value)| match value {
            Value::String(text) => opts.with(&key, text),
            other => opts.with(&key, other),
        })
    }

    /// The object as QMP's arguments take it.
    #[must_use]
    pub fn into_value(self) -> Value {
        Value::Object(self.0)
    }
}

impl From<Props> for Value {
    fn from(props: Props) -> Self {
        props.into_value()
    }
}

impl std::fmt::Display for Props {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&serde_json::to_string(&self.0).map_err(|_| std::fmt::Error)?)
    }
}

/// `first,key=value,…`, where a comma inside a value is doubled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Opts(String);

impl Opts {
    /// Options that begin with a word.
    #[must_use]
    pub(crate) fn new(first: &str) -> Self {
        let mut opts = Self::default();
        opts.push(&escape(first));
        opts
    }

    /// Adds `key=value`.
    #[must_use]
    pub(crate) fn with(mut self, key: &str, value: impl std::fmt::Display) -> Self {
        self.set(key, value);
        self
    }

    /// Adds `key=value` if there is a value.
    #[must_use]
    pub(crate) fn maybe(mut self, key: &str, value: Option<impl std::fmt::Display>) -> Self {
        if let Some(value) = value {
            self.set(key, value);
        }
        self
    }

    /// Adds `key=value`.
    pub(crate) fn set(&mut self, key: &str, value: impl std::fmt::Display) {
        let value = escape(&value.to_string());
        self.push(&format!("{key}={value}"));
    }

    /// Adds a word as it is.
    pub(crate) fn push(&mut self, word: &str) {
        if !self.0.is_empty() {
            self.0.push(',');
        }
        self.0.push_str(word);
    }

    /// Whether nothing was added.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Opts> for String {
    fn from(opts: Opts) -> Self {
        opts.0
    }
}

impl std::fmt::Display for Opts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text with its commas doubled, as QEMU's option parser wants it.
#[must_use]
pub(crate) fn escape(text: &str) -> String {
    text.replace(',', ",,")
}

/// `on` or `off`.
#[must_use]
pub(crate) fn on_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_members_is_kept() {
        let props = Props::device("virtio-net-pci").with("netdev", "hostnet0").with("id", "net0");
        assert_eq!(
            props.to_string(),
            r#"{"driver":"virtio-net-pci","netdev":"hostnet0","id":"net0"}"#
        );
    }

    #[test]
    fn commas_inside_values_are_doubled() {
        let opts = Opts::new("serial").with("id", "charserial0").with("path", "/dev/ttyS2,foo");
        assert_eq!(opts.to_string(), "serial,id=charserial0,path=/dev/ttyS2,,foo");
    }
}
