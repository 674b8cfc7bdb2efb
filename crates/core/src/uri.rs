// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Connection URIs: `driver[+transport]://[user@][host][:port]/[path][?parameters][#fragment]`.

use std::fmt;

use virtus_api::{Error, ErrorCode, ErrorDomain, Result};

/// A parsed connection URI (libvirt's "Connection URIs" page).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Uri {
    /// The hypervisor: `qemu`, `lxc`, `test`, …
    pub scheme: String,
    /// What follows `+` in the scheme: `unix`, `tcp`, `tls`, `ssh`, …
    pub transport: Option<String>,
    /// User name before `@`.
    pub user: Option<String>,
    /// Host name or address, without the brackets of an IPv6 address.
    pub server: Option<String>,
    /// TCP port.
    pub port: Option<u16>,
    /// Path with its leading slash, decoded; empty if there is none.
    pub path: String,
    /// Query parameters in their order, decoded.
    pub parameters: Vec<(String, String)>,
    /// What follows `#`, decoded.
    pub fragment: Option<String>,
}

impl Uri {
    /// Whether it leads to this host's driver of the scheme: its `system` one, or that of a user's session. `word`
    /// is the driver's name in libvirt's text.
    ///
    /// # Errors
    /// `VIR_ERR_INTERNAL_ERROR`, as libvirt has it, for a path that the driver does not have.
    pub fn is_local(&self, scheme: &str, word: &str, system: bool) -> Result<bool> {
        if self.scheme != scheme || self.server.as_deref().is_some_and(|server| !server.is_empty())
        {
            return Ok(false);
        }
        let served = if system { "/system" } else { "/session" };
        let wrong = |text| Err(Error::new(ErrorCode::InternalError, text));
        match self.path.as_str() {
            path if path == served => Ok(true),
            // As with libvirt: root's session is the host's.
            "/session" if system && scheme == "qemu" => Ok(true),
            "" => wrong(format!("no {word} URI path given, try {scheme}://{served}")),
            path @ ("/system" | "/session") => wrong(format!(
                "unexpected {word} URI path '{path}', this daemon serves {scheme}://{served}"
            )),
            path => wrong(format!("unexpected {word} URI path '{path}', try {scheme}://{served}")),
        }
    }

    /// Parses a URI.
    ///
    /// # Errors
    /// `VIR_ERR_INVALID_ARG` naming the URI and the part that is wrong.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |why: &str| {
            Error::new(ErrorCode::InvalidArg, format!("cannot parse URI '{text}': {why}"))
                .in_domain(ErrorDomain::Uri)
                .hint("a URI looks like 'qemu:///system' or 'qemu+ssh://user@host/system'")
        };
        let (scheme, rest) = text.split_once(':').ok_or_else(|| wrong("the scheme is missing"))?;
        let mut letters = scheme.chars();
        if !letters.next().is_some_and(|c| c.is_ascii_alphabetic())
            || !letters.all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
        {
            return Err(wrong("the scheme is malformed"));
        }
        let (scheme, transport) = match scheme.split_once('+') {
            Some((scheme, transport)) => (scheme, Some(transport.to_owned())),
            None => (scheme, None),
        };
        let (rest, fragment) = match rest.split_once('#') {
            Some((rest, fragment)) => (rest, Some(fragment)),
            None => (rest, None),
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut uri = Self { scheme: scheme.to_owned(), transport, ..Self::default() };
        let path = match rest.strip_prefix("//") {
            Some(rest) => {
                let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                uri.set_authority(authority).map_err(wrong)?;
                path
            }
            None => rest,
        };
        uri.path = decode(path).ok_or_else(|| wrong("the path has a bad % escape"))?;
        for pair in query.split(['&', ';']).filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if name.is_empty() {
                continue;
            }
            let both = decode(name).zip(decode(value));
            uri.parameters.push(both.ok_or_else(|| wrong("a parameter has a bad % escape"))?);
        }
        if let Some(fragment) = fragment {
            uri.fragment =
                Some(decode(fragment).ok_or_else(|| wrong("the fragment has a bad % escape"))?);
        }
        Ok(uri)
    }

    fn set_authority(&mut self, authority: &str) -> Result<(), &'static str> {
        let server = match authority.rsplit_once('@') {
            Some((user, server)) => {
                self.user = Some(decode(user).ok_or("the user has a bad % escape")?);
                server
            }
            None => authority,
        };
        let (host, port) = match server.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or("the ']' of the host is missing")?;
                (host, port.strip_prefix(':').unwrap_or(port))
            }
            None => server.rsplit_once(':').unwrap_or((server, "")),
        };
        if !port.is_empty() {
            self.port = Some(port.parse().map_err(|_| "the port is not a number below 65536")?);
        }
        if !host.is_empty() {
            self.server = Some(decode(host).ok_or("the host has a bad % escape")?);
        }
        Ok(())
    }

    /// The value of the first query parameter of this name.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let decoded = match byte {
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            other => other,
        };
        bytes.push(decoded);
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}

