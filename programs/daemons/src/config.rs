// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `/etc/libvirt/NAME.conf`: every key of libvirt's daemons, with libvirt's defaults.
//!
//! A key that is unknown, or that has no effect here, is named with file and line in the log. A
//! value that would make the daemon stricter than it can be stops the start: to ignore it would open a
//! door that somebody closed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use uuid::Uuid;
use virtus_api::{Error, ErrorCode, Result};
use virtus_core::conf::manual::remarks;
use virtus_core::conf::{Conf, Value};
use virtus_core::log::{Filter, Level, Output};
use virtus_host::node;
use virtus_rpc::{Access, Authentication, KeepalivePolicy, Limits};

use crate::admin::AdminRules;
use crate::network::{self, NetworkRules};
use crate::table::Daemon;
use crate::{authentication, settings};

/// Who may use one of the sockets, by the file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SocketRules {
    /// Owner group, by name.
    pub(crate) group: Option<String>,
    /// Mode of the read-write socket.
    pub(crate) rw_mode: u32,
    /// Mode of the read-only socket.
    pub(crate) ro_mode: u32,
    /// What clients of the read-write socket are asked for.
    pub(crate) rw_authentication: Authentication,
    /// What clients of the read-only socket are asked for.
    pub(crate) ro_authentication: Authentication,
    /// Folder, if it is not the usual one.
    pub(crate) folder: Option<PathBuf>,
    /// Clients that may wait in each socket until they are accepted.
    pub(crate) queue: i32,
}

impl SocketRules {
    /// What a client of the read-write or the read-only socket may do.
    pub(crate) fn access(&self, read_only: bool) -> Access {
        let authentication = match read_only {
            true => self.ro_authentication,
            false => self.rw_authentication,
        };
        Access { read_only, authentication }
    }
}

/// What a configuration file says.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// The file, for whoever has keys of its own in it.
    pub(crate) file: Conf,
    pub(crate) sockets: SocketRules,
    pub(crate) network: NetworkRules,
    /// The users whom SASL lets in, as patterns; `None`: all.
    pub(crate) allowed_users: Option<Vec<String>>,
    /// Whether polkit says who may do what with which object.
    pub(crate) polkit_access: bool,
    pub(crate) limits: Limits,
    pub(crate) admin: AdminRules,
    /// The host's UUID, where it is not what the firmware says.
    pub(crate) host_uuid: Option<Uuid>,
    pub(crate) log_level: Option<Level>,
    pub(crate) log_filters: Option<Vec<Filter>>,
    pub(crate) log_outputs: Option<Vec<Output>>,
    /// What the log should be told, once there is one.
    pub(crate) remarks: Vec<String>,
}

impl Config {
    /// Reads `file`. The usual file may be missing, one that was asked for may not.
    pub(crate) fn load(daemon: &Daemon, file: &Path, asked_for: bool) -> Result<Self> {
        match Conf::load(file)? {
            Some(conf) => Self::read(daemon, conf),
            None if asked_for => {
                let cause =
                    std::io::Error::from_raw_os_error(rustix::io::Errno::NOENT.raw_os_error());
                Err(Error::system(
                    format!("cannot read configuration '{}'", file.display()),
                    &cause,
                ))
            }
            None => Self::read(daemon, Conf::default()),
        }
    }

    fn read(daemon: &Daemon, file: Conf) -> Result<Self> {
        let conf = &file;
        let text = |name| conf.text(name).map(|text| text.map(str::to_owned));
        let level = conf.typed("log_level", "1, 2, 3 or 4", |value| match value {
            Value::Number(number) => Level::parse(&number.to_string()),
            _ => None,
        })?;
        Ok(Self {
            sockets: SocketRules {
                group: text("unix_sock_group")?,
                rw_mode: mode(conf, "unix_sock_rw_perms")?.unwrap_or(0o700),
                ro_mode: mode(conf, "unix_sock_ro_perms")?.unwrap_or(0o777),
                rw_authentication: authentication::read(conf, "auth_unix_rw")?.unwrap_or_default(),
                ro_authentication: authentication::read(conf, "auth_unix_ro")?.unwrap_or_default(),
                folder: conf.typed("unix_sock_dir", "a path from the root", folder)?,
                queue: at_least_one(conf, "max_queued_clients")?
                    .unwrap_or(1000)
                    .try_into()
                    .unwrap_or(i32::MAX),
            },
            network: NetworkRules::read(conf)?,
            allowed_users: authentication::allowed_users(conf)?,
            polkit_access: polkit_access(daemon, conf)?,
            limits: limits(daemon, conf)?,
            admin: AdminRules::read(daemon, conf)?,
            host_uuid: host_uuid(conf)?,
            log_level: level,
            log_filters: parsed(conf, "log_filters", Filter::parse_all)?,
            log_outputs: parsed(conf, "log_outputs", Output::parse_all)?,
            remarks: network::remark(conf)
                .into_iter()
                .chain(remarks(conf, settings::all()))
                .collect(),
            file,
        })
    }

