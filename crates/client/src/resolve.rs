// SPDX-License-Identifier: Apache-2.0 OR MIT
//! From what an application asks for to where it is answered. Pure: the surroundings are told.
//!
//! ```text
//! URI or none ─▶ LIBVIRT_DEFAULT_URI, uri_default, uri_aliases ─▶ transport ─▶ socket, host, command
//! ```

mod ssh;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use virtus_api::{AuthType, Error, ErrorCode, ErrorDomain, Result};
use virtus_core::conf::Conf;
use virtus_core::{Paths, Uri};

/// Hypervisors whose daemons serve the system, in libvirt's order of preference.
const SYSTEM_DRIVERS: [&str; 6] = ["xen", "qemu", "lxc", "vbox", "bhyve", "vz"];

/// Those whose daemons serve one user.
const SESSION_DRIVERS: [&str; 2] = ["qemu", "vbox"];

/// Parameters of the URI that are the client's; all others are the daemon's.
const OWN_PARAMETERS: [&str; 18] = [
    "name",
    "socket",
    "auth",
    "sshauth",
    "netcat",
    "keyfile",
    "command",
    "no_verify",
    "no_tty",
    "no_sanity",
    "pkipath",
    "known_hosts",
    "known_hosts_verify",
    "tls_priority",
    "mode",
    "proxy",
    "authfile",
    "pubkey",
];

const TCP_PORT: u16 = 16509;
const TLS_PORT: u16 = 16514;

/// What the answer depends on besides the URI.
pub(crate) struct Surroundings<'a> {
    /// Who asks.
    pub(crate) uid: u32,
    pub(crate) system: Paths,
    pub(crate) session: Paths,
    /// `LIBVIRT_DEFAULT_URI`
    pub(crate) default_uri: Option<String>,
    /// `libvirt.conf`
    pub(crate) conf: Option<Conf>,
    /// Whether a user's own daemon may be started.
    pub(crate) autostart: bool,
    pub(crate) exists: &'a (dyn Fn(&Path) -> bool + Sync),
}

/// Where a connection is answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// What the daemon is asked to open; empty: it chooses.
    pub(crate) name: String,
    pub(crate) way: Way,
    /// The only authentication wanted.
    pub(crate) auth: Option<AuthType>,
    /// The host, for the choice of credentials.
    pub(crate) host: String,
    /// The file of credentials that the URI names.
    pub(crate) auth_file: Option<PathBuf>,
    /// The user's own daemon, which may be started if nobody listens.
    pub(crate) daemon: Option<String>,
}

/// How to get there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Unix(PathBuf),
    Tcp {
        host: String,
        port: u16,
    },
    Tls {
        host: String,
        port: u16,
        verify: bool,
        pki: Option<PathBuf>,
    },
    /// A program whose standard input and output are the connection: ssh, or one of the user's.
    Command {
        program: String,
        arguments: Vec<String>,
    },
}

/// The URI that is meant; `None`: whatever the host has.
pub(crate) fn meant(asked: Option<&str>, around: &Surroundings<'_>) -> Result<Option<Uri>> {
    let given = match asked.filter(|name| !name.is_empty()) {
        Some(name) => Some(around.alias(name)?.unwrap_or_else(|| name.to_owned())),
        None => match around.default_uri.clone().filter(|uri| !uri.is_empty()) {
            Some(uri) => Some(uri),
            None => around.conf_text("uri_default")?,
        },
    };
    // A name that libvirt has always taken for a URI.
    let given = given.map(|name| if name == "xen" { "xen:///system".to_owned() } else { name });
    given.map(|uri| Uri::parse(&uri)).transpose()
}

