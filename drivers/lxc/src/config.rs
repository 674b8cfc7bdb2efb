// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `lxc.conf`: what an administrator decides for all containers of this host.
//!
//! A key that nobody knows is warned about. What asks for a confinement that is not there is an error: nobody
//! who asked for it would want to run without.

use virtus_api::Result;
use virtus_core::Paths;
use virtus_core::conf::Conf;
use virtus_core::conf::manual::{Chapter, Manual, idle, remarks, set};

/// The file.
pub(crate) const MANUAL: Manual = Manual {
    file: "lxc.conf",
    about: "What holds for all containers of this host.",
    chapters: &[
        Chapter {
            title: "Confinement",
            about: "",
            keys: &[
                set(
                    "security_driver",
                    "\"none\"",
                    "What confines containers beside their namespaces. Nothing does on this host yet, so anything but \"none\" is refused.",
                ),
                set(
                    "security_default_confined",
                    "0",
                    "Whether containers are confined that do not say so; 1 is refused, as above.",
                ),
                set(
                    "security_require_confined",
                    "0",
                    "Whether containers that nothing confines are refused.",
                ),
            ],
        },
        Chapter {
            title: "Log",
            about: "",
            keys: &[idle(
                "log_with_libvirtd",
                "0",
                "Whether a controller's log goes where the daemon's does. Each has a log of its own.",
            )],
        },
    ],
};

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
        remarks(conf, MANUAL.keys()).iter().for_each(|remark| tracing::warn!("{remark}"));
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
