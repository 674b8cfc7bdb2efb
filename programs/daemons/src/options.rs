// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The command line of the manual pages: short options may stand together, long ones may be
//! shortened as far as they stay clear, as with every GNU program.

use std::path::PathBuf;
use std::time::Duration;

use crate::table::Daemon;

/// What the command line asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// `-d`: go to the background when ready.
    pub(crate) daemon: bool,
    /// `-l`: listen on TCP too.
    pub(crate) listen: bool,
    /// `-v`: log what happens, not only what is wrong.
    pub(crate) verbose: bool,
    /// `-f`.
    pub(crate) config: Option<PathBuf>,
    /// `-p`.
    pub(crate) pid_file: Option<PathBuf>,
    /// `-t`: exit when nobody needed the daemon for so long.
    pub(crate) timeout: Option<Duration>,
}

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Serve.
    Run(Options),
    /// Show the help.
    Help,
    /// Show libvirt's version, or with `long` also ours.
    Version { long: bool },
}

/// An option that a daemon knows.
#[derive(Debug)]
pub struct Known {
    /// After one dash.
    pub short: char,
    /// After two.
    pub long: &'static str,
    /// What comes after it.
    pub argument: Argument,
    /// What it does, in a few words.
    pub help: &'static str,
    /// What it does, as the manual page says it.
    pub manual: &'static str,
}

/// What comes after an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Argument {
    /// Nothing.
    None,
    /// Its name in the help.
    Needed(&'static str),
    /// Only as `--name=value`.
    Optional,
}

const KNOWN: &[Known] = &[
    Known {
        short: 'h',
        long: "help",
        argument: Argument::None,
        help: "Display program help",
        manual: "Shows a summary of the options.",
    },
    Known {
        short: 'v',
        long: "verbose",
        argument: Argument::None,
        help: "Verbose messages",
        manual: "Logs what happens, not only what is wrong.",
    },
    Known {
        short: 'd',
        long: "daemon",
        argument: Argument::None,
        help: "Run as a daemon & write PID file",
        manual: "Goes to the background once it serves; the starter's exit status says whether it does.",
    },
    Known {
        short: 'l',
        long: "listen",
        argument: Argument::None,
        help: "Listen for TCP/IP connections",
        manual: "Serves clients of other hosts too, as the configuration says. Where systemd holds the sockets, enable its units instead.",
    },
    Known {
        short: 't',
        long: "timeout",
        argument: Argument::Needed("secs"),
        help: "Exit after timeout period",
        manual: "Ends when for so many seconds there were neither clients nor running guests.",
    },
    Known {
        short: 'f',
        long: "config",
        argument: Argument::Needed("file"),
        help: "Configuration file",
        manual: "Reads this configuration file instead of the usual one.",
    },
    Known {
        short: 'V',
        long: "version",
        argument: Argument::Optional,
        help: "Display version information",
        manual: "Shows the release of libvirt that this daemon is compatible with; with **=long** also its own.",
    },
    Known {
        short: 'p',
        long: "pid-file",
        argument: Argument::Needed("file"),
        help: "Change name of PID file",
        manual: "Writes its process id to this file instead of the usual one.",
    },
];

/// The options of `daemon`.
pub fn known_to(daemon: &Daemon) -> impl Iterator<Item = &'static Known> {
    // A proxy listens without being told.
    let told = daemon.listens_on_ip && !daemon.forwards;
    KNOWN.iter().filter(move |known| told || known.short != 'l')
}

/// Understands the arguments after the program's name; an error is the text for the user.
pub(crate) fn parse(
    daemon: &Daemon,
    arguments: impl IntoIterator<Item = String>,
) -> Result<Action, String> {
    let mut arguments = arguments.into_iter();
    let mut options = Options::default();
    while let Some(argument) = arguments.next() {
        if let Some(long) = argument.strip_prefix("--").filter(|long| !long.is_empty()) {
            let (name, value) = match long.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (long, None),
            };
            let known = long_option(daemon, name)?;
            let value =
                match (known.argument, value) {
                    (Argument::None, Some(_)) => {
                        return Err(format!("option '--{}' doesn't allow an argument", known.long));
                    }
                    (Argument::Needed(_), None) => Some(arguments.next().ok_or_else(|| {
                        format!("option '--{}' requires an argument", known.long)
                    })?),
                    (_, value) => value,
                };
            if let Some(action) = apply(known, value, &mut options)? {
                return Ok(action);
            }
        } else if let Some(letters) = argument.strip_prefix('-').filter(|rest| !rest.is_empty()) {
            if let Some(action) = short_options(daemon, letters, &mut arguments, &mut options)? {
                return Ok(action);
            }
        } else {
            return Err("unexpected, non-option, command line arguments".to_owned());
        }
    }
    Ok(Action::Run(options))
}

fn long_option(daemon: &Daemon, name: &str) -> Result<&'static Known, String> {
    if let Some(exact) = known_to(daemon).find(|known| known.long == name) {
        return Ok(exact);
    }
    let mut candidates = known_to(daemon).filter(|known| known.long.starts_with(name));
    match (candidates.next(), candidates.next()) {
        (Some(only), None) => Ok(only),
        (Some(_), Some(_)) => Err(format!("option '--{name}' is ambiguous")),
        (None, _) => Err(format!("unrecognized option '--{name}'")),
    }
}

