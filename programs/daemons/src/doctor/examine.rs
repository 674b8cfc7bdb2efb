// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is wrong, from the facts alone.

#[cfg(test)]
mod tests;

use std::io::ErrorKind;

use virtus_core::Uri;

use super::facts::{DaemonFacts, Facts, SocketFile};
use crate::table::Deployment;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    /// Good to know.
    Note,
    /// Works, but not as it seems to be meant.
    Warning,
    /// Does not work, or is open to people whom nobody meant to let in.
    Error,
}

impl Severity {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Something to know or to mend.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) severity: Severity,
    pub(super) subject: String,
    pub(super) text: String,
    /// The command that mends it.
    pub(super) mend: Option<String>,
}

/// Which deployment runs, or would run for the next client.
pub(super) fn deployment(facts: &Facts) -> &'static str {
    let runs = |deployment| of(facts, deployment).any(runs);
    match (runs(Deployment::Modular), runs(Deployment::Monolithic)) {
        (true, true) => "both",
        (true, false) => "modular",
        (false, true) => "monolithic",
        (false, false) => "none",
    }
}

fn of(facts: &Facts, deployment: Deployment) -> impl Iterator<Item = &DaemonFacts> {
    facts.daemons.iter().filter(move |one| one.daemon.deployment == deployment)
}

/// Whether a daemon runs, or systemd listens for it.
fn runs(one: &DaemonFacts) -> bool {
    let main =
        one.sockets.iter().find(|socket| socket.name == format!("{}.socket", one.daemon.name));
    one.service.is_active()
        || main.is_some_and(|socket| socket.is_active())
        // Without systemd only its process tells: virtproxyd and libvirtd have the same socket.
        || (one.service.load.is_empty() && one.process)
}

/// Hypervisors that clients reach without a daemon.
fn is_elsewhere(scheme: &str) -> bool {
    ["esx", "gsx", "vpx", "vmwareplayer", "vmwarews", "vmwarefusion", "hyperv", "phyp", "openvz"]
        .contains(&scheme)
}

fn is_enabled(one: &DaemonFacts) -> bool {
    one.service.is_enabled() || one.sockets.iter().any(|socket| socket.is_enabled())
}