/// Percent-encodes what may not stand plainly in the part whose further `plain` characters are given.
fn encode(f: &mut fmt::Formatter<'_>, text: &str, plain: &str) -> fmt::Result {
    for byte in text.bytes() {
        let letter = char::from(byte);
        if letter.is_ascii_alphanumeric() || "-._~".contains(letter) || plain.contains(letter) {
            write!(f, "{letter}")?;
        } else {
            write!(f, "%{byte:02X}")?;
        }
    }
    Ok(())
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.scheme)?;
        if let Some(transport) = &self.transport {
            write!(f, "+{transport}")?;
        }
        // Without a slash it stands behind no authority, not even an empty one.
        let rootless = !self.path.is_empty() && !self.path.starts_with('/');
        f.write_str(if rootless { ":" } else { "://" })?;
        if let Some(user) = &self.user {
            encode(f, user, "!$&'()*+,;=:")?;
            f.write_str("@")?;
        }
        match &self.server {
            Some(server) if server.contains(':') => {
                f.write_str("[")?;
                encode(f, server, "!$&'()*+,;=:")?;
                f.write_str("]")?;
            }
            Some(server) => encode(f, server, "!$&'()*+,;=")?,
            None => {}
        }
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        encode(f, &self.path, "/!$&'()*+,;=:@")?;
        for (index, (name, value)) in self.parameters.iter().enumerate() {
            f.write_str(if index == 0 { "?" } else { "&" })?;
            encode(f, name, "/:@")?;
            f.write_str("=")?;
            encode(f, value, "/:@")?;
        }
        if let Some(fragment) = &self.fragment {
            f.write_str("#")?;
            encode(f, fragment, "/!$&'()*+,;=:@?")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_that_of_the_daemon() {
        let local = |text, system| Uri::parse(text).unwrap().is_local("qemu", "qemu", system);
        for (text, system) in
            [("qemu:///system", true), ("qemu:///session", true), ("qemu:///session", false)]
        {
            assert!(local(text, system).unwrap(), "{text}");
        }
        assert!(!local("xen:///system", true).unwrap());
        for (text, system) in [("qemu:///system", false), ("qemu://", true), ("qemu:///x", true)] {
            assert_eq!(local(text, system).unwrap_err().code(), ErrorCode::InternalError, "{text}");
        }
        let lxc = Uri::parse("lxc:///session").unwrap();
        assert!(lxc.is_local("lxc", "LXC", true).is_err());
    }

    #[test]
    fn a_full_uri_comes_apart_and_together() {
        let text = "qemu+ssh://root@[::1]:2222/system?socket=/run/x&no_verify=1#a%20b";
        let uri = Uri::parse(text).unwrap();
        assert_eq!(uri.scheme, "qemu");
        assert_eq!(uri.transport.as_deref(), Some("ssh"));
        assert_eq!(uri.server.as_deref(), Some("::1"));
        assert_eq!(uri.port, Some(2222));
        assert_eq!(uri.path, "/system");
        assert_eq!(uri.parameter("socket"), Some("/run/x"));
        assert_eq!(uri.fragment.as_deref(), Some("a b"));
        assert_eq!(uri.to_string(), text);
        let text = "qemu+tcp://[fe80::1%25eth0]/system";
        assert_eq!(Uri::parse(text).unwrap().server.as_deref(), Some("fe80::1%eth0"));
        assert_eq!(Uri::parse(text).unwrap().to_string(), text);
    }

    #[test]
    fn parameters_without_a_name_are_passed_over() {
        let uri = Uri::parse("test:///?=x&&a&b=").unwrap();
        assert_eq!(uri.to_string(), "test:///?a=&b=");
    }

    #[test]
    fn errors_name_the_part() {
        for (text, part) in [
            ("system", "the scheme is missing"),
            ("qemu://host:99999/", "port"),
            ("qemu://[::1/system", "']'"),
            ("qemu:///%zz", "% escape"),
        ] {
            let error = Uri::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