impl Surroundings<'_> {
    fn conf_text(&self, name: &str) -> Result<Option<String>> {
        let Some(conf) = &self.conf else { return Ok(None) };
        Ok(conf.text(name)?.map(str::to_owned))
    }

    /// What `uri_aliases` says for a name that is no URI.
    fn alias(&self, name: &str) -> Result<Option<String>> {
        let Some(conf) = self.conf.as_ref().filter(|_| !name.contains(':')) else {
            return Ok(None);
        };
        for alias in conf.texts("uri_aliases")?.unwrap_or_default() {
            let (short, uri) = alias.split_once('=').ok_or_else(|| {
                let text =
                    format!("{}: uri_aliases: '{alias}' is not 'name=uri'", conf.file().display());
                Error::new(ErrorCode::ConfSyntax, text).in_domain(ErrorDomain::Conf)
            })?;
            if short == name {
                return Ok(Some(uri.to_owned()));
            }
        }
        Ok(None)
    }

    fn paths(&self, session: bool) -> &Paths {
        if session { &self.session } else { &self.system }
    }

    /// The socket of a daemon: `virtqemud`, or `libvirt` for the one that serves all.
    fn socket(&self, session: bool, daemon: &str, read_only: bool) -> PathBuf {
        // A user's own daemon has one socket only.
        let kind = if read_only && !session { "sock-ro" } else { "sock" };
        self.paths(session).run.join(format!("{daemon}-{kind}"))
    }

    /// The daemon that may be started to listen there: only a user's own.
    fn startable(&self, way: &Way) -> Option<String> {
        let Way::Unix(socket) = way else { return None };
        let own = socket.parent() == Some(&self.session.run) && self.uid != 0 && self.autostart;
        let name = socket.file_name()?.to_str()?.strip_suffix("-sock")?;
        let name = if name == "libvirt" { "libvirtd" } else { name };
        own.then(|| name.to_owned())
    }

    /// The daemon of whichever hypervisor is there.
    fn any(&self, read_only: bool) -> (String, Way) {
        let session = self.uid != 0;
        let all = self.socket(session, "libvirt", read_only);
        if !(self.exists)(&all) {
            let drivers = if session { &SESSION_DRIVERS[..] } else { &SYSTEM_DRIVERS[..] };
            for driver in drivers {
                let socket = self.socket(session, &format!("virt{driver}d"), read_only);
                if (self.exists)(&socket) {
                    let kind = if session { "session" } else { "system" };
                    return (format!("{driver}:///{kind}"), Way::Unix(socket));
                }
            }
            if session && self.autostart {
                let socket = self.socket(session, "virtqemud", read_only);
                return ("qemu:///session".to_owned(), Way::Unix(socket));
            }
        }
        (String::new(), Way::Unix(all))
    }
}

/// Where `uri` is answered; without one, by the daemon of whichever hypervisor this host has.
///
/// # Errors
/// `VIR_ERR_INVALID_ARG` or `VIR_ERR_OPERATION_UNSUPPORTED` naming the part of the URI that is wrong.
pub(crate) fn target(
    uri: Option<&Uri>,
    read_only: bool,
    around: &Surroundings<'_>,
) -> Result<Target> {
    let Some(uri) = uri else {
        let (name, way) = around.any(read_only);
        let daemon = around.startable(&way);
        let host = LOCAL.to_owned();
        return Ok(Target { name, way, auth: None, host, auth_file: None, daemon });
    };
    let transport = match uri.transport.as_deref() {
        Some(transport) => transport.to_ascii_lowercase(),
        None if uri.server.is_some() => "tls".to_owned(),
        None => "unix".to_owned(),
    };
    let name = daemons_name(uri);
    let way = match transport.as_str() {
        "unix" => unix(uri, read_only, around)?,
        "tcp" => Way::Tcp { host: host(uri)?, port: uri.port.unwrap_or(TCP_PORT) },
        "tls" => Way::Tls {
            host: host(uri)?,
            port: uri.port.unwrap_or(TLS_PORT),
            verify: !switch(uri, "no_verify")?,
            pki: uri.parameter("pkipath").map(PathBuf::from),
        },
        "ssh" | "libssh" | "libssh2" => ssh::way(uri, &name, read_only, &host(uri)?)?,
        "ext" => Way::Command {
            program: uri
                .parameter("command")
                .map(str::to_owned)
                .ok_or_else(|| wrong(uri, "the transport 'ext' needs a 'command' parameter"))?,
            arguments: Vec::new(),
        },
        other => {
            let text = format!(
                "transport '{other}' is unknown (it should be tls, unix, ssh, ext, tcp, libssh2 or libssh)"
            );
            return Err(wrong(uri, &text));
        }
    };
    let daemon = match uri.parameter("socket") {
        None => around.startable(&way),
        Some(_) => None,
    };
    Ok(Target {
        name,
        way,
        daemon,
        auth: authentication(uri)?,
        host: uri.server.clone().unwrap_or_else(|| LOCAL.to_owned()),
        auth_file: uri.parameter("authfile").map(PathBuf::from),
    })
}

