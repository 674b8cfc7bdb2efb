// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Images that nbdkit fetches: its command line, and the socket where QEMU finds the image.

use virtus_api::Result;
use virtus_xml::domain::storage::Protocol;
use virtus_xml::value::YesNo;

use super::{Image, unsupported};
use crate::plan::context::Context;

/// How nbdkit is run for one image.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Nbdkit {
    /// Variables that are set for it.
    pub env: Vec<(String, String)>,
    /// The words after the program's name.
    pub args: Vec<Word>,
}

/// One word of the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// As it is.
    Text(String),
    /// `key=-N`, where N is a descriptor on which nbdkit reads the secret.
    Secret {
        /// What the plugin calls it.
        key: &'static str,
        /// What is written to the descriptor.
        secret: Secret,
    },
}

/// What nbdkit reads from a descriptor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Secret {
    /// The password of the image's `<auth>`.
    Password,
    /// This text.
    Text(String),
}

impl Image<'_> {
    /// The plugin that serves the image.
    fn plugin(&self) -> Option<&'static str> {
        match self.source.protocol? {
            Protocol::Http | Protocol::Https | Protocol::Ftp | Protocol::Ftps | Protocol::Tftp => {
                Some("curl")
            }
            Protocol::Ssh => Some("ssh"),
            _ => None,
        }
    }

    /// Whether nbdkit serves the image.
    pub(crate) fn is_served(&self, cx: &Context) -> bool {
        let installed = cx.nbdkit.as_ref().map_or(&[][..], |nbdkit| &nbdkit.plugins);
        self.plugin().is_some_and(|plugin| installed.iter().any(|known| known == plugin))
    }

    /// The socket at which nbdkit serves the image, where it does.
    pub(super) fn nbdkit_socket(&self, cx: &Context) -> Option<String> {
        let nbdkit = cx.nbdkit.as_ref().filter(|_| self.is_served(cx))?;
        Some(format!("{}/nbdkit-{}.socket", nbdkit.dir, self.storage_name()))
    }

    /// How nbdkit is run so that it serves the image at `socket`.
    pub(crate) fn nbdkit(&self, socket: &str) -> Result<Nbdkit> {
        let plugin = self.plugin().ok_or_else(|| unsupported("this protocol through nbdkit"))?;
        let mut run = Nbdkit::default();
        run.words(["--unix", socket, "--foreground"]);
        if self.read_only {
            run.words(["--readonly"]);
        }
        run.words([plugin]);
        match plugin {
            "curl" => self.curl_plugin(&mut run)?,
            _ => self.ssh_plugin(&mut run)?,
        }
        Ok(run)
    }

    fn curl_plugin(&self, run: &mut Nbdkit) -> Result<()> {
        // A server may lead from the open to the encrypted protocol, not the other way.
        let protocol = self.source.protocol.unwrap_or_default();
        run.set(
            "protocols",
            if protocol == Protocol::Http { "http,https" } else { protocol.as_str() },
        );
        run.set("url", &self.url()?);
        if let Some(auth) = self.auth {
            run.set("user", &auth.username);
            run.secret("password", Secret::Password);
        }
        if let Some(cookies) = self.cookies() {
            run.secret("cookie", Secret::Text(cookies));
        }
        if self.source.ssl.as_ref().and_then(|ssl| ssl.verify) == Some(YesNo::No) {
            run.set("sslverify", "false");
        }
        if let Some(timeout) = &self.source.timeout {
            run.set("timeout", &timeout.seconds.to_string());
        }
        Ok(())
    }

    fn ssh_plugin(&self, run: &mut Nbdkit) -> Result<()> {
        let host = self.host()?;
        let source = self.source;
        run.set("host", host.name.as_deref().unwrap_or_default());
        run.set("port", host.port.as_deref().or(Protocol::Ssh.usual_port()).unwrap_or_default());
        run.set("path", source.name.as_deref().unwrap_or_default());
        let identity = source.identity.as_ref();
        if let Some(file) = identity.and_then(|identity| identity.keyfile.as_ref()) {
            run.set("identity", file);
        }
        let user = self.auth.map(|auth| &auth.username);
        if let Some(user) = user.or(identity.and_then(|identity| identity.username.as_ref())) {
            run.set("user", user);
        }
        if self.auth.is_some() {
            run.secret("password", Secret::Password);
        }
        if let Some(agent) = identity.and_then(|identity| identity.agentsock.clone()) {
            run.env.push(("SSH_AUTH_SOCK".to_owned(), agent));
        }
        if let Some(known) = &source.known_hosts {
            run.set("known-hosts", &known.path);
        }
        Ok(())
    }
}

impl Nbdkit {
    fn words<const N: usize>(&mut self, words: [&str; N]) {
        self.args.extend(words.map(|word| Word::Text(word.to_owned())));
    }

    fn set(&mut self, key: &str, value: &str) {
        self.args.push(Word::Text(format!("{key}={value}")));
    }

    fn secret(&mut self, key: &'static str, secret: Secret) {
        self.args.push(Word::Secret { key, secret });
    }
}
