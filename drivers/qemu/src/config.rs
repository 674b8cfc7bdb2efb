// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `qemu.conf`: what an administrator decides for all guests of this host.
//!
//! A key that is missing has libvirt's default. A key that nobody knows is warned about, never fatal:
//! a configuration of another release must not keep the guests of a host down. A value of the wrong kind
//! is an error that names file and line.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use virtus_api::{Error, ErrorCode, Result};
use virtus_core::Paths;
use virtus_core::conf::manual::remarks;
use virtus_core::conf::{Conf, Value};
use virtus_host::user::{self, Identity};

use crate::plan;

mod keys;
mod locks;
mod manual;

pub(crate) use locks::LockRules;
pub(crate) use manual::MANUAL;

/// The settings of the driver.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// Under whose rights QEMU runs (`user`, `group`).
    pub(crate) identity: Identity,
    /// Whether the files of a guest are given to that user while it runs (`dynamic_ownership`).
    pub(crate) dynamic_ownership: bool,
    /// Whether the former owner of such a file is kept and restored (`remember_owner`).
    pub(crate) remember_owner: bool,
    /// Ports for VNC and SPICE (`remote_display_port_min`, `remote_display_port_max`).
    pub(crate) display_ports: RangeInclusive<u16>,
    /// Ports for VNC over WebSocket (`remote_websocket_port_min`, `remote_websocket_port_max`).
    pub(crate) websocket_ports: RangeInclusive<u16>,
    /// Processes that the QEMU user may have (`max_processes`); 0: the system's limit.
    pub(crate) max_processes: u64,
    /// Files that one QEMU may open (`max_files`); 0: the system's limit.
    pub(crate) max_files: u64,
    /// Size of a core dump in bytes (`max_core`); `None`: the system's limit.
    pub(crate) max_core: Option<u64>,
    /// Whether guests are put into cgroups at all (`cgroup_controllers` is not empty).
    pub(crate) cgroups: bool,
    /// Under whose rights software TPMs run (`swtpm_user`, `swtpm_group`).
    pub(crate) swtpm: Option<Identity>,
    /// Whether virtlogd keeps what guests print (`stdio_handler`); `None`: if it is there.
    pub(crate) log_daemon: Option<bool>,
    /// What is locked while guests run (`lock_manager`, qemu-lockd.conf); `None`: nothing.
    pub(crate) locks: Option<LockRules>,
    /// Firmware and the template of its variables (`nvram`), as `CODE:VARS`.
    pub(crate) nvram: Vec<(PathBuf, PathBuf)>,
    /// What shapes command lines.
    pub(crate) plan: plan::Config,
}

impl Config {
    /// The configuration of the system's or of a user's daemon. Blocks.
    ///
    /// # Errors
    /// Where the file cannot be read, a value is of the wrong kind, or it names a user that is not there.
    pub(crate) fn load(paths: &Paths) -> Result<Self> {
        let file = paths.config.join("qemu.conf");
        match Conf::load(&file)? {
            Some(conf) => Self::read(&conf, paths.system),
            None => Ok(Self::new(paths.system)),
        }
    }

    /// libvirt's defaults.
    #[must_use]
    pub(crate) fn new(system: bool) -> Self {
        let identity = if system { user::default_guest_identity() } else { Identity::current() };
        Self {
            identity,
            dynamic_ownership: system,
            remember_owner: system,
            display_ports: 5900..=65535,
            websocket_ports: 5700..=65535,
            max_processes: 0,
            max_files: 0,
            max_core: None,
            cgroups: system,
            swtpm: None,
            log_daemon: None,
            locks: None,
            nvram: Vec::new(),
            plan: plan::Config::default(),
        }
    }

    fn read(conf: &Conf, system: bool) -> Result<Self> {
        remarks(conf, MANUAL.keys()).iter().for_each(|remark| tracing::warn!("{remark}"));
        let mut config = Self::new(system);
        if system {
            config.identity = identity(conf, "user", "group", config.identity)?;
            let swtpm = ["swtpm_user", "swtpm_group"].iter().any(|key| conf.get(key).is_some());
            if swtpm {
                config.swtpm = Some(identity(conf, "swtpm_user", "swtpm_group", swtpm_identity())?);
            }
            set(&mut config.dynamic_ownership, conf.switch("dynamic_ownership")?);
            set(&mut config.remember_owner, conf.switch("remember_owner")?);
        }
        config.display_ports = ports(conf, "remote_display_port", config.display_ports, 5900)?;
        config.websocket_ports =
            ports(conf, "remote_websocket_port", config.websocket_ports, 5700)?;
        set(&mut config.max_processes, conf.number("max_processes")?);
        set(&mut config.max_files, conf.number("max_files")?);
        config.max_core = max_core(conf)?;
        if let Some(controllers) = conf.texts("cgroup_controllers")? {
            config.cgroups &= !controllers.is_empty();
        }
        config.log_daemon = conf.typed("stdio_handler", "\"logd\" or \"file\"", log_daemon)?;
        let lockd = conf.typed("lock_manager", "\"lockd\" or \"nop\"", LockRules::wanted)?;
        if let (Some(true), Some(folder)) = (lockd, conf.file().parent()) {
            config.locks = Some(LockRules::load(folder)?);
        }
        config.nvram = nvram(conf)?;
        keys::read_plan(conf, &mut config.plan)?;
        Ok(config)
    }
}

