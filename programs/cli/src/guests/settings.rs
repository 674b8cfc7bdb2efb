// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The settings of `libvirt-guests`: libvirt's file, which shells can read too.

use std::time::Duration;

/// What is done with guests when the host shuts down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnShutdown {
    Suspend,
    Shutdown,
    /// Those that do not shut down in time are suspended.
    ShutdownSuspend,
}

/// All of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Where guests are looked for; `default` is whatever the host has.
    pub(crate) uris: Vec<String>,
    /// Whether guests that ran at the shutdown are started at boot.
    pub(crate) start_on_boot: bool,
    /// The time between two starts.
    pub(crate) start_delay: Duration,
    pub(crate) on_shutdown: OnShutdown,
    /// How many guests shut down at the same time.
    pub(crate) parallel: usize,
    /// How long they may take: each, or all of a URI where several do at the same time. `None`: for ever.
    pub(crate) timeout: Option<Duration>,
    pub(crate) bypass_cache: bool,
    pub(crate) sync_time: bool,
    /// Whether guests without a definition are left alone. Unless set, they are where guests are suspended.
    pub(crate) persistent_only: Option<bool>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            uris: vec!["default".to_owned()],
            start_on_boot: false,
            start_delay: Duration::ZERO,
            on_shutdown: OnShutdown::Shutdown,
            parallel: 1,
            timeout: Some(Duration::from_secs(300)),
            bypass_cache: false,
            sync_time: false,
            persistent_only: None,
        }
    }
}

impl Settings {
    /// Takes over what `text` sets. What it sets beside is somebody else's.
    ///
    /// # Errors
    /// A value that means nothing, with its line.
    pub(crate) fn read(&mut self, text: &str) -> Result<(), String> {
        for (index, line) in text.lines().enumerate() {
            let line = line.trim().trim_start_matches("export ");
            let Some((name, value)) = line.split_once('=').filter(|_| !line.starts_with('#'))
            else {
                continue;
            };
            let value = unquoted(value);
            self.set(name, value).map_err(|wanted| {
                format!("line {}: {name}='{value}' should be {wanted}", index + 1)
            })?;
        }
        Ok(())
    }

    /// Sets one; an error says what the value should be.
    fn set(&mut self, name: &str, value: &str) -> Result<(), &'static str> {
        match name {
            "URIS" => self.uris = value.split_whitespace().map(str::to_owned).collect(),
            "ON_BOOT" => {
                self.start_on_boot = match value {
                    "start" => true,
                    "ignore" => false,
                    _ => return Err("start or ignore"),
                }
            }
            "START_DELAY" => self.start_delay = Duration::from_secs(number(value)?),
            "ON_SHUTDOWN" => {
                self.on_shutdown = match value {
                    "suspend" => OnShutdown::Suspend,
                    "shutdown" => OnShutdown::Shutdown,
                    "shutdown-suspend" => OnShutdown::ShutdownSuspend,
                    _ => return Err("suspend, shutdown or shutdown-suspend"),
                }
            }
            "PARALLEL_SHUTDOWN" => {
                self.parallel = usize::try_from(number(value)?).unwrap_or(usize::MAX).max(1);
            }
            "SHUTDOWN_TIMEOUT" => {
                let seconds = number(value)?;
                self.timeout = (seconds > 0).then(|| Duration::from_secs(seconds));
            }
            "BYPASS_CACHE" => self.bypass_cache = number(value)? != 0,
            "SYNC_TIME" => self.sync_time = number(value)? != 0,
            "PERSISTENT_ONLY" => {
                self.persistent_only = match value {
                    "default" => None,
                    "true" => Some(true),
                    "false" => Some(false),
                    _ => return Err("default, true or false"),
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn number(value: &str) -> Result<u64, &'static str> {
    value.parse().map_err(|_| "a number from 0 on")
}

/// A value without its quotes, and without a remark after it.
fn unquoted(value: &str) -> &str {
    let value = value.trim();
    for quote in ['"', '\''] {
        if let Some(rest) = value.strip_prefix(quote) {
            return rest.split(quote).next().unwrap_or_default();
        }
    }
    value.split_whitespace().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shells_file_is_understood() {
        let mut settings = Settings::default();
        let text = "# URIS=x\nURIS='default lxc:///system' # both\nexport ON_BOOT=\"start\"\n\nON_SHUTDOWN=suspend\n\
                    PARALLEL_SHUTDOWN=0\nSHUTDOWN_TIMEOUT=0\nOTHER=1\nPERSISTENT_ONLY=true\n";
        settings.read(text).unwrap();
        assert_eq!(settings.uris, ["default", "lxc:///system"]);
        assert!(settings.start_on_boot && settings.on_shutdown == OnShutdown::Suspend);
        assert_eq!((settings.parallel, settings.timeout), (1, None));
        assert_eq!(settings.persistent_only, Some(true));
    }

    #[test]
    fn a_mistake_is_named_with_its_line() {
        let error = Settings::default().read("\nSTART_DELAY=soon\n").unwrap_err();
        assert_eq!(error, "line 2: START_DELAY='soon' should be a number from 0 on");
    }
}