/// All findings, the worst first.
pub(super) fn examine(facts: &Facts) -> Vec<Finding> {
    let mut findings = Findings::default();
    findings.both(facts);
    findings.default_uri(facts);
    for one in &facts.daemons {
        findings.units(one);
        findings.configuration(one);
        if runs(one) {
            findings.reach(one);
            findings.permissions(one);
        } else if !facts.daemons.iter().any(|other| other.main.path == one.main.path && runs(other))
        {
            findings.left_over(one);
        }
    }
    findings.0.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings.0
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, severity: Severity, subject: &str, text: &str, mend: Option<String>) {
        let (subject, text) = (subject.to_owned(), text.to_owned());
        self.0.push(Finding { severity, subject, text, mend });
    }

    /// One deployment or the other.
    fn both(&mut self, facts: &Facts) {
        let off = "systemctl disable --now libvirtd.service libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket libvirtd-tcp.socket libvirtd-tls.socket";
        let enabled = |deployment| of(facts, deployment).any(is_enabled);
        if deployment(facts) == "both" {
            let text = "runs beside the modular daemons: two managers for the same guests";
            self.add(Severity::Error, "libvirtd", text, Some(off.to_owned()));
        } else if enabled(Deployment::Modular) && enabled(Deployment::Monolithic) {
            let text = "is enabled beside the modular daemons, which win when the host boots";
            self.add(Severity::Warning, "libvirtd", text, Some(off.replace(" --now", "")));
        }
        if deployment(facts) == "none" {
            let text = "no daemon runs, and systemd listens for none";
            let mend = facts
                .systemd
                .then(|| "systemctl enable --now virtqemud.socket virtproxyd.socket".to_owned());
            self.add(Severity::Error, "host", text, mend);
        }
    }

    fn units(&mut self, one: &DaemonFacts) {
        let name = one.daemon.name;
        for unit in std::iter::once(&one.service).chain(&one.sockets) {
            if unit.active == "failed" {
                let mend = format!("journalctl -u {0}; systemctl reset-failed {0}", unit.name);
                self.add(Severity::Error, &unit.name, "has failed", Some(mend));
            }
        }
        let masked: Vec<&str> = one
            .sockets
            .iter()
            .filter(|unit| unit.is_masked())
            .map(|unit| unit.name.as_str())
            .collect();
        if one.service.is_masked() {
            if !masked.is_empty() || one.sockets.iter().any(|socket| socket.is_active()) {
                let text = "is masked: it never starts, whoever connects";
                let mend = format!("systemctl unmask {name}.service");
                self.add(Severity::Warning, &one.service.name, text, Some(mend));
            }
        } else if !masked.is_empty() {
            let unmask = Some(format!("systemctl unmask {}", masked.join(" ")));
            let subject = masked.join(" ");
            if one.service.is_active() {
                self.add(
                    Severity::Note,
                    &subject,
                    "masked: the daemon makes its own sockets",
                    unmask,
                );
            } else if is_enabled(one) {
                self.add(
                    Severity::Warning,
                    &subject,
                    "masked: no client starts the daemon",
                    unmask,
                );
            }
        }
        if runs(one) && one.service.is_installed() && !is_enabled(one) && masked.is_empty() {
            let text = "runs, and will not after the next boot: nothing of it is enabled";
            self.add(
                Severity::Warning,
                name,
                text,
                Some(format!("systemctl enable {name}.service")),
            );
        }
    }

    /// Whether clients get through.
    fn reach(&mut self, one: &DaemonFacts) {
        let SocketFile { path, mode, answers, .. } = &one.main;
        let subject = path.display().to_string();
        let name = one.daemon.name;
        let restart = Some(format!("systemctl restart {name}.socket"));
        match (mode, answers) {
            (None, _) => {
                let text = format!("is not there, although {name} is said to listen");
                self.add(Severity::Error, &subject, &text, restart);
            }
            (_, Some(Err(ErrorKind::PermissionDenied))) => {
                let text = "does not let you in: it is for root and its group";
                self.add(
                    Severity::Warning,
                    &subject,
                    text,
                    Some("usermod -aG libvirt \"$USER\"".to_owned()),
                );
            }
            (_, Some(Err(ErrorKind::WouldBlock))) => {
                let text = format!("so many clients wait that no other gets in: {name} is stuck");
                let restart = Some(format!("systemctl restart {name}.service"));
                self.add(Severity::Error, &subject, &text, restart);
            }
            (_, Some(Err(cause))) => {
                let text = format!("nobody answers: {cause}");
                self.add(Severity::Error, &subject, &text, restart);
            }
            (_, Some(Ok(())) | None) => {}
        }
    }

    /// A daemon that was killed cannot take its socket away.
    fn left_over(&mut self, one: &DaemonFacts) {
        let SocketFile { path, answers, .. } = &one.main;
        if matches!(answers, Some(Err(ErrorKind::ConnectionRefused))) {
            let text =
                format!("is left over: {} does not run, and clients are refused", one.daemon.name);
            let mend = Some(format!("rm {}", path.display()));
            self.add(Severity::Warning, &path.display().to_string(), &text, mend);
        }
    }

    /// A daemon with a mistake in its configuration does not start.
    fn configuration(&mut self, one: &DaemonFacts) {
        let name = one.daemon.name;
        let used = runs(one) || is_enabled(one);
        if one.closed && used {
            let text = "its configuration is not for you to read, and was not looked at";
            self.add(Severity::Note, name, text, Some("sudo virtus doctor".to_owned()));
        }
        let Some(mistake) = &one.mistake else { return };
        let severity = if used { Severity::Error } else { Severity::Note };
        let text = format!("will not start with its configuration: {mistake}");
        let mend =
            Some(format!("$EDITOR /etc/libvirt/{name}.conf; systemctl restart {name}.service"));
        self.add(severity, name, &text, mend);
    }

    /// What clients open that name no URI, if the configuration says that.
    fn default_uri(&mut self, facts: &Facts) {
        const SUBJECT: &str = "libvirt.conf";
        let edit = |file: &str| Some(format!("$EDITOR {file}"));
        if let Some(mistake) = &facts.client_mistake {
            let text = format!("clients cannot read it: {mistake}");
            self.add(Severity::Error, SUBJECT, &text, edit("/etc/libvirt/libvirt.conf"));
        }
        let Some((file, text)) = &facts.default_uri else { return };
        let file = file.display().to_string();
        let uri = match Uri::parse(text) {
            Ok(uri) => uri,
            Err(error) => {
                let text = format!("uri_default is no URI: {error}");
                return self.add(Severity::Error, SUBJECT, &text, edit(&file));
            }
        };
        if uri.server.is_some() || uri.transport.is_some() {
            return;
        }
        let daemon = format!("virt{}d", uri.scheme);
        let own = facts.daemons.iter().find(|one| one.daemon.name == daemon);
        let all = of(facts, Deployment::Monolithic).any(runs);
        match own {
            Some(own) if !all && !runs(own) => {
                let text = format!("uri_default is '{text}', for which no daemon listens");
                let mend = format!("systemctl enable --now {daemon}.socket");
                self.add(Severity::Warning, SUBJECT, &text, Some(mend));
            }
            None if uri.scheme != "test" && !is_elsewhere(&uri.scheme) => {
                let text = format!("uri_default is '{text}', for which there is no driver");
                self.add(Severity::Error, SUBJECT, &text, edit(&file));
            }
            Some(_) | None => {}
        }
    }

    /// Whether only those get in who should.
    fn permissions(&mut self, one: &DaemonFacts) {
        if one.asks_nothing
            && let Some(mode) = one.main.mode.filter(|mode| mode & 0o002 != 0)
        {
            let text = format!(
                "everybody on this host may do everything (mode {mode:04o}, nobody is asked who they are)"
            );
            let mend = format!(
                "chmod 0660 {}; and set SocketMode= by 'systemctl edit {}.socket', or auth_unix_rw = \"polkit\"",
                one.main.path.display(),
                one.daemon.name
            );
            self.add(Severity::Error, &one.main.path.display().to_string(), &text, Some(mend));
        }
        if one.main.mode.is_some() && one.main.owner != 0 {
            let path = one.main.path.display().to_string();
            let text = format!(
                "belongs to the user with number {}, who can give clients another daemon",
                one.main.owner
            );
            let mend = Some(format!("chown root {path}"));
            self.add(Severity::Error, &path, &text, mend);
        }
        if let Some(mode) = one.admin.mode.filter(|mode| mode & 0o077 != 0) {
            let text = format!("is open to others (mode {mode:04o}), who are refused all the same");
            let mend = Some(format!("chmod 0600 {}", one.admin.path.display()));
            self.add(Severity::Warning, &one.admin.path.display().to_string(), &text, mend);
        }
    }
}