    /// Whether both say the same of sockets: where they are, to whom they are open, and what they ask of clients.
    pub(crate) fn same_sockets(&self, other: &Self) -> bool {
        let admin = |config: &Self| (config.admin.mode, config.admin.queue);
        self.sockets == other.sockets
            && self.network.same_sockets(&other.network)
            && admin(self) == admin(other)
    }
}

fn limits(daemon: &Daemon, conf: &Conf) -> Result<Limits> {
    let usual = Limits::default();
    if daemon.own.is_some() {
        // All clients are the daemon's own user; what calls wait for is a disk, each for its own.
        let max_clients = at_least_one(conf, "max_clients")?.unwrap_or(1024);
        return Ok(Limits {
            max_clients,
            max_user_clients: max_clients,
            max_user_requests: max_clients,
            max_workers: max_clients,
            keepalive: None,
            ..usual
        });
    }
    let count = |name, usual: usize| Ok::<_, Error>(at_least_one(conf, name)?.unwrap_or(usual));
    let interval: i64 = conf.number("keepalive_interval")?.unwrap_or(5);
    let pings: u32 = conf.number("keepalive_count")?.unwrap_or(5);
    // libvirt: -1 turns pings off, and so does 0.
    let interval = u64::try_from(interval).ok().filter(|seconds| *seconds > 0);
    let keepalive = interval.map(|seconds| KeepalivePolicy {
        // A day of silence is as good as none; it keeps the sum of all intervals a real moment.
        interval: Duration::from_secs(seconds.min(86_400)),
        count: pings.min(1000),
    });
    let max_workers = count("max_workers", usual.max_workers)?;
    let max_clients = count("max_clients", usual.max_clients)?;
    Ok(Limits {
        max_clients,
        // A tenth of the places is left to others.
        max_user_clients: count("max_user_clients", max_clients - max_clients / 10)?,
        max_anonymous_clients: conf
            .number("max_anonymous_clients")?
            .unwrap_or(usual.max_anonymous_clients),
        max_client_requests: count("max_client_requests", usual.max_client_requests)?,
        // A quarter is left to others.
        max_user_requests: count("max_user_requests", max_workers - max_workers / 4)?,
        min_workers: conf.number("min_workers")?.unwrap_or(usual.min_workers).min(max_workers),
        max_workers,
        prio_workers: conf.number("prio_workers")?.unwrap_or(usual.prio_workers),
        keepalive,
    })
}

fn host_uuid(conf: &Conf) -> Result<Option<Uuid>> {
    let by_machine =
        conf.typed("host_uuid_source", "\"smbios\" or \"machine-id\"", |value| match value {
            Value::Text(text) if text == "smbios" => Some(false),
            Value::Text(text) if text == "machine-id" => Some(true),
            _ => None,
        })?;
    let given = conf.typed("host_uuid", "a UUID of different digits", |value| match value {
        Value::Text(text) => Uuid::parse_str(text).ok().filter(node::looks_real),
        _ => None,
    })?;
    Ok(given.or_else(|| node::machine_id().filter(|_| by_machine == Some(true))))
}

pub(crate) fn at_least_one(conf: &Conf, name: &str) -> Result<Option<usize>> {
    conf.typed(name, "a number above 0", |value| match value {
        Value::Number(number) => usize::try_from(*number).ok().filter(|number| *number > 0),
        _ => None,
    })
}

/// An octal mode, given as text.
pub(crate) fn mode(conf: &Conf, name: &str) -> Result<Option<u32>> {
    conf.typed(name, "an octal mode such as \"0770\"", |value| match value {
        Value::Text(text) => u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777),
        _ => None,
    })
}

/// A folder that is the same one wherever the daemon goes.
fn folder(value: &Value) -> Option<PathBuf> {
    match value {
        Value::Text(text) => Some(PathBuf::from(text)).filter(|path| path.is_absolute()),
        _ => None,
    }
}

