// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What stands by itself: identity, sandbox, confidential guests, ACPI tables, and what a definition hands to QEMU
//! as it is (`qemu:commandline`, `qemu:override`, `qemu:deprecation`).

use serde_json::{Value, json};
use virtus_api::Result;
use virtus_xml::domain::address::Address;
use virtus_xml::domain::graphics::GraphicsType;
use virtus_xml::domain::os::AcpiTableType;
use virtus_xml::domain::qemu::{Deprecation, PropertyType};
use virtus_xml::domain::security::LaunchSecurityType;
use virtus_xml::domain::sound::AudioType;
use virtus_xml::value::YesNo;

use super::argv::{Opts, Props};
use super::line::Line;
use super::storage::unsupported;
use crate::caps::Flag;

/// `-uuid`.
pub(crate) fn uuid(line: &mut Line<'_>) {
    if let Some(uuid) = line.domain.uuid {
        line.argv.pair("-uuid", uuid.hyphenated().to_string());
    }
}

/// `-display none` where nothing shows the guest's screen.
pub(crate) fn no_display(line: &mut Line<'_>) {
    let shows = line
        .domain
        .devices
        .graphics
        .iter()
        .any(|graphics| !matches!(graphics.kind, GraphicsType::Rdp | GraphicsType::Desktop));
    if !shows {
        line.argv.pair("-display", "none");
    }
}

/// `-compat`: what becomes of settings that QEMU will drop.
pub(crate) fn compat(line: &mut Line<'_>) {
    let stated = line.domain.qemu.deprecation.map(Deprecation::as_str);
    let behavior = stated.or(line.cx.config.deprecation_behavior.as_deref());
    let input = match behavior {
        Some("omit") => None,
        Some(word @ ("reject" | "crash")) => Some(word),
        _ => return,
    };
    let output = Props::new().with("deprecated-output", "hide");
    line.argv.json("-compat", output.maybe("deprecated-input", input));
}

/// The memory of the system management mode.
pub(crate) fn tseg(line: &mut Line<'_>) {
    let tseg = line.domain.features.smm.as_ref().and_then(|smm| smm.tseg.as_ref());
    if let Some(tseg) = tseg {
        line.argv.pair("-global", format!("mch.extended-tseg-mbytes={}", tseg.bytes >> 20));
    }
}

/// Limits that several disks share.
pub(crate) fn throttle_groups(line: &mut Line<'_>) {
    let Some(groups) = &line.domain.throttlegroups else { return };
    for group in &groups.groups {
        let name = group.group_name.as_deref().unwrap_or_default();
        let mut limits = Props::new();
        for (key, value) in [
            ("bps-total", group.total_bytes_sec),
            ("bps-read", group.read_bytes_sec),
            ("bps-write", group.write_bytes_sec),
            ("iops-total", group.total_iops_sec),
            ("iops-read", group.read_iops_sec),
            ("iops-write", group.write_iops_sec),
            ("bps-total-max", group.total_bytes_sec_max),
            ("bps-read-max", group.read_bytes_sec_max),
            ("bps-write-max", group.write_bytes_sec_max),
            ("iops-total-max", group.total_iops_sec_max),
            ("iops-read-max", group.read_iops_sec_max),
            ("iops-write-max", group.write_iops_sec_max),
            ("iops-size", group.size_iops_sec),
        ] {
            limits.set(key, value.unwrap_or(0));
        }
        for (key, value) in [
            ("bps-total-max-length", group.total_bytes_sec_max_length),
            ("bps-read-max-length", group.read_bytes_sec_max_length),
            ("bps-write-max-length", group.write_bytes_sec_max_length),
            ("iops-total-max-length", group.total_iops_sec_max_length),
            ("iops-read-max-length", group.read_iops_sec_max_length),
            ("iops-write-max-length", group.write_iops_sec_max_length),
        ] {
            limits = limits.maybe(key, value.filter(|value| *value > 0));
        }
        line.object(
            Props::object("throttle-group", format!("throttle-{name}")).with("limits", limits),
        );
    }
}

