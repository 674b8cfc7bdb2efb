// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Through the system's `ssh`, so that its configuration, agents and jump hosts hold.
//!
//! On the far side stands `virt-ssh-helper`, which finds the daemon by itself, or `nc` onto a socket
//! whose path we must know.

use virtus_api::Result;
use virtus_core::Uri;

use super::{Mode, SYSTEM_DRIVERS, Way, mode, switch, wrong};

/// Where sockets are on a host of which we know nothing.
const RUN: &str = "/var/run/libvirt";

/// The command line that reaches `uri`, whose daemon is to open `name`.
pub(super) fn way(uri: &Uri, name: &str, read_only: bool, host: &str) -> Result<Way> {
    let mut arguments = Vec::new();
    let mut add = |words: &[&str]| arguments.extend(words.iter().map(|word| (*word).to_owned()));
    if let Some(port) = uri.port {
        add(&["-p", &port.to_string()]);
    }
    if let Some(user) = &uri.user {
        add(&["-l", user]);
    }
    if let Some(file) = uri.parameter("keyfile") {
        add(&["-i", file]);
    }
    if let Some(file) = uri.parameter("known_hosts") {
        add(&["-o", &format!("UserKnownHostsFile={file}")]);
    }
    if switch(uri, "no_tty")? {
        add(&["-T", "-o", "BatchMode=yes", "-e", "none"]);
    }
    let unchecked = match uri.parameter("known_hosts_verify") {
        None | Some("normal" | "auto") => switch(uri, "no_verify")?,
        Some("ignore") => true,
        Some(other) => return Err(wrong(uri, &format!("known_hosts_verify '{other}' is unknown"))),
    };
    if unchecked {
        add(&["-o", "StrictHostKeyChecking=no"]);
    }
    if let Some(methods) = uri.parameter("sshauth") {
        add(&["-o", &format!("PreferredAuthentications={}", preferred(uri, methods)?)]);
    }
    add(&["--", host, &far_side(uri, name, read_only)?]);
    let program = uri.parameter("command").unwrap_or("ssh").to_owned();
    Ok(Way::Command { program, arguments })
}

/// libvirt's names for the ways to log in, in ssh's words.
fn preferred(uri: &Uri, methods: &str) -> Result<String> {
    let names: Result<Vec<_>> = methods
        .split(',')
        .map(|method| match method {
            "agent" | "privkey" => Ok("publickey"),
            "password" => Ok("password"),
            "keyboard-interactive" => Ok("keyboard-interactive"),
            other => Err(wrong(uri, &format!("sshauth '{other}' is unknown"))),
        })
        .collect();
    let mut names = names?;
    names.dedup();
    Ok(names.join(","))
}

/// What the shell of the far side runs.
fn far_side(uri: &Uri, name: &str, read_only: bool) -> Result<String> {
    let helper = {
        let flag = if read_only { "-r " } else { "" };
        format!("virt-ssh-helper {flag}{}", quoted(&helpers_name(uri, name)))
    };
    let netcat = || -> Result<String> {
        let program = quoted(uri.parameter("netcat").unwrap_or("nc"));
        // Some variants end only when told to, and others do not know the option.
        let probe = format!("{program} -q </dev/null 2>&1 | grep -q 'requires an argument'");
        let socket = quoted(&socket(uri, read_only)?);
        Ok(format!(
            "if {probe}; then exec {program} -q0 -U {socket}; else exec {program} -U {socket}; fi"
        ))
    };
    let script = match uri.parameter("proxy") {
        Some("native") => format!("exec {helper}"),
        Some("netcat") => netcat()?,
        None | Some("auto") if uri.parameter("netcat").is_some() => netcat()?,
        None | Some("auto") => {
            let probe = "command -v virt-ssh-helper >/dev/null 2>&1";
            format!("if {probe}; then exec {helper}; fi; {}", netcat()?)
        }
        Some(other) => {
            let text = format!("proxy '{other}' is unknown (it should be auto, netcat or native)");
            return Err(wrong(uri, &text));
        }
    };
    Ok(format!("sh -c {}", quoted(&script)))
}

/// The helper chooses the socket, so it needs what concerns that.
fn helpers_name(uri: &Uri, name: &str) -> String {
    let Ok(mut uri_there) = Uri::parse(name) else { return name.to_owned() };
    for key in ["mode", "socket"] {
        if let Some(value) = uri.parameter(key) {
            uri_there.parameters.push((key.to_owned(), value.to_owned()));
        }
    }
    uri_there.to_string()
}

fn socket(uri: &Uri, read_only: bool) -> Result<String> {
    if let Some(socket) = uri.parameter("socket") {
        return Ok(socket.to_owned());
    }
    let kind = if read_only { "sock-ro" } else { "sock" };
    let daemon = match mode(uri)? {
        Mode::Direct if SYSTEM_DRIVERS.contains(&uri.scheme.as_str()) => {
            format!("virt{}d", uri.scheme)
        }
        Mode::Direct => return Err(wrong(uri, "there is no daemon of its own for this driver")),
        Mode::Auto | Mode::Legacy => "libvirt".to_owned(),
    };
    Ok(format!("{RUN}/{daemon}-{kind}"))
}

/// One word for a shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}
