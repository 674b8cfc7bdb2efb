// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `virt-xml-validate`: whether a document is one that libvirt's schemas allow.
//!
//! Words, exit statuses and streams are those of libvirt's tool. The schemas are those of our own declarations;
//! `--grammar` writes one of them as RelaxNG, for editors.

use std::fs::File;
use std::io::{self, Read, Write};

use virtus_api::ErrorCode;
use virtus_xml::document;
use virtus_xml::limits::MAX_BYTES;
use virtus_xml::schema::{DOCUMENTS, Document};

/// Why a document is not valid, or nothing can be said of it: the exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    /// The command line is wrong, or the text is not XML.
    Malformed = 1,
    NoFile = 2,
    /// The document is not valid, or its root element does not tell its schema.
    Invalid = 3,
    NoSchema = 4,
}

type Refusal = (Status, String);

/// What the command line asks for.
enum Task {
    Help,
    Version,
    Grammar(String),
    Validate { file: String, schema: Option<String> },
}

/// Runs the tool with its `words`, of which the first is its own name; answers the exit status.
pub fn run(words: &[String], input: &mut dyn Read, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    let program = words.first().map_or("virt-xml-validate", String::as_str);
    let done = match task(words.get(1..).unwrap_or_default()) {
        Ok(Task::Help) => write_all(out, &help(program)),
        Ok(Task::Version) => write_all(out, &format!("{program} (libvirt) 11.3.0\n")),
        Ok(Task::Grammar(name)) => {
            named(&name).and_then(|document| write_all(out, &document.grammar()))
        }
        Ok(Task::Validate { file, schema }) => validate(&file, schema.as_deref(), input)
            .and_then(|()| write_all(err, &format!("{file} validates\n"))),
        Err(refusal) => Err(refusal),
    };
    match done {
        Ok(()) => 0,
        Err((status, text)) => {
            // Without a stream for errors the status has to do.
            let _ = writeln!(err, "{program}: {text}");
            status as u8
        }
    }
}

fn write_all(stream: &mut dyn Write, text: &str) -> Result<(), Refusal> {
    stream
        .write_all(text.as_bytes())
        .map_err(|cause| (Status::Malformed, format!("cannot write: {cause}")))
}

fn task(words: &[String]) -> Result<Task, Refusal> {
    let usage = || (Status::Malformed, "syntax: XML-FILE [SCHEMA-NAME]; see --help".to_owned());
    let words = match words {
        [option, rest @ ..] if option.len() > 1 && option.starts_with('-') => {
            // Long options may be cut short, as in libvirt.
            let means = |long: &str| option.len() > 2 && long.starts_with(option.as_str());
            match rest {
                _ if option == "-h" || means("--help") => return Ok(Task::Help),
                _ if option == "-V" || means("--version") => return Ok(Task::Version),
                [name] if means("--grammar") => return Ok(Task::Grammar(name.clone())),
                _ if option == "--" => rest,
                _ => return Err((Status::Malformed, format!("unrecognized option '{option}'"))),
            }
        }
        words => words,
    };
    match words {
        [file] if !file.is_empty() => Ok(Task::Validate { file: file.clone(), schema: None }),
        [file, schema] if !file.is_empty() => {
            Ok(Task::Validate { file: file.clone(), schema: Some(schema.clone()) })
        }
        _ => Err(usage()),
    }
}

fn validate(file: &str, schema: Option<&str>, input: &mut dyn Read) -> Result<(), Refusal> {
    let bytes = read(file, input)?;
    let text = String::from_utf8(bytes)
        .map_err(|cause| (Status::Malformed, format!("{file}: not UTF-8: {cause}")))?;
    let document = match schema.filter(|name| !name.is_empty()) {
        Some(name) => named(name)?,
        None => Document::of_root(document::root(&text)).ok_or_else(|| {
            let text = format!("cannot determine schema type for {file}: {}", known());
            (Status::Invalid, text)
        })?,
    };
    document.validate(&text).map_err(|error| {
        let place = error.hint_text().map_or_else(String::new, |hint| format!(" ({hint})"));
        let told = format!("{file}: {}{place}", error.text());
        match error.code() {
            ErrorCode::XmlInvalidSchema => {
                (Status::Invalid, format!("{told}\n{file} fails to validate"))
            }
            _ => (Status::Malformed, told),
        }
    })
}

/// The document's bytes, at most as many as are read of any document, and one more.
fn read(file: &str, input: &mut dyn Read) -> Result<Vec<u8>, Refusal> {
    let limit = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    let done = if file == "-" {
        input.take(limit).read_to_end(&mut bytes)
    } else {
        File::open(file).and_then(|file| file.take(limit).read_to_end(&mut bytes))
    };
    match done {
        Ok(_) => Ok(bytes),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            Err((Status::NoFile, format!("document {file} does not exist")))
        }
        Err(cause) => Err((Status::NoFile, format!("document {file} cannot be read: {cause}"))),
    }
}

fn named(name: &str) -> Result<&'static Document, Refusal> {
    Document::named(name)
        .ok_or_else(|| (Status::NoSchema, format!("schema {name} does not exist: {}", known())))
}

fn known() -> String {
    let names: Vec<&str> = DOCUMENTS.iter().map(|document| document.name).collect();
    format!("there are {}", names.join(", "))
}

fn help(program: &str) -> String {
    format!(
        "Usage:
  {program} XML-FILE [SCHEMA-NAME]
  {program} OPTION

Says whether XML-FILE ('-': standard input) is valid. Without SCHEMA-NAME the root element tells the schema.

Options:
  -h, --help              show this text
  -V, --version           show the version
  --grammar SCHEMA-NAME   write the schema as a RelaxNG grammar

Schemas: {}

Exit status: 0 valid, 1 wrong usage or not XML, 2 no such file, 3 not valid or of no known kind, 4 no such schema
",
        known().trim_start_matches("there are ")
    )
}