/// The name of this host in the files of credentials.
const LOCAL: &str = "localhost";

fn unix(uri: &Uri, read_only: bool, around: &Surroundings<'_>) -> Result<Way> {
    if let Some(server) = &uri.server {
        return Err(wrong(uri, &format!("a unix socket cannot be on the host '{server}'")));
    }
    if let Some(socket) = uri.parameter("socket") {
        return Ok(Way::Unix(PathBuf::from(socket)));
    }
    let own = uri.path == "/session" || (uri.scheme == "test" && uri.transport.is_some());
    let session = own && around.uid != 0;
    let direct = around.socket(session, &format!("virt{}d", uri.scheme), read_only);
    let all = around.socket(session, "libvirt", read_only);
    Ok(Way::Unix(match mode(uri)? {
        Mode::Direct => direct,
        Mode::Legacy => all,
        Mode::Auto if (around.exists)(&direct) => direct,
        Mode::Auto if (around.exists)(&all) => all,
        // Only the daemon of all serves hypervisors that have none of their own.
        Mode::Auto if SYSTEM_DRIVERS.contains(&uri.scheme.as_str()) => direct,
        Mode::Auto => all,
    }))
}

/// Whether a daemon of its own or the one of all is wanted.
enum Mode {
    Auto,
    Direct,
    Legacy,
}

fn mode(uri: &Uri) -> Result<Mode> {
    match uri.parameter("mode") {
        None | Some("auto") => Ok(Mode::Auto),
        Some("direct") => Ok(Mode::Direct),
        Some("legacy") => Ok(Mode::Legacy),
        Some(other) => Err(wrong(
            uri,
            &format!("mode '{other}' is unknown (it should be auto, direct or legacy)"),
        )),
    }
}

fn authentication(uri: &Uri) -> Result<Option<AuthType>> {
    match uri.parameter("auth").map(str::to_ascii_lowercase).as_deref() {
        None | Some("") => Ok(None),
        Some("none") => Ok(Some(AuthType::None)),
        Some("polkit") => Ok(Some(AuthType::Polkit)),
        Some(sasl) if sasl == "sasl" || sasl.starts_with("sasl.") => Ok(Some(AuthType::Sasl)),
        Some(other) => Err(wrong(uri, &format!("authentication '{other}' is unknown"))),
    }
}

/// What the daemon is asked to open: the URI without what only brings us there.
fn daemons_name(uri: &Uri) -> String {
    if let Some(name) = uri.parameter("name") {
        return name.to_owned();
    }
    let theirs = |(name, _): &&(String, String)| !OWN_PARAMETERS.contains(&name.as_str());
    Uri {
        scheme: uri.scheme.clone(),
        path: uri.path.clone(),
        parameters: uri.parameters.iter().filter(theirs).cloned().collect(),
        fragment: uri.fragment.clone(),
        ..Uri::default()
    }
    .to_string()
}

fn host(uri: &Uri) -> Result<String> {
    uri.server.clone().ok_or_else(|| wrong(uri, "the host is missing"))
}

/// A parameter that is 0 or another number.
fn switch(uri: &Uri, name: &str) -> Result<bool> {
    match uri.parameter(name).map(str::parse::<i32>) {
        None => Ok(false),
        Some(Ok(number)) => Ok(number != 0),
        Some(Err(_)) => Err(wrong(uri, &format!("parameter '{name}' should be 0 or 1"))),
    }
}

fn wrong(uri: &Uri, why: &str) -> Error {
    Error::new(ErrorCode::InvalidArg, format!("cannot open '{uri}': {why}"))
        .in_domain(ErrorDomain::Remote)
        .hint("a URI looks like 'qemu:///system' or 'qemu+ssh://user@host/system'")
}
