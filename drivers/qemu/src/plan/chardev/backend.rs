// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What QEMU is told of a character device, in its two forms: `-chardev word,key=value,…`, and the JSON that
//! newer QEMUs take after `-chardev` and all take in `chardev-add`.

use serde_json::json;

use crate::caps::Flag;
use crate::plan::argv::{Opts, Props, on_off};
use crate::plan::line::Line;

/// A back end.
#[derive(Debug, Clone)]
pub(crate) struct Backend {
    pub(crate) id: String,
    pub(crate) kind: Kind,
    /// The file that gets a copy of what the guest writes.
    pub(crate) log: Option<Log>,
}

/// A file that gets what the guest writes.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    pub(crate) path: String,
    /// Whether what is there stays; QEMU's default where it is not said.
    pub(crate) append: Option<bool>,
}

impl Log {
    /// A file that is open already: whoever opened it decided what becomes of its contents.
    pub(crate) fn opened(path: String) -> Self {
        Self { path, append: Some(true) }
    }
}

/// What a back end talks to.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// What needs no more than its word: `null`, `vc`, `pty`, `stdio`.
    Plain(&'static str),
    /// A path: `serial`, `parallel`, `pipe`.
    Path(&'static str, String),
    File(Log),
    Udp {
        remote: (String, String),
        local: Option<(String, String)>,
    },
    Socket(Socket),
    /// A channel of SPICE.
    Spicevmc(String),
    /// A port that SPICE or D-Bus offers under a name.
    Named(&'static str, String),
    /// QEMU's own end of the SPICE agent.
    Vdagent {
        clipboard: Option<bool>,
        mouse: Option<bool>,
    },
}

/// A stream socket.
#[derive(Debug, Clone)]
pub(crate) struct Socket {
    pub(crate) end: SocketEnd,
    /// Whether QEMU answers, not calls.
    pub(crate) listens: bool,
    /// Whether a guest that starts waits for the first caller.
    pub(crate) wait: Option<bool>,
    /// How long QEMU waits before it calls again.
    pub(crate) reconnect_seconds: Option<u32>,
    /// The credentials for TLS.
    pub(crate) tls: Option<String>,
}

/// Where a socket is.
#[derive(Debug, Clone)]
pub(crate) enum SocketEnd {
    Fd(i32),
    Unix(String),
    Inet { host: String, port: String, telnet: bool },
}

impl Socket {
    /// A Unix socket that QEMU calls.
    pub(crate) fn call(path: impl Into<String>) -> Self {
        Self {
            end: SocketEnd::Unix(path.into()),
            listens: false,
            wait: None,
            reconnect_seconds: None,
            tls: None,
        }
    }

    /// A connection that is open already.
    pub(crate) fn open(fd: i32) -> Self {
        Self { end: SocketEnd::Fd(fd), ..Self::call("") }
    }

    /// The same, but QEMU is to answer on it, not to call.
    pub(crate) fn listening(self) -> Self {
        Self { listens: true, wait: Some(false), ..self }
    }
}

impl Backend {
    /// A back end without a log.
    pub(crate) fn new(id: impl Into<String>, kind: Kind) -> Self {
        Self { id: id.into(), kind, log: None }
    }

    /// A socket.
    pub(crate) fn socket(id: impl Into<String>, socket: Socket) -> Self {
        Self::new(id, Kind::Socket(socket))
    }

    /// Writes `-chardev`.
    pub(crate) fn write(self, line: &mut Line<'_>) {
        let milliseconds = line.has(Flag::ChardevReconnectMiliseconds);
        if line.has(Flag::ChardevJson) {
            let props = self.props(milliseconds);
            line.argv.json("-chardev", props);
        } else {
            let opts = self.opts(milliseconds);
            line.argv.pair("-chardev", opts);
        }
    }

    /// What `chardev-add` takes.
    fn props(self, milliseconds: bool) -> Props {
        let (word, mut data) = match self.kind {
            Kind::Plain(word) => (word, Props::new()),
            Kind::Path(word, path) => (word, Props::new().with("device", path)),
            Kind::File(file) => {
                ("file", Props::new().with("out", file.path).maybe("append", file.append))
            }
            Kind::Udp { remote, local } => {
                ("udp", Props::new().with("remote", inet(remote)).maybe("local", local.map(inet)))
            }
            Kind::Socket(socket) => ("socket", socket.props(milliseconds)),
            Kind::Spicevmc(name) => ("spicevmc", Props::new().with("type", name)),
            Kind::Named(word, name) => {
                let key = if word == "spiceport" { "fqdn" } else { "name" };
                (word, Props::new().with(key, name))
            }
            Kind::Vdagent { clipboard, mouse } => {
                ("qemu-vdagent", Props::new().maybe("clipboard", clipboard).maybe("mouse", mouse))
            }
        };
        if let Some(log) = self.log {
            data = data.with("logfile", log.path).maybe("logappend", log.append);
        }
        Props::new()
            .with("id", self.id)
            .with("backend", Props::new().with("type", word).with("data", data))
    }

    fn opts(self, milliseconds: bool) -> Opts {
        let new = |word: &str| Opts::new(word).with("id", &self.id);
        let mut opts = match self.kind {
            Kind::Plain(word) => new(word),
            Kind::Path(word, path) => new(word).with("path", path),
            Kind::File(file) => {
                new("file").with("path", file.path).maybe("append", file.append.map(on_off))
            }
            Kind::Udp { remote: (host, port), local } => {
                let (local, local_port) = local.unwrap_or((String::new(), "0".to_owned()));
                new("udp")
                    .with("host", host)
                    .with("port", port)
                    .with("localaddr", local)
                    .with("localport", local_port)
            }
            Kind::Socket(socket) => socket.opts(new("socket"), milliseconds),
            Kind::Spicevmc(name) => new("spicevmc").with("name", name),
            Kind::Named(word, name) => new(word).with("name", name),
            Kind::Vdagent { clipboard, mouse } => new("qemu-vdagent")
                .with("name", "vdagent")
                .maybe("clipboard", clipboard.map(on_off))
                .maybe("mouse", mouse.map(on_off)),
        };
        if let Some(log) = self.log {
            opts = opts.with("logfile", log.path).maybe("logappend", log.append.map(on_off));
        }
        opts
    }
}

/// An address of the Internet, as JSON.
fn inet((host, port): (String, String)) -> serde_json::Value {
    json!({ "type": "inet", "data": { "host": host, "port": port } })
}

impl Socket {
    fn props(self, milliseconds: bool) -> Props {
        let mut telnet = None;
        let address = match self.end {
            SocketEnd::Fd(fd) => json!({ "type": "fd", "data": { "str": fd.to_string() } }),
            SocketEnd::Unix(path) => json!({ "type": "unix", "data": { "path": path } }),
            SocketEnd::Inet { host, port, telnet: speaks } => {
                telnet = Some(speaks);
                inet((host, port))
            }
        };
        let (key, unit) = reconnect_key(milliseconds);
        Props::new()
            .with("addr", address)
            .maybe("telnet", telnet)
            .with("server", self.listens)
            .maybe("wait", self.wait)
            .maybe(key, self.reconnect_seconds.map(|seconds| u64::from(seconds) * unit))
            .maybe("tls-creds", self.tls)
    }

    fn opts(self, opts: Opts, milliseconds: bool) -> Opts {
        let mut opts = match self.end {
            SocketEnd::Fd(fd) => opts.with("fd", fd),
            SocketEnd::Unix(path) => opts.with("path", path),
            SocketEnd::Inet { host, port, telnet } => {
                let telnet = telnet.then_some("on");
                opts.with("host", host).with("port", port).maybe("telnet", telnet)
            }
        };
        if self.listens {
            opts.set("server", "on");
        }
        let (key, unit) = reconnect_key(milliseconds);
        opts.maybe("wait", self.wait.map(on_off))
            .maybe(key, self.reconnect_seconds.map(|seconds| u64::from(seconds) * unit))
            .maybe("tls-creds", self.tls)
    }
}

/// Under which name and in which part of a second QEMU takes the time between two calls.
pub(crate) fn reconnect_key(milliseconds: bool) -> (&'static str, u64) {
    if milliseconds { ("reconnect-ms", 1000) } else { ("reconnect", 1) }
}
