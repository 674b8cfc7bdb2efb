// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The names of all keys of `qemu.conf`, and those that only shape command lines.

use std::path::Path;

use virtus_api::Result;
use virtus_core::conf::Conf;

use super::set;
use crate::plan;

/// Every key of the release that we are compatible with. Those of features that are not there yet are
/// known too: they are no mistakes of the administrator.
pub(super) const KNOWN: &[&str] = &[
    "auto_dump_bypass_cache",
    "auto_dump_path",
    "auto_save_bypass_cache",
    "auto_shutdown_poweroff",
    "auto_shutdown_restore",
    "auto_shutdown_try_save",
    "auto_shutdown_try_shutdown",
    "auto_shutdown_wait",
    "auto_start_bypass_cache",
    "auto_start_delay",
    "backup_tls_x509_cert_dir",
    "backup_tls_x509_secret_uuid",
    "backup_tls_x509_verify",
    "bridge_helper",
    "capability_filters",
    "cgroup_controllers",
    "cgroup_device_acl",
    "chardev_tls",
    "chardev_tls_x509_cert_dir",
    "chardev_tls_x509_secret_uuid",
    "chardev_tls_x509_verify",
    "clear_emulator_capabilities",
    "dbus_daemon",
    "default_cpu_deprecated_features",
    "default_tls_x509_cert_dir",
    "default_tls_x509_secret_uuid",
    "default_tls_x509_verify",
    "deprecation_behavior",
    "dump_guest_core",
    "dump_image_format",
    "dynamic_ownership",
    "gluster_debug_level",
    "group",
    "hugetlbfs_mount",
    "keepalive_count",
    "keepalive_interval",
    "lock_manager",
    "log_timestamp",
    "mac_filter",
    "max_core",
    "max_files",
    "max_processes",
    "max_queued",
    "max_threads_per_process",
    "memory_backing_dir",
    "migrate_tls_force",
    "migrate_tls_x509_cert_dir",
    "migrate_tls_x509_secret_uuid",
    "migrate_tls_x509_verify",
    "migration_address",
    "migration_host",
    "migration_port_max",
    "migration_port_min",
    "namespaces",
    "nbd_tls",
    "nbd_tls_x509_cert_dir",
    "nbd_tls_x509_secret_uuid",
    "nographics_allow_host_audio",
    "nvram",
    "passt",
    "pr_helper",
    "qemu_rdp",
    "relaxed_acs_check",
    "remember_owner",
    "remote_display_port_max",
    "remote_display_port_min",
    "remote_websocket_port_max",
    "remote_websocket_port_min",
    "save_image_format",
    "sched_core",
    "seccomp_sandbox",
    "security_default_confined",
    "security_driver",
    "security_require_confined",
    "set_process_name",
    "shared_filesystems",
    "slirp_helper",
    "snapshot_image_format",
    "spice_auto_unix_socket",
    "spice_listen",
    "spice_password",
    "spice_sasl",
    "spice_sasl_dir",
    "spice_tls",
    "spice_tls_x509_cert_dir",
    "stdio_handler",
    "storage_use_nbdkit",
    "swtpm_group",
    "swtpm_user",
    "user",
    "virtiofsd_debug",
    "vnc_allow_host_audio",
    "vnc_auto_unix_socket",
    "vnc_listen",
    "vnc_password",
    "vnc_sasl",
    "vnc_sasl_dir",
    "vnc_tls",
    "vnc_tls_x509_cert_dir",
    "vnc_tls_x509_secret_uuid",
    "vnc_tls_x509_verify",
    "vxhs_tls",
    "vxhs_tls_x509_cert_dir",
    "vxhs_tls_x509_secret_uuid",
];

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
