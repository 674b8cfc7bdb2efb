// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the log should be: the command line before the environment before the file, as libvirt
//! has it. A wrong variable is ignored with a remark; a wrong file stops the start.

use std::env;
use std::path::Path;

use virtus_core::Paths;
use virtus_core::log::{Filter, Level, Output, Settings, Target};

use crate::config::Config;
use crate::options::Options;

/// The settings, and what is to be said about how they came to be.
pub(crate) fn settings(
    name: &str,
    options: &Options,
    config: &Config,
    paths: &Paths,
) -> (Settings, Vec<String>) {
    let mut remarks = Vec::new();
    let mut settings = Settings::new(name);
    let from_file = config.log_level;
    let level = variable("LIBVIRT_DEBUG", &mut remarks, |text| {
        Level::parse(text).ok_or_else(|| "expected 1, 2, 3 or 4".to_owned())
    });
    settings.level = level.or(from_file).unwrap_or(Level::Warning);
    if options.verbose {
        settings.level = settings.level.min(Level::Info);
    }
    let filters = variable("LIBVIRT_LOG_FILTERS", &mut remarks, |text| {
        Filter::parse_all(text).map_err(|error| error.to_string())
    });
    settings.filters = match (filters, &config.log_filters) {
        (Some(filters), _) => filters,
        (None, Some(filters)) => filters.clone(),
        (None, None) => Vec::new(),
    };
    let outputs = variable("LIBVIRT_LOG_OUTPUTS", &mut remarks, |text| {
        Output::parse_all(text).map_err(|error| error.to_string())
    });
    settings.outputs = match (outputs, &config.log_outputs) {
        (Some(outputs), _) => outputs,
        (None, Some(outputs)) => outputs.clone(),
        (None, None) => usual_outputs(name, options, paths),
    };
    (settings, remarks)
}

/// A daemon of systemd logs to the journal, one in the background to a file, others to the terminal.
pub(crate) fn usual_outputs(name: &str, options: &Options, paths: &Paths) -> Vec<Output> {
    let of_systemd =
        env::var_os("INVOCATION_ID").is_some() && Path::new("/run/systemd/journal/socket").exists();
    let target = match (of_systemd, options.daemon) {
        (true, _) => Target::Journald,
        (false, true) => Target::File(paths.log.join(format!("{name}.log"))),
        (false, false) => Target::Stderr,
    };
    vec![Output { level: Level::Debug, target }]
}

/// The variable's meaning, if it is set to something that has one.
fn variable<T>(
    name: &str,
    remarks: &mut Vec<String>,
    read: impl FnOnce(&str) -> Result<T, String>,
) -> Option<T> {
    let text = env::var(name).ok().filter(|text| !text.is_empty())?;
    match read(&text) {
        Ok(value) => Some(value),
        Err(why) => {
            remarks.push(format!("ignoring {name}='{text}': {why}"));
            None
        }
    }
}