/// `-dv`, `-t30`, `-t 30`.
fn short_options(
    daemon: &Daemon,
    letters: &str,
    arguments: &mut impl Iterator<Item = String>,
    options: &mut Options,
) -> Result<Option<Action>, String> {
    let mut rest = letters.chars();
    while let Some(letter) = rest.next() {
        let known = known_to(daemon)
            .find(|known| known.short == letter)
            .ok_or_else(|| format!("invalid option -- '{letter}'"))?;
        let value = match known.argument {
            Argument::Needed(_) if !rest.as_str().is_empty() => Some(rest.as_str().to_owned()),
            Argument::Needed(_) => Some(
                arguments
                    .next()
                    .ok_or_else(|| format!("option requires an argument -- '{letter}'"))?,
            ),
            Argument::None | Argument::Optional => None,
        };
        let took_rest = value.is_some();
        if let Some(action) = apply(known, value, options)? {
            return Ok(Some(action));
        }
        if took_rest {
            break;
        }
    }
    Ok(None)
}

fn apply(
    known: &Known,
    value: Option<String>,
    options: &mut Options,
) -> Result<Option<Action>, String> {
    match known.short {
        'h' => return Ok(Some(Action::Help)),
        'V' => {
            return match value.as_deref() {
                None => Ok(Some(Action::Version { long: false })),
                Some("long") => Ok(Some(Action::Version { long: true })),
                Some(_) => Err("option '--version' takes no argument but 'long'".to_owned()),
            };
        }
        'v' => options.verbose = true,
        'd' => options.daemon = true,
        'l' => options.listen = true,
        'f' => options.config = value.map(PathBuf::from),
        'p' => options.pid_file = value.map(PathBuf::from),
        _ => options.timeout = value.map(|value| seconds(&value)).transpose()?,
    }
    Ok(None)
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<u32>() {
        Ok(seconds) if seconds > 0 => Ok(Duration::from_secs(u64::from(seconds))),
        _ => Err(format!("Invalid value for timeout: '{text}' is no number of seconds above 0")),
    }
}

/// The lines of `--help` that speak of options.
pub(crate) fn usage(daemon: &Daemon, program: &str) -> String {
    let mut text = format!("\nUsage:\n  {program} [options]\n\nOptions:\n");
    for known in known_to(daemon) {
        let argument = match known.argument {
            Argument::Needed(name) => format!(" <{name}>"),
            Argument::None | Argument::Optional => String::new(),
        };
        let names = format!("-{} | --{}{argument}", known.short, known.long);
        text.push_str(&format!("  {names:<22} {}\n", known.help));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{LIBVIRTD, VIRTQEMUD};

    fn read(daemon: &Daemon, line: &str) -> Result<Action, String> {
        parse(daemon, line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_are_read_in_every_spelling() {
        let wanted = Options {
            daemon: true,
            listen: false,
            verbose: true,
            config: Some("/c".into()),
            pid_file: Some("/p".into()),
            timeout: Some(Duration::from_secs(30)),
        };
        for line in [
            "-d -v -f /c -p /p -t 30",
            "-dvf/c -p/p -t30",
            "--daemon --verbose --config /c --pid-file=/p --timeout=30",
            "--da --verb --conf=/c --pid /p --time 30",
        ] {
            assert_eq!(read(&VIRTQEMUD, line), Ok(Action::Run(wanted.clone())), "{line}");
        }
        assert_eq!(read(&VIRTQEMUD, "-v --version"), Ok(Action::Version { long: false }));
        assert_eq!(read(&VIRTQEMUD, "--version=long"), Ok(Action::Version { long: true }));
        assert_eq!(read(&VIRTQEMUD, "-h"), Ok(Action::Help));
    }

    #[test]
    fn mistakes_are_named() {
        for (line, text) in [
            ("--bogus", "unrecognized option '--bogus'"),
            ("--ver", "option '--ver' is ambiguous"),
            ("-x", "invalid option -- 'x'"),
            ("-t", "option requires an argument -- 't'"),
            ("--config", "option '--config' requires an argument"),
            ("--daemon=1", "option '--daemon' doesn't allow an argument"),
            ("extra", "unexpected, non-option, command line arguments"),
            ("-l", "invalid option -- 'l'"),
        ] {
            assert_eq!(read(&VIRTQEMUD, line), Err(text.to_owned()), "{line}");
        }
        assert!(read(&LIBVIRTD, "-l").is_ok());
        for text in ["abc", "0", "-5"] {
            assert!(read(&LIBVIRTD, &format!("--timeout={text}")).unwrap_err().contains(text));
        }
    }

    #[test]
    fn help_shows_what_the_daemon_knows() {
        let text = usage(&VIRTQEMUD, "virtqemud");
        assert!(text.contains("  -t | --timeout <secs>  Exit after timeout period\n"), "{text}");
        assert!(!text.contains("--listen") && usage(&LIBVIRTD, "x").contains("--listen"));
    }
}
