// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The questions that a QEMU binary is asked, and its answers.
//!
//! Everything is asked in two bursts: the first tells what the second has to name (the architecture, the
//! newest machine types), so that the time is that of two round trips however many questions there are.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::rules;
use crate::qmp::version_number;

/// A command with its arguments.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Question {
    pub(super) command: &'static str,
    pub(super) arguments: Option<Value>,
}

impl Question {
    fn plain(command: &'static str) -> Self {
        Self { command, arguments: None }
    }

    fn about_type(command: &'static str, typename: &str) -> Self {
        Self { command, arguments: Some(json!({ "typename": typename })) }
    }

    fn expansion(kind: &str, model: &str, properties: Option<Value>) -> Self {
        let mut model = json!({ "name": model });
        if let Some(properties) = properties {
            model["props"] = properties;
        }
        let arguments = json!({ "type": kind, "model": model });
        Self { command: "query-cpu-model-expansion", arguments: Some(arguments) }
    }

    fn key(command: &str, arguments: Option<&Value>) -> String {
        match arguments {
            Some(arguments) => format!("{command} {arguments}"),
            None => command.to_owned(),
        }
    }
}

/// What one QEMU process answered. What it refused, or was not asked, is absent.
#[derive(Debug, Clone, Default)]
pub struct Replies(HashMap<String, Value>);

impl Replies {
    /// Keeps the answer to a command.
    pub fn insert(&mut self, command: &str, arguments: Option<&Value>, reply: Value) {
        self.0.insert(Question::key(command, arguments), reply);
    }

    /// The answer to a command without arguments; `Null` if there is none.
    pub(super) fn plain(&self, command: &str) -> &Value {
        self.0.get(command).unwrap_or(&Value::Null)
    }

    /// The answer about a type.
    pub(super) fn about_type(&self, command: &'static str, typename: &str) -> Option<&Value> {
        self.of(&Question::about_type(command, typename))
    }

    /// What a CPU model is made of.
    pub(super) fn expansion(
        &self,
        kind: &str,
        model: &str,
        properties: Option<Value>,
    ) -> Option<&Value> {
        self.of(&Question::expansion(kind, model, properties))
    }

    fn of(&self, question: &Question) -> Option<&Value> {
        self.0.get(&Question::key(question.command, question.arguments.as_ref()))
    }

    /// QEMU's version as a number, and its package.
    pub(super) fn version(&self) -> (u32, String) {
        let reply = self.plain("query-version");
        let package = reply["package"].as_str().unwrap_or_default().trim();
        (version_number(&reply["qemu"]), package.to_owned())
    }

    /// The machines called `NAME-VERSION` for which no newer version is there, or `NAME` itself.
    pub(super) fn newest_machine(&self, name: &str) -> Option<&str> {
        let machines = self.plain("query-machines").as_array()?;
        let named = |entry: &&Value| entry["name"] == name || entry["alias"] == name;
        machines.iter().find(named)?["name"].as_str()
    }
}

/// The first burst.
pub(super) fn first_questions() -> Vec<Question> {
    let mut questions: Vec<Question> = [
        "query-version",
        "query-target",
        "query-qmp-schema",
        "query-kvm",
        "qom-list-types",
        "query-machines",
        "query-cpu-definitions",
        "query-tpm-models",
        "query-tpm-types",
        "query-command-line-options",
        "query-migrate-capabilities",
        "query-gic-capabilities",
        "query-sev-capabilities",
        "query-sgx-capabilities",
    ]
    .map(Question::plain)
    .to_vec();
    questions.extend(
        rules::DEVICE_PROPERTIES
            .iter()
            .map(|(typename, _)| Question::about_type("device-list-properties", typename)),
    );
    questions.extend(
        rules::OBJECT_PROPERTIES
            .iter()
            .map(|(typename, _)| Question::about_type("qom-list-properties", typename)),
    );
    questions
}

/// The second burst, which depends on the first.
pub(super) fn second_questions(first: &Replies) -> Vec<Question> {
    let mut questions = Vec::new();
    if let Some(virt) = first.newest_machine("virt") {
        questions.push(Question::about_type("qom-list-properties", &format!("{virt}-machine")));
    }
    let kvm = first.plain("query-kvm")["enabled"] == true;
    questions.extend(cpu_questions(if kvm { "host" } else { "max" }));
    questions
}

/// What a process without acceleration is asked when there is one with.
pub(super) fn tcg_questions() -> Vec<Question> {
    let mut questions = ["query-cpu-definitions", "query-machines"].map(Question::plain).to_vec();
    questions.extend(cpu_questions("max"));
    questions
}

fn cpu_questions(model: &str) -> Vec<Question> {
    let not_migratable = json!({ "migratable": false });
    let mut questions = vec![
        Question::expansion("static", model, None),
        Question::expansion("static", model, Some(not_migratable)),
        Question::expansion("full", model, None),
    ];
    if model == "host" {
        questions.push(Question::expansion("full", model, Some(hyperv_properties())));
    }
    questions
}

/// The properties with which `host` shows every enlightenment that the kernel offers.
pub(super) fn hyperv_properties() -> Value {
    json!({ "migratable": false, "hv-passthrough": true })
}
