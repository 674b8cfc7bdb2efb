// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<graphics>`: VNC, SPICE and the local displays.

use std::ops::RangeInclusive;

use virtus_api::Result;
use virtus_xml::domain::chardev::MouseOwner;
use virtus_xml::domain::graphics::{
    ChannelSecurity, Gl, Graphics, GraphicsType, Listen, ListenType,
};
use virtus_xml::value::YesNo;

use super::argv::{Opts, Props, on_off};
use super::line::Line;
use super::storage::{secret, unsupported};

/// The first number of a VNC display's port.
const VNC_BASE: i32 = 5900;
/// What QEMU can be told as a display's number.
const VNC_PORTS: RangeInclusive<i32> = VNC_BASE..=65535;

/// Writes all graphics.
pub(crate) fn write(line: &mut Line<'_>) -> Result<()> {
    for (at, graphics) in line.domain.devices.graphics.iter().enumerate() {
        let others = &line.domain.devices.graphics[..at];
        if others.iter().any(|other| other.kind == graphics.kind) {
            return Err(unsupported(format!("a second <graphics type='{}'>", graphics.kind)));
        }
        match graphics.kind {
            GraphicsType::Vnc => vnc(line, graphics)?,
            GraphicsType::Spice => spice(line, graphics)?,
            GraphicsType::Sdl => sdl(line, graphics),
            GraphicsType::EglHeadless => egl(line, graphics),
            GraphicsType::Dbus => dbus(line, graphics)?,
            // A server beside QEMU shows the D-Bus display.
            GraphicsType::Rdp => {}
            GraphicsType::Desktop => return Err(unsupported("graphics type 'desktop'")),
        }
    }
    Ok(())
}

/// The first `<listen>`, or what the old attribute says.
fn listen(graphics: &Graphics) -> Option<&Listen> {
    graphics.listens.first()
}

fn address(graphics: &Graphics, default: &str) -> String {
    listen(graphics)
        .and_then(|listen| listen.address.clone())
        .or_else(|| graphics.listen.clone())
        .unwrap_or_else(|| default.to_owned())
}

/// An IPv6 address in brackets, so that the port's colon is found.
fn bracketed(address: &str) -> String {
    if address.contains(':') { format!("[{address}]") } else { address.to_owned() }
}

fn socket(line: &Line<'_>, graphics: &Graphics, file: &str) -> String {
    listen(graphics)
        .and_then(|listen| listen.socket.clone())
        .or_else(|| graphics.socket.clone())
        .unwrap_or_else(|| format!("{}/{file}", line.cx.domain_dir(&line.domain.name)))
}

fn vnc(line: &mut Line<'_>, graphics: &Graphics) -> Result<()> {
    let config = &line.cx.config;
    let mut opts = match listen(graphics).map(|listen| listen.kind) {
        Some(ListenType::Socket) => {
            let mut opts = Opts::default();
            opts.set("vnc", format!("unix:{}", socket(line, graphics, "vnc.sock")));
            opts
        }
        Some(ListenType::None) => Opts::new("none"),
        _ => {
            let port = graphics.port.filter(|port| *port > 0).unwrap_or(VNC_BASE);
            if !VNC_PORTS.contains(&port) {
                return Err(unsupported(format!("VNC port {port}, outside of {VNC_PORTS:?},")));
            }
            let address = bracketed(&address(graphics, &config.vnc_listen));
            let mut opts = Opts::new(&format!("{address}:{}", port - VNC_BASE));
            if let Some(websocket) = graphics.websocket {
                if websocket == -1 {
                    opts.push("websocket");
                } else {
                    opts.set("websocket", websocket);
                }
            }
            opts
        }
    };
    if let Some(policy) = graphics.share_policy {
        opts.set("share", policy);
    }
    if graphics.passwd.is_some() || config.vnc_password.is_some() {
        opts.set("password", "on");
    }
    if config.vnc_tls {
        let id = "vnc-tls-creds0";
        let mut props = Props::object("tls-creds-x509", id)
            .with("dir", config.vnc_tls_x509_cert_dir.clone())
            .with("endpoint", "server")
            .with("verify-peer", config.vnc_tls_x509_verify);
        if config.vnc_tls_x509_secret_uuid.is_some() {
            let key = format!("{id}-secret0");
            let sealed = secret(line.cx, &key)?;
            line.object(sealed);
            props.set("passwordid", key);
        }
        line.object(props);
        opts.set("tls-creds", id);
    }
    if config.vnc_sasl {
        opts.set("sasl", "on");
    }
    if let Some(power) = graphics.power_control {
        opts.set("power-control", on_off(power.is_yes()));
    }
    let audio = graphics.audio.as_ref().map(|audio| audio.id);
    let first = line.domain.devices.audios.first().map(|audio| audio.id);
    if let Some(id) = audio.or(first) {
        opts.set("audiodev", format!("audio{id}"));
    }
    line.argv.pair("-vnc", opts);
    if let Some(keymap) = &graphics.keymap {
        line.argv.pair("-k", keymap.clone());
    }
    Ok(())
}