/// What a text means; one that means nothing is refused with its place.
fn parsed<T>(conf: &Conf, name: &str, parse: fn(&str) -> Result<T>) -> Result<Option<T>> {
    let Some(text) = conf.text(name)? else { return Ok(None) };
    parse(text).map(Some).map_err(|error| misplaced(conf, name, error))
}

/// An error about what a key says, with the place of that.
pub(crate) fn misplaced(conf: &Conf, name: &str, error: Error) -> Error {
    let Some(setting) = conf.get(name) else { return error };
    let refused = conf.refuse(setting, error.text());
    match error.hint_text() {
        Some(hint) => refused.hint(hint.to_owned()),
        None => refused,
    }
}

/// Whether `access_drivers` names polkit. `none` restricts nothing.
///
/// # Errors
/// It names another: to ignore that would open a door that somebody closed.
fn polkit_access(daemon: &Daemon, conf: &Conf) -> Result<bool> {
    let drivers = conf.texts("access_drivers")?.unwrap_or_default();
    if let Some(unknown) = drivers.iter().find(|driver| !matches!(**driver, "none" | "polkit")) {
        let why = format!("there is no access driver '{unknown}'");
        let hint = "\"polkit\" asks polkit for each object; \"none\" lets everybody who may connect do everything";
        return Err(refusal(conf, "access_drivers", &why).hint(hint));
    }
    let polkit = drivers.contains(&"polkit");
    if polkit && daemon.forwards {
        let why = "the daemons behind this one say who may do what";
        let hint = "set it in their files: they learn who asks";
        return Err(refusal(conf, "access_drivers", why).hint(hint));
    }
    Ok(polkit)
}

fn refusal(conf: &Conf, name: &str, why: &str) -> Error {
    match conf.get(name) {
        Some(setting) => conf.refuse(setting, why),
        None => Error::new(ErrorCode::ConfSyntax, format!("'{name}': {why}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::LIBVIRTD;

    fn read(text: &str) -> Result<Config> {
        Config::read(&LIBVIRTD, Conf::parse(Path::new("x.conf"), text).unwrap())
    }

    #[test]
    fn an_empty_file_means_libvirts_defaults() {
        let config = read("").unwrap();
        assert_eq!(config.limits, Limits::default());
        assert_eq!((config.sockets.rw_mode, config.sockets.ro_mode), (0o700, 0o777));
        assert!(config.remarks.is_empty() && config.log_level.is_none());
    }

    #[test]
    fn settings_take_hold() {
        let config = read(
            "unix_sock_group = \"libvirt\"\nunix_sock_rw_perms = \"0770\"\nmax_clients = 7\n\
             log_level = 1\nlog_filters = \"1:qemu\"\nkeepalive_interval = -1\nauth_unix_rw = \"none\"",
        )
        .unwrap();
        assert_eq!(config.sockets.group.as_deref(), Some("libvirt"));
        assert_eq!((config.sockets.rw_mode, config.limits.max_clients), (0o770, 7));
        assert_eq!((config.log_level, config.limits.keepalive), (Some(Level::Debug), None));
    }

    #[test]
    fn what_would_open_a_door_stops_the_start() {
        for (text, why) in [
            ("\nauth_tls = \"polkit\"", "x.conf:2: 'auth_tls': polkit knows only"),
            ("auth_unix_ro = \"foo\"", "x.conf:1: 'auth_unix_ro'"),
            ("auth_unix_rw = \"foo\"", "no authentication method 'foo'"),
            ("access_drivers = [ \"polkit\", \"selinux\" ]", "no access driver 'selinux'"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("\nhint: "), "{error}");
            let polkit = text.starts_with("auth_unix");
            assert_eq!(error.contains("\"polkit\" asks polkit;"), polkit, "{error}");
        }
    }

    #[test]
    fn wrong_values_and_unknown_names_are_named_with_their_line() {
        for (text, why) in [
            ("unix_sock_rw_perms = \"0999\"", "expected an octal mode"),
            ("max_clients = 0", "expected a number above 0"),
            ("log_level = 5", "expected 1, 2, 3 or 4"),
            ("host_uuid_source = \"dmi\"", "expected \"smbios\" or \"machine-id\""),
            ("host_uuid = \"00000000-0000-0000-0000-000000000000\"", "of different digits"),
        ] {
            assert!(read(text).unwrap_err().to_string().contains(why), "{text}");
        }
        let config = read("audit_levle = 0\n\naudit_level = 0\n").unwrap();
        assert_eq!(
            config.remarks,
            [
                "x.conf:1: unknown setting 'audit_levle' is ignored",
                "x.conf:3: 'audit_level' has no effect in Virtus"
            ]
        );
    }
}
