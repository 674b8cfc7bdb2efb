// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What clients are asked for before they may do anything, and who keeps their passwords.

use std::path::PathBuf;

use virtus_api::Result;
use virtus_core::Paths;
use virtus_core::conf::Conf;
use virtus_rpc::Authentication;
use virtus_rpc::sasl::Gssapi;

/// The setting `name`: what the clients of a kind of socket are asked for.
///
/// # Errors
/// The file wants what does not exist: to ignore it would open a door that somebody closed.
pub(crate) fn read(conf: &Conf, name: &str) -> Result<Option<Authentication>> {
    let Some(setting) = conf.get(name) else { return Ok(None) };
    let local = name.starts_with("auth_unix");
    let why = match conf.text(name)? {
        Some("none") => return Ok(Some(Authentication::None)),
        Some("sasl") => return Ok(Some(Authentication::Sasl)),
        Some("polkit") if local => return Ok(Some(Authentication::Polkit)),
        Some("polkit") => "polkit knows only processes of this host".to_owned(),
        other => format!("there is no authentication method '{}'", other.unwrap_or_default()),
    };
    Err(conf.refuse(setting, &why).hint(match local {
        true => {
            "\"sasl\" asks for passwords or tickets, \"polkit\" asks polkit; with \"none\", unix_sock_group and \
             unix_sock_rw_perms say who may connect"
        }
        false => {
            "\"sasl\" asks for passwords or tickets; with \"none\", tls_allowed_dn_list says who may connect"
        }
    }))
}

/// The users whom SASL lets in, as patterns; `None`: all.
pub(crate) fn allowed_users(conf: &Conf) -> Result<Option<Vec<String>>> {
    let names = conf.texts("sasl_allowed_username_list")?;
    Ok(names.map(|names| names.into_iter().map(str::to_owned).collect()))
}

/// The file of users and of what proves their passwords.
pub(crate) fn users_file(paths: &Paths) -> PathBuf {
    paths.config.join("sasl.users")
}

/// Kerberos, if this host has its library, and keys of the service `libvirt` at libvirt's place.
pub(crate) fn gssapi() -> Result<Gssapi> {
    Gssapi::find(&Paths::system().config.join("krb5.tab"))
}
