// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The keys of `qemu.conf` that only shape command lines.

use std::path::Path;

use virtus_api::Result;
use virtus_core::conf::Conf;

use super::set;
use crate::plan;

/// The folder of certificates for what has none of its own.
const SHARED_CERTIFICATES: &str = "/etc/pki/qemu";

/// Reads what the planner needs.
pub(super) fn read_plan(conf: &Conf, plan: &mut plan::Config) -> Result<()> {
    let shared = conf.text("default_tls_x509_cert_dir")?.unwrap_or(SHARED_CERTIFICATES);
    for (place, key) in [
        (&mut plan.vnc_tls_x509_cert_dir, "vnc_tls_x509_cert_dir"),
        (&mut plan.spice_tls_x509_cert_dir, "spice_tls_x509_cert_dir"),
        (&mut plan.chardev_tls_x509_cert_dir, "chardev_tls_x509_cert_dir"),
        (&mut plan.nbd_tls_x509_cert_dir, "nbd_tls_x509_cert_dir"),
    ] {
        match conf.text(key)? {
            Some(folder) => folder.clone_into(place),
            // A folder of its own counts where somebody has made it.
            None if !Path::new(place).exists() => shared.clone_into(place),
            None => {}
        }
    }
    for (place, key) in
        [(&mut plan.vnc_listen, "vnc_listen"), (&mut plan.spice_listen, "spice_listen")]
    {
        set(place, conf.text(key)?.map(str::to_owned));
    }
    for (place, key) in [
        (&mut plan.vnc_tls_x509_secret_uuid, "vnc_tls_x509_secret_uuid"),
        (&mut plan.vnc_password, "vnc_password"),
        (&mut plan.vnc_sasl_dir, "vnc_sasl_dir"),
        (&mut plan.spice_password, "spice_password"),
        (&mut plan.spice_sasl_dir, "spice_sasl_dir"),
        (&mut plan.chardev_tls_x509_secret_uuid, "chardev_tls_x509_secret_uuid"),
        (&mut plan.nbd_tls_x509_secret_uuid, "nbd_tls_x509_secret_uuid"),
        (&mut plan.deprecation_behavior, "deprecation_behavior"),
    ] {
        if let Some(text) = conf.text(key)? {
            *place = Some(text.to_owned());
        }
    }
    let verify = conf.switch("default_tls_x509_verify")?;
    set(&mut plan.vnc_tls_x509_verify, verify);
    set(&mut plan.chardev_tls_x509_verify, verify);
    for (place, key) in [
        (&mut plan.vnc_auto_unix_socket, "vnc_auto_unix_socket"),
        (&mut plan.vnc_tls, "vnc_tls"),
        (&mut plan.vnc_tls_x509_verify, "vnc_tls_x509_verify"),
        (&mut plan.vnc_sasl, "vnc_sasl"),
        (&mut plan.vnc_allow_host_audio, "vnc_allow_host_audio"),
        (&mut plan.spice_auto_unix_socket, "spice_auto_unix_socket"),
        (&mut plan.spice_tls, "spice_tls"),
        (&mut plan.spice_sasl, "spice_sasl"),
        (&mut plan.chardev_tls, "chardev_tls"),
        (&mut plan.chardev_tls_x509_verify, "chardev_tls_x509_verify"),
        (&mut plan.nbd_tls, "nbd_tls"),
        (&mut plan.nographics_allow_host_audio, "nographics_allow_host_audio"),
        (&mut plan.dump_guest_core, "dump_guest_core"),
        (&mut plan.log_timestamp, "log_timestamp"),
        (&mut plan.clear_emulator_capabilities, "clear_emulator_capabilities"),
    ] {
        set(place, conf.switch(key)?);
    }
    plan.seccomp_sandbox = conf.switch("seccomp_sandbox")?;
    Ok(())
}
