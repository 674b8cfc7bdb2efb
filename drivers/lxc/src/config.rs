// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `lxc.conf`: what an administrator decides for all containers of this host.
//!
//! A key that nobody knows is warned about. What asks for a confinement that is not there is an error: nobody
//! who asked for it would want to run without.

use virtus_api::Result;
use virtus_core::Paths;
use virtus_core::conf::Conf;

const KNOWN: &[&str] = &[
    "log_with_libvirtd",
    "security_driver",
    "security_default_confined",
    "security_require_confined",
];

/// The settings of the driver.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Config {
    /// Whether a container that no security driver confines may not start (`security_require_confined`).
    pub(crate) require_confined: bool,
}

impl Config {
    /// The configuration of the system's daemon. Blocks.
    ///
    /// # Errors
    /// Where the file cannot be read, a value is of the wrong kind, or it asks for a security driver.
    pub(crate) fn load(paths: &Paths) -> Result<Self> {
        let conf = Conf::load(&paths.config.join("lxc.conf"))?;
        conf.map_or_else(|| Ok(Self::default()), |conf| Self::read(&conf))
    }

    fn read(conf: &Conf) -> Result<Self> {
        let file = conf.file().display();
        for setting in conf.unknown(KNOWN) {
            tracing::warn!(
                "{file}:{}: unknown setting '{}' is ignored",
                setting.line,
                setting.name
            );
        }
        if conf.switch("log_with_libvirtd")? == Some(true) {
            tracing::warn!(
                "{file}: 'log_with_libvirtd' has no effect: each controller has its own log"
            );
        }
        for key in ["security_driver", "security_default_confined"] {
            let Some(setting) = conf.get(key) else { continue };
            let none = match key {
                "security_driver" => conf.text(key)? == Some("none"),
                _ => conf.switch(key)? == Some(false),
            };
            if !none {
                return Err(
                    conf.refuse(setting, "no security driver confines containers on this host")
                );
            }
        }
        Ok(Self { require_confined: conf.switch("security_require_confined")?.unwrap_or_default() })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn read(text: &str) -> Result<Config> {
        Config::read(&Conf::parse(Path::new("lxc.conf"), text)?)
    }

    #[test]
    fn confinement_that_is_not_there_is_refused() {
        assert_eq!(
            read("security_driver = \"none\"\nlog_with_libvirtd = 1\n").unwrap(),
            Config::default()
        );
        assert!(read("security_require_confined = 1").unwrap().require_confined);
        for text in ["security_driver = \"selinux\"", "security_default_confined = 1"] {
            assert!(
                read(text).unwrap_err().to_string().contains("lxc.conf:1: 'security_"),
                "{text}"
            );
        }
    }
}