/// The place of the firmware's variables on pSeries.
pub(crate) fn nvram(line: &mut Line<'_>) {
    let Some(nvram) = &line.domain.devices.nvram else { return };
    if let Some(Address::SpaprVio { reg: Some(reg) }) = &nvram.info.address {
        line.argv.pair("-global", format!("spapr-nvram.reg=0x{:x}", reg.0));
    }
}

/// What keeps the host out of the guest.
pub(crate) fn launch_security(line: &mut Line<'_>) -> Result<()> {
    let Some(security) = &line.domain.launch_security else { return Ok(()) };
    let sev = line.caps.sev.clone().unwrap_or_default();
    let cbitpos = security.cbitpos.unwrap_or(sev.cbitpos);
    let lost = security.reduced_phys_bits.unwrap_or(sev.reduced_phys_bits);
    let dir = line.cx.domain_dir(&line.domain.name);
    let yes = |value: Option<YesNo>| value.map(YesNo::is_yes);
    let props = match security.kind {
        LaunchSecurityType::Sev => Props::object("sev-guest", "lsec0")
            .with("cbitpos", cbitpos)
            .with("reduced-phys-bits", lost)
            .with("policy", security.policy.map_or(0, |policy| policy.0))
            .maybe(
                "dh-cert-file",
                security.dh_cert.as_ref().map(|_| format!("{dir}/dh_cert.base64")),
            )
            .maybe(
                "session-file",
                security.session.as_ref().map(|_| format!("{dir}/session.base64")),
            )
            .maybe("kernel-hashes", yes(security.kernel_hashes)),
        LaunchSecurityType::SevSnp => Props::object("sev-snp-guest", "lsec0")
            .with("cbitpos", cbitpos)
            .with("reduced-phys-bits", lost)
            .maybe("kernel-hashes", yes(security.kernel_hashes))
            .with("policy", security.policy.map_or(0, |policy| policy.0))
            .maybe("guest-visible-workarounds", security.guest_visible_workarounds.clone())
            .maybe("id-block", security.id_block.clone())
            .maybe("id-auth", security.id_auth.clone())
            .maybe("host-data", security.host_data.clone())
            .maybe("author-key-enabled", yes(security.author_key))
            .maybe("vcek-disabled", yes(security.vcek).map(|on| !on)),
        LaunchSecurityType::S390Pv => Props::object("s390-pv-guest", "lsec0"),
        LaunchSecurityType::Tdx => return Err(unsupported("launch security 'tdx'")),
    };
    line.object(props);
    Ok(())
}

/// `-sandbox`: what QEMU may no longer ask of the kernel.
pub(crate) fn sandbox(line: &mut Line<'_>) {
    let words = match line.cx.config.seccomp_sandbox {
        Some(false) => "off",
        _ => "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
    };
    if line.has(Flag::SeccompSandbox) {
        line.argv.pair("-sandbox", words);
    }
}

/// The definition's own words.
pub(crate) fn words(line: &mut Line<'_>) {
    for arg in &line.domain.qemu.args {
        line.argv.word(arg.clone());
    }
}

/// How the process ends, and the timestamps of its messages.
pub(crate) fn tail(line: &mut Line<'_>) {
    let teardown = line.domain.features.async_teardown.as_ref().and_then(|t| t.enabled);
    if let Some(enabled) = teardown.filter(|_| line.has(Flag::RunWithAsyncTeardown)) {
        line.argv
            .pair("-run-with", format!("async-teardown={}", super::argv::on_off(enabled.is_yes())));
    }
    if line.cx.config.log_timestamp {
        line.argv.pair("-msg", "timestamp=on");
    }
}

/// `-incoming`: the guest comes from elsewhere.
pub(crate) fn incoming(line: &mut Line<'_>) {
    if let Some(from) = &line.cx.incoming {
        line.argv.pair("-incoming", from.clone());
    }
}