/// The user that the distribution made for software TPMs, else our own.
pub(crate) fn swtpm_identity() -> Identity {
    let current = Identity::current();
    if !current.is_root() {
        return current;
    }
    ["tss", "swtpm"]
        .iter()
        .find_map(|name| user::user_by_name(name))
        .map_or(current, |user| user::identity(user.uid, user.gid))
}

fn identity(conf: &Conf, user_key: &str, group_key: &str, default: Identity) -> Result<Identity> {
    let mut found = default;
    let (user, group) = (conf.text(user_key)?, conf.text(group_key)?);
    if let Some(name) = user {
        let uid = user::parse_user(name).map_err(|error| refuse(conf, user_key, &error))?;
        let gid = user::user_by_id(uid).map_or(uid, |user| user.gid);
        found = user::identity(uid, gid);
    }
    if let Some(name) = group {
        let gid = user::parse_group(name).map_err(|error| refuse(conf, group_key, &error))?;
        found = user::identity(found.uid, gid);
    }
    Ok(found)
}

fn refuse(conf: &Conf, key: &str, why: &Error) -> Error {
    match conf.get(key) {
        Some(setting) => conf.refuse(setting, why.text()),
        None => why.clone(),
    }
}

fn ports(
    conf: &Conf,
    key: &str,
    default: RangeInclusive<u16>,
    lowest: u16,
) -> Result<RangeInclusive<u16>> {
    let (min_key, max_key) = (format!("{key}_min"), format!("{key}_max"));
    let min = conf.number::<u16>(&min_key)?.unwrap_or(*default.start());
    let max = conf.number::<u16>(&max_key)?.unwrap_or(*default.end());
    for (key, bad, why) in [
        (&min_key, min < lowest, format!("must be at least {lowest}")),
        (&max_key, max < min, format!("must not be below {min}")),
    ] {
        if bad {
            return Err(match conf.get(key) {
                Some(setting) => conf.refuse(setting, why),
                None => Error::new(ErrorCode::ConfSyntax, format!("'{key}' {why}")),
            });
        }
    }
    Ok(min..=max)
}

fn max_core(conf: &Conf) -> Result<Option<u64>> {
    conf.typed("max_core", "a number or \"unlimited\"", |value| match value {
        Value::Text(text) if text == "unlimited" => Some(u64::MAX),
        Value::Number(number) => u64::try_from(*number).ok(),
        _ => None,
    })
}

fn log_daemon(value: &Value) -> Option<bool> {
    match value {
        Value::Text(text) if text == "logd" => Some(true),
        Value::Text(text) if text == "file" => Some(false),
        _ => None,
    }
}

fn nvram(conf: &Conf) -> Result<Vec<(PathBuf, PathBuf)>> {
    let mut pairs = Vec::new();
    for pair in conf.texts("nvram")?.unwrap_or_default() {
        let Some((code, vars)) = pair.split_once(':') else {
            let why = Error::new(
                ErrorCode::ConfSyntax,
                format!("'{pair}' is not of the form 'FIRMWARE:TEMPLATE'"),
            );
            return Err(refuse(conf, "nvram", &why));
        };
        pairs.push((PathBuf::from(code), PathBuf::from(vars)));
    }
    Ok(pairs)
}

/// Replaces a default by what is set.
fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn read(text: &str) -> Result<Config> {
        Config::read(&Conf::parse(Path::new("qemu.conf"), text)?, true)
    }

    #[test]
    fn what_is_set_replaces_the_defaults() {
        let config = read(
            "user = \"+77\"\ngroup = \"+78\"\nvnc_listen = \"0.0.0.0\"\ndynamic_ownership = 0\n\
             remote_display_port_min = 6000\nremote_display_port_max = 6010\nmax_core = \"unlimited\"\n\
             nvram = [ \"/a.fd:/b.fd\" ]\nnever_heard_of = 1\n",
        )
        .unwrap();
        assert_eq!((config.identity.uid, config.identity.gid), (77, 78));
        assert_eq!(config.plan.vnc_listen, "0.0.0.0");
        assert!(!config.dynamic_ownership);
        assert_eq!(config.display_ports, 6000..=6010);
        assert_eq!(config.max_core, Some(u64::MAX));
        assert_eq!(config.nvram, [("/a.fd".into(), "/b.fd".into())]);
    }

    #[test]
    fn what_is_said_to_have_an_effect_is_read() {
        for key in MANUAL.keys() {
            // No key wants such a list.
            let refused = read(&format!("{} = [ [ 1 ] ]", key.name)).is_err();
            assert_eq!(refused, key.heeded, "{}", key.name);
            // What the file shows can be meant.
            if !["user", "group"].contains(&key.name) && !key.name.starts_with("swtpm") {
                read(&format!("{} = {}", key.name, key.value)).unwrap();
            }
        }
    }

    #[test]
    fn errors_name_file_line_and_key() {
        for (text, part) in [
            ("\nuser = \"no such user\"", "qemu.conf:2: 'user'"),
            ("vnc_tls = 7", "qemu.conf:1: 'vnc_tls'"),
            ("remote_display_port_min = 80", "at least 5900"),
            ("nvram = \"x\"", "FIRMWARE:TEMPLATE"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