fn spice(line: &mut Line<'_>, graphics: &Graphics) -> Result<()> {
    let config = &line.cx.config;
    let mut opts = Opts::default();
    let mut has_tls = false;
    match listen(graphics).map(|listen| listen.kind) {
        Some(ListenType::Socket) => {
            opts.set("unix", "on");
            opts.set("addr", socket(line, graphics, "spice.sock"));
        }
        Some(ListenType::None) => opts.set("port", 0),
        _ => {
            let (port, tls_port) = (graphics.port.unwrap_or(0), graphics.tls_port.unwrap_or(0));
            if port > 0 || tls_port <= 0 {
                opts.set("port", port.max(0));
            }
            if tls_port > 0 {
                if !config.spice_tls {
                    return Err(unsupported(
                        "a SPICE TLS port while 'spice_tls' is off in qemu.conf",
                    ));
                }
                opts.set("tls-port", tls_port);
                has_tls = true;
            }
            if port > 0 || tls_port > 0 {
                opts.set("addr", address(graphics, &config.spice_listen));
            }
        }
    }
    if config.spice_sasl {
        opts.set("sasl", "on");
    }
    if let Some(mode) = graphics.mouse.as_ref().and_then(|mouse| mouse.mode) {
        opts.set("agent-mouse", on_off(mode == MouseOwner::Client));
    }
    if graphics.passwd.is_none() && config.spice_password.is_none() {
        opts.set("disable-ticketing", "on");
    }
    if has_tls {
        opts.set("x509-dir", &config.spice_tls_x509_cert_dir);
    }
    match graphics.default_mode {
        Some(ChannelSecurity::Secure) => opts.set("tls-channel", "default"),
        Some(ChannelSecurity::Insecure) => opts.set("plaintext-channel", "default"),
        Some(ChannelSecurity::Any) | None => {}
    }
    for channel in &graphics.channels {
        match channel.mode {
            ChannelSecurity::Secure => opts.set("tls-channel", channel.name),
            ChannelSecurity::Insecure => opts.set("plaintext-channel", channel.name),
            ChannelSecurity::Any => {}
        }
    }
    spice_quality(graphics, &mut opts);
    let copies = graphics.clipboard.as_ref().and_then(|clipboard| clipboard.copypaste);
    if copies == Some(YesNo::No) {
        opts.set("disable-copy-paste", "on");
    }
    if graphics.filetransfer.as_ref().is_some_and(|transfer| !transfer.enable.is_yes()) {
        opts.set("disable-agent-file-xfer", "on");
    }
    if let Some(gl) = graphics.gl.as_ref().filter(|gl| gl.enable == Some(YesNo::Yes)) {
        opts.set("gl", "on");
        if let Some(node) = &gl.rendernode {
            opts.set("rendernode", node);
        }
    }
    // Clients follow a guest that moves to another host.
    opts.set("seamless-migration", "on");
    line.argv.pair("-spice", opts);
    if let Some(keymap) = &graphics.keymap {
        line.argv.pair("-k", keymap.clone());
    }
    Ok(())
}

fn spice_quality(graphics: &Graphics, opts: &mut Opts) {
    if let Some(image) = &graphics.image {
        opts.set("image-compression", image.compression);
    }
    if let Some(jpeg) = &graphics.jpeg {
        opts.set("jpeg-wan-compression", jpeg.compression);
    }
    if let Some(zlib) = &graphics.zlib {
        opts.set("zlib-glz-wan-compression", zlib.compression);
    }
    if let Some(playback) = &graphics.playback {
        opts.set("playback-compression", playback.compression);
    }
    if let Some(streaming) = &graphics.streaming {
        opts.set("streaming-video", streaming.mode);
    }
}

fn gl_state(gl: Option<&Gl>) -> Option<bool> {
    gl.and_then(|gl| gl.enable).map(YesNo::is_yes)
}

fn sdl(line: &mut Line<'_>, graphics: &Graphics) {
    let mut opts = Opts::new("sdl");
    if let Some(on) = gl_state(graphics.gl.as_ref()) {
        opts.set("gl", on_off(on));
    }
    if graphics.fullscreen == Some(YesNo::Yes) {
        line.argv.flag("-full-screen");
    }
    line.argv.pair("-display", opts);
}

fn egl(line: &mut Line<'_>, graphics: &Graphics) {
    let mut opts = Opts::new("egl-headless");
    if let Some(node) = graphics.gl.as_ref().and_then(|gl| gl.rendernode.as_deref()) {
        opts.set("rendernode", node);
    }
    line.argv.pair("-display", opts);
}

fn dbus(line: &mut Line<'_>, graphics: &Graphics) -> Result<()> {
    let mut opts = Opts::new("dbus");
    if graphics.p2p == Some(YesNo::Yes) {
        opts.set("p2p", "on");
    } else {
        let address = graphics
            .address
            .clone()
            .ok_or_else(|| unsupported("a D-Bus display without an address"))?;
        opts.set("addr", address);
    }
    opts = opts
        .maybe("gl", gl_state(graphics.gl.as_ref()).map(on_off))
        .maybe("rendernode", graphics.gl.as_ref().and_then(|gl| gl.rendernode.as_deref()));
    if let Some(audio) = &graphics.audio {
        opts.set("audiodev", format!("audio{}", audio.id));
    }
    line.argv.pair("-display", opts);
    Ok(())
}