/// `-acpitable`.
pub(crate) fn acpi_tables(line: &mut Line<'_>) {
    let Some(tables) = &line.domain.os.acpi else { return };
    for table in &tables.tables {
        let mut opts = Opts::default();
        match table.kind {
            AcpiTableType::Raw | AcpiTableType::Rawset => {}
            AcpiTableType::Slic => opts.set("sig", "SLIC"),
            AcpiTableType::Msdm => opts.set("sig", "MSDM"),
        }
        opts.set("file", &table.path);
        line.argv.pair("-acpitable", opts);
    }
}

/// Variables that the guest's process gets.
pub(crate) fn environment(line: &Line<'_>) -> Vec<(String, Option<String>)> {
    let dir = line.cx.domain_dir(&line.domain.name);
    let mut env = vec![("HOME".to_owned(), Some(dir.clone()))];
    for (name, rest) in [
        ("XDG_DATA_HOME", ".local/share"),
        ("XDG_CACHE_HOME", ".cache"),
        ("XDG_CONFIG_HOME", ".config"),
    ] {
        env.push((name.to_owned(), Some(format!("{dir}/{rest}"))));
    }
    graphics_environment(line, &mut env);
    for audio in &line.domain.devices.audios {
        let variable = match audio.kind {
            AudioType::Pipewire => {
                let dir = audio.runtime_dir.as_ref().or(line.cx.pipewire_dir.as_ref());
                dir.map(|dir| ("PIPEWIRE_RUNTIME_DIR", dir.clone()))
            }
            AudioType::Sdl => audio.driver.clone().map(|driver| ("SDL_AUDIODRIVER", driver)),
            _ => None,
        };
        env.extend(variable.map(|(name, value)| (name.to_owned(), Some(value))));
    }
    env.extend(line.domain.qemu.env.iter().cloned());
    env
}

/// Where a window is shown, and where the settings of SASL lie.
fn graphics_environment(line: &Line<'_>, env: &mut Vec<(String, Option<String>)>) {
    let mut set = |name: &str, value: &str| env.push((name.to_owned(), Some(value.to_owned())));
    if let Some(zone) = line.domain.clock.as_ref().and_then(|clock| clock.timezone.as_deref()) {
        set("TZ", zone);
    }
    let config = &line.cx.config;
    for graphics in &line.domain.devices.graphics {
        match graphics.kind {
            GraphicsType::Vnc if config.vnc_sasl => {
                if let Some(dir) = &config.vnc_sasl_dir {
                    set("SASL_CONF_PATH", dir);
                }
            }
            GraphicsType::Spice if config.spice_sasl => {
                if let Some(dir) = &config.spice_sasl_dir {
                    set("SASL_CONF_PATH", dir);
                }
            }
            GraphicsType::Sdl => {
                if let Some(xauth) = &graphics.xauth {
                    set("XAUTHORITY", xauth);
                }
                if let Some(display) = &graphics.display {
                    set("DISPLAY", display);
                }
            }
            _ => {}
        }
    }
}

/// Changes a device's properties as `<qemu:override>` says.
pub(crate) fn override_device(line: &Line<'_>, props: &mut Props) {
    let Some(id) = props.get("id").and_then(Value::as_str).map(str::to_owned) else { return };
    for device in line.domain.qemu.overrides.iter().filter(|device| device.alias == id) {
        for property in &device.properties {
            let text = property.value.clone().unwrap_or_default();
            let value = match property.kind {
                PropertyType::Remove => {
                    props.remove(&property.name);
                    continue;
                }
                PropertyType::String => json!(text),
                PropertyType::Signed => json!(text.parse::<i64>().unwrap_or_default()),
                PropertyType::Unsigned => json!(text.parse::<u64>().unwrap_or_default()),
                PropertyType::Bool => json!(matches!(text.as_str(), "true" | "yes" | "on")),
            };
            props.set(&property.name, value);
        }
    }
}
