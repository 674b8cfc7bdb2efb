// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Storage nodes of images that are reached over a network.

use serde_json::{Value, json};
use virtus_api::Result;
use virtus_xml::domain::storage::{
    EncryptionEngine, EncryptionFormat, Protocol, StorageHost, Transport,
};
use virtus_xml::value::YesNo;

use super::{Image, Nodes, secret, unsupported};
use crate::plan::argv::Props;
use crate::plan::context::Context;

impl Image<'_> {
    pub(super) fn network(&self, cx: Option<&Context>, out: &mut Nodes) -> Result<Props> {
        let protocol =
            self.source.protocol.ok_or_else(|| unsupported("a network disk without a protocol"))?;
        match protocol {
            Protocol::Nbd => self.nbd(cx, out),
            Protocol::Rbd => self.rbd(cx, out),
            Protocol::Iscsi => self.iscsi(cx, out),
            Protocol::Http | Protocol::Https | Protocol::Ftp | Protocol::Ftps | Protocol::Tftp => {
                self.curl(protocol, cx, out)
            }
            Protocol::Ssh => self.ssh(),
            Protocol::Nfs => self.nfs(),
            Protocol::Gluster => self.gluster(),
            other => Err(unsupported(format!("network disk protocol '{other}'"))),
        }
    }

    pub(super) fn host(&self) -> Result<&StorageHost> {
        self.source.hosts.first().ok_or_else(|| unsupported("a network disk without a <host>"))
    }

    /// A server as QEMU's socket addresses spell it; `typed` where the protocol knows several kinds.
    fn inet(&self, host: &StorageHost, port: Option<&str>, typed: bool) -> Props {
        if host.transport == Some(Transport::Unix) {
            let path = host.socket.clone().unwrap_or_default();
            return Props::new().with("type", "unix").with("path", path);
        }
        let mut props = Props::new();
        if typed {
            props.set("type", "inet");
        }
        let port = host.port.clone().or_else(|| port.map(str::to_owned));
        props.with("host", host.name.clone().unwrap_or_default()).maybe("port", port)
    }

    fn ssh(&self) -> Result<Props> {
        let identity = self.source.identity.as_ref();
        if self.auth.is_some()
            || identity.is_some_and(|who| who.keyfile.is_some() || who.agentsock.is_some())
        {
            return Err(unsupported("an ssh disk with credentials, but without nbdkit,"));
        }
        Ok(Props::device("ssh")
            .with("path", self.source.name.clone().unwrap_or_default())
            .with("server", self.inet(self.host()?, Some("22"), false))
            .maybe("user", identity.and_then(|identity| identity.username.clone())))
    }

    fn auth_secret(
        &self,
        cx: Option<&Context>,
        out: &mut Nodes,
    ) -> Result<Option<(String, String)>> {
        let (Some(auth), Some(cx)) = (self.auth, cx) else { return Ok(None) };
        let Some(id) = self.names.secret("auth") else { return Ok(None) };
        out.objects.push(secret(cx, &id)?);
        Ok(Some((auth.username.clone(), id)))
    }

    fn nbd(&self, cx: Option<&Context>, out: &mut Nodes) -> Result<Props> {
        let mut props = Props::device("nbd")
            .with("server", self.inet(self.host()?, Some("10809"), true))
            .maybe("export", self.source.name.clone());
        let unix = self.host()?.transport == Some(Transport::Unix);
        if let Some(cx) = cx
            && self.source.tls.map_or(cx.config.nbd_tls, YesNo::is_yes)
            && !unix
        {
            let id = self.names.tls();
            let mut creds = Props::object("tls-creds-x509", id.clone())
                .with("dir", cx.config.nbd_tls_x509_cert_dir.clone())
                .with("endpoint", "client")
                .with("verify-peer", true);
            if cx.config.nbd_tls_x509_secret_uuid.is_some() {
                let key = format!("{id}-secret0");
                out.objects.push(secret(cx, &key)?);
                creds.set("passwordid", key);
            }
            out.objects.push(creds);
            props.set("tls-creds", id);
            props = props.maybe("tls-hostname", self.source.tls_hostname.clone());
        }
        let delay = self.source.reconnect.as_ref().and_then(|reconnect| reconnect.delay);
        Ok(props.maybe("reconnect-delay", delay))
    }

    fn rbd(&self, cx: Option<&Context>, out: &mut Nodes) -> Result<Props> {
        let name = self.source.name.clone().unwrap_or_default();
        let (pool, image) = name.split_once('/').unwrap_or(("rbd", name.as_str()));
        let (namespace, image) = match image.split_once('/') {
            Some((namespace, image)) => (Some(namespace.to_owned()), image),
            None => (None, image),
        };
        let servers: Vec<Value> = self
            .source
            .hosts
            .iter()
            .map(|host| self.inet(host, Some("0"), false).into_value())
            .collect();
        let mut props = Props::device("rbd")
            .with("pool", pool)
            .maybe("namespace", namespace)
            .with("image", image)
            .maybe("snapshot", self.source.snapshot.as_ref().map(|snapshot| snapshot.name.clone()))
            .maybe("conf", self.source.config.as_ref().map(|config| config.file.clone()));
        if !servers.is_empty() {
            props.set("server", servers);
        }
        if let Some(encrypt) = self.rbd_encryption(cx, out)? {
            props.set("encrypt", encrypt);
        }
        if let Some((user, id)) = self.auth_secret(cx, out)? {
            props.set("user", user);
            props.set("auth-client-required", json!(["cephx", "none"]));
            props.set("key-secret", id);
        }
        Ok(props)
    }

    /// Encryption that librbd undoes; layers lie in each other.
    fn rbd_encryption(&self, cx: Option<&Context>, out: &mut Nodes) -> Result<Option<Props>> {
        let librbd = self.encryption.filter(|e| e.engine == Some(EncryptionEngine::Librbd));
        let (Some(encryption), Some(cx)) = (librbd, cx) else { return Ok(None) };
        let format = match encryption.format {
            EncryptionFormat::Luks => "luks",
            EncryptionFormat::Luks2 => "luks2",
            EncryptionFormat::LuksAny => "luks-any",
            other => return Err(unsupported(format!("encryption '{other}' of an rbd image"))),
        };
        let mut layers: Option<Props> = None;
        let base = if self.format == virtus_xml::domain::storage::ImageFormat::Raw {
            self.storage_name()
        } else {
            self.names.format()
        };
        let mut ids = self.names.secrets("encryption");
        if ids.is_empty() {
            let count = 0..encryption.secrets.len();
            ids = count.map(|at| format!("{base}-encryption-secret{at}")).collect();
        }
        for id in &ids {
            out.objects.push(secret(cx, id)?);
        }
        for id in ids.into_iter().rev() {
            let mut layer = Props::new().with("format", format).with("key-secret", id);
            if let Some(parent) = layers.take() {
                layer.set("parent", parent);
            }
            layers = Some(layer);
        }
        Ok(layers)
    }

    fn iscsi(&self, cx: Option<&Context>, out: &mut Nodes) -> Result<Props> {
        let name = self.source.name.clone().unwrap_or_default();
        let (target, lun) = name.rsplit_once('/').unwrap_or((name.as_str(), "0"));
        let lun: u64 = lun.parse().map_err(|_| unsupported(format!("iSCSI unit '{lun}'")))?;
        let host = self.host()?;
        let portal = format!(
            "{}:{}",
            bracketed(host.name.as_deref().unwrap_or_default()),
            host.port.as_deref().unwrap_or("3260")
        );
        let mut props = Props::device("iscsi")
            .with("portal", portal)
            .with("target", target)
            .with("lun", lun)
            .with("transport", "tcp");
        if let Some((user, id)) = self.auth_secret(cx, out)? {
            props.set("user", user);
            props.set("password-secret", id);
        }
        let iqn = self.source.initiator.as_ref().and_then(|initiator| initiator.iqn.as_ref());
        Ok(props.maybe("initiator-name", iqn.map(|iqn| iqn.name.clone())))
    }

    fn curl(&self, protocol: Protocol, cx: Option<&Context>, out: &mut Nodes) -> Result<Props> {
        let mut props = Props::device(protocol.as_str()).with("url", self.url()?);
        if let Some((user, id)) = self.auth_secret(cx, out)? {
            props.set("username", user);
            props.set("password-secret", id);
        }
        let verify = self.source.ssl.as_ref().and_then(|ssl| ssl.verify);
        props = props.maybe("sslverify", verify.map(YesNo::is_yes));
        if let Some(cookies) = self.cookies() {
            match (cx, self.names.secret("httpcookie")) {
                (Some(cx), Some(id)) => {
                    out.objects.push(secret(cx, &id)?);
                    props.set("cookie-secret", id);
                }
                (Some(_), None) => {}
                (None, _) => props.set("cookie", cookies),
            }
        }
        Ok(props
            .maybe("timeout", self.source.timeout.as_ref().map(|timeout| timeout.seconds))
            .maybe("readahead", self.source.readahead.as_ref().map(|readahead| readahead.size)))
    }

    /// The image's address as a browser would spell it.
    pub(super) fn url(&self) -> Result<String> {
        let host = self.host()?;
        let protocol = self.source.protocol.unwrap_or_default();
        let mut url =
            format!("{protocol}://{}", bracketed(host.name.as_deref().unwrap_or_default()));
        if let Some(port) = host.port.as_deref().or(protocol.usual_port()) {
            url.push(':');
            url.push_str(port);
        }
        if let Some(name) = &self.source.name {
            url.push('/');
            url.push_str(&escaped(name.trim_start_matches('/')));
        }
        if let Some(query) = &self.source.query {
            url.push('?');
            url.push_str(query);
        }
        Ok(url)
    }

    /// The cookies as a browser would send them.
    pub(super) fn cookies(&self) -> Option<String> {
        let cookies = &self.source.cookies.as_ref()?.cookie;
        let pairs = cookies.iter().map(|cookie| format!("{}={}", cookie.name, cookie.value));
        Some(pairs.collect::<Vec<_>>().join("; "))
    }

    fn nfs(&self) -> Result<Props> {
        let host = self.host()?;
        let number = |text: &Option<String>| -> Result<Option<i64>> {
            match text {
                None => Ok(None),
                Some(text) => text
                    .trim_start_matches('+')
                    .parse()
                    .map(Some)
                    .map_err(|_| unsupported(format!("user or group '{text}' of an nfs disk"))),
            }
        };
        let mut props = Props::device("nfs")
            .with(
                "server",
                json!({ "host": host.name.clone().unwrap_or_default(), "type": "inet" }),
            )
            .with("path", self.source.name.clone().unwrap_or_default());
        if let Some(identity) = &self.source.identity {
            props = props
                .maybe("user", number(&identity.user)?)
                .maybe("group", number(&identity.group)?);
        }
        Ok(props)
    }

    fn gluster(&self) -> Result<Props> {
        let name = self.source.name.clone().unwrap_or_default();
        let (volume, path) = name.split_once('/').unwrap_or((name.as_str(), ""));
        let servers: Vec<Value> = self
            .source
            .hosts
            .iter()
            .map(|host| self.inet(host, Some("24007"), true).into_value())
            .collect();
        Ok(Props::device("gluster")
            .with("volume", volume)
            .with("path", path)
            .with("server", servers))
    }
}

/// What may not stand in the path of a URI, as its code.
fn escaped(path: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.!~*'()/;@&=+$,".contains(c);
    let mut out = String::with_capacity(path.len());
    for c in path.chars() {
        if plain(c) {
            out.push(c);
        } else {
            let mut bytes = [0; 4];
            c.encode_utf8(&mut bytes)
                .bytes()
                .for_each(|byte| out.push_str(&format!("%{byte:02X}")));
        }
    }
    out
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}
