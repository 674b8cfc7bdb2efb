// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Every key of `qemu.conf` of the release that we are compatible with. Those of features that are not there yet are
//! known too: they are no mistakes of the administrator.

use virtus_core::conf::manual::{Chapter, Manual, idle, set};

/// The file.
pub(crate) const MANUAL: Manual = Manual {
    file: "qemu.conf",
    about: "What holds for all guests that QEMU runs on this host.",
    chapters: CHAPTERS,
};

const CHAPTERS: &[Chapter] = &[
    Chapter {
        title: "Who may see guests' screens",
        about: "",
        keys: &[
            set(
                "vnc_listen",
                "\"127.0.0.1\"",
                "The address on which VNC listens where a guest names none.",
            ),
            set(
                "vnc_auto_unix_socket",
                "0",
                "Whether VNC listens on a unix socket in the guest's folder instead, where a guest names no address.",
            ),
            set(
                "vnc_tls",
                "0",
                "Whether VNC is encrypted by TLS. Needs certificates in vnc_tls_x509_cert_dir.",
            ),
            set(
                "vnc_tls_x509_cert_dir",
                "\"/etc/pki/libvirt-vnc\"",
                "The folder of ca-cert.pem, server-cert.pem and server-key.pem for VNC. If it is not there, default_tls_x509_cert_dir.",
            ),
            set(
                "vnc_tls_x509_secret_uuid",
                "\"00000000-0000-0000-0000-000000000000\"",
                "The UUID of the secret that opens the key of VNC's certificate. Usually the key is open.",
            ),
            set(
                "vnc_tls_x509_verify",
                "0",
                "Whether clients of VNC need certificates of the same authority.",
            ),
            set(
                "vnc_password",
                "\"changeit\"",
                "The password of VNC where a guest has none of its own. Usually none is asked for.",
            ),
            set("vnc_sasl", "0", "Whether clients of VNC authenticate by SASL."),
            set("vnc_sasl_dir", "\"/etc/sasl2\"", "The folder of SASL's configuration for VNC."),
            set(
                "vnc_allow_host_audio",
                "0",
                "Whether a guest with VNC may use the sound card of this host.",
            ),
            set(
                "spice_listen",
                "\"127.0.0.1\"",
                "The address on which SPICE listens where a guest names none.",
            ),
            set("spice_auto_unix_socket", "0", "As vnc_auto_unix_socket, for SPICE."),
            set("spice_tls", "0", "Whether SPICE is encrypted by TLS."),
            set(
                "spice_tls_x509_cert_dir",
                "\"/etc/pki/libvirt-spice\"",
                "As vnc_tls_x509_cert_dir, for SPICE.",
            ),
            set("spice_password", "\"changeit\"", "As vnc_password, for SPICE."),
            set("spice_sasl", "0", "Whether clients of SPICE authenticate by SASL."),
            set(
                "spice_sasl_dir",
                "\"/etc/sasl2\"",
                "The folder of SASL's configuration for SPICE.",
            ),
            idle(
                "rdp_listen",
                "\"127.0.0.1\"",
                "The address on which RDP listens where a guest names none.",
            ),
            idle(
                "rdp_tls_x509_cert_dir",
                "\"/etc/pki/libvirt-rdp\"",
                "The folder of server-cert.pem and server-key.pem for RDP.",
            ),
            idle("rdp_username", "\"user\"", "The user whom RDP lets in where a guest names none."),
            idle("rdp_password", "\"changeit\"", "That user's password."),
            set(
                "nographics_allow_host_audio",
                "0",
                "Whether a guest without a screen may use the sound card of this host.",
            ),
            set(
                "remote_display_port_min",
                "5900",
                "The first port for VNC and SPICE, at least 5900.",
            ),
            set("remote_display_port_max", "65535", "The last one."),
            set(
                "remote_websocket_port_min",
                "5700",
                "The first port for VNC over WebSocket, at least 5700.",
            ),
            set("remote_websocket_port_max", "65535", "The last one."),
        ],
    },
    Chapter {
        title: "Certificates",
        about: "Folders hold ca-cert.pem, server-cert.pem, server-key.pem, and for clients client-cert.pem and client-key.pem.",
        keys: &[
            set(
                "default_tls_x509_cert_dir",
                "\"/etc/pki/qemu\"",
                "The folder for all that has none of its own.",
            ),
            set(
                "default_tls_x509_verify",
                "1",
                "Whether the other side needs a certificate of the same authority, where nothing else is said.",
            ),
            idle(
                "default_tls_x509_secret_uuid",
                "\"00000000-0000-0000-0000-000000000000\"",
                "The UUID of the secret that opens the key.",
            ),
            set(
                "chardev_tls",
                "0",
                "Whether consoles and other character devices over TCP are encrypted.",
            ),
            set(
                "chardev_tls_x509_cert_dir",
                "\"/etc/pki/libvirt-chardev\"",
                "The folder for them.",
            ),
            set("chardev_tls_x509_verify", "1", "As default_tls_x509_verify, for them."),
            set(
                "chardev_tls_x509_secret_uuid",
                "\"00000000-0000-0000-0000-000000000000\"",
                "The UUID of the secret that opens their key.",
            ),
            idle("vxhs_tls", "0", "Whether disks of VxHS are encrypted. QEMU has them no more."),
            idle("vxhs_tls_x509_cert_dir", "\"/etc/pki/libvirt-vxhs\"", "The folder for them."),
            idle(
                "vxhs_tls_x509_secret_uuid",
                "\"00000000-0000-0000-0000-000000000000\"",
                "The UUID of the secret that opens their key.",
            ),
            set("nbd_tls", "0", "Whether disks by NBD are encrypted."),
            set("nbd_tls_x509_cert_dir", "\"/etc/pki/libvirt-nbd\"", "The folder for them."),
            set(
                "nbd_tls_x509_secret_uuid",
                "\"00000000-0000-0000-0000-000000000000\"",
                "The UUID of the secret that opens their key.",
            ),
            idle(
                "migrate_tls_x509_cert_dir",
                "\"/etc/pki/libvirt-migrate\"",
                "The folder for migration.",
            ),
            idle("migrate_tls_x509_verify", "1", "As default_tls_x509_verify, for migration."),
            idle(
                "migrate_tls_x509_secret_uuid",
                "\"00000000-0000-0000-0000-000000000000\"",
                "The UUID of the secret that opens its key.",
            ),
            idle("migrate_tls_force", "0", "Whether a migration without TLS is refused."),
            idle(
                "backup_tls_x509_cert_dir",
                "\"/etc/pki/libvirt-backup\"",
                "The folder for backups by NBD.",
            ),
            idle("backup_tls_x509_verify", "1", "As default_tls_x509_verify, for backups."),
            idle(
                "backup_tls_x509_secret_uuid",
                "\"00000000-0000-0000-0000-000000000000\"",
                "The UUID of the secret that opens their key.",
            ),
        ],
    },
    Chapter {
        title: "What QEMU may do",
        about: "",
        keys: &[
            set(
                "user",
                "\"libvirt-qemu\"",
                "The user that QEMU runs as, by name, or by number after a +. Usually the distribution's for this, else root.",
            ),
            set("group", "\"libvirt-qemu\"", "The group that it runs as."),
            set(
                "dynamic_ownership",
                "1",
                "Whether the files of a guest are given to that user while it runs.",
            ),
            set(
                "remember_owner",
                "1",
                "Whether they are given back to their former owner afterwards.",
            ),
            idle(
                "security_driver",
                "\"none\"",
                "What else confines guests: \"selinux\", \"apparmor\", \"none\", or a list of these. Usually what the host has.",
            ),
            idle(
                "security_default_confined",
                "1",
                "Whether guests are confined that do not say so.",
            ),
            idle(
                "security_require_confined",
                "0",
                "Whether guests that are not to be confined are refused.",
            ),
            set(
                "cgroup_controllers",
                "[ \"cpu\", \"devices\", \"memory\", \"blkio\", \"cpuset\", \"cpuacct\" ]",
                "The controllers for control groups of guests; an empty list keeps guests out of control groups.",
            ),
            idle(
                "cgroup_device_acl",
                "[ \"/dev/null\", \"/dev/full\", \"/dev/zero\", \"/dev/random\", \"/dev/urandom\", \"/dev/ptmx\", \"/dev/kvm\" ]",
                "The devices that every guest may open.",
            ),
            idle(
                "namespaces",
                "[ \"mount\" ]",
                "The namespaces that each QEMU has for itself; an empty list for none.",
            ),
            set(
                "seccomp_sandbox",
                "1",
                "Whether QEMU may only make the system calls that it needs. Usually if QEMU is able to.",
            ),
            idle(
                "capability_filters",
                "[ \"capname\" ]",
                "Abilities of QEMU that are taken for missing; for those who look for its mistakes.",
            ),
            set(
                "clear_emulator_capabilities",
                "1",
                "Whether QEMU runs without the capabilities of root.",
            ),
            idle(
                "mac_filter",
                "0",
                "Whether guests may only send with their own MAC addresses, by ebtables.",
            ),
            idle(
                "relaxed_acs_check",
                "0",
                "Whether PCI devices are given to guests although a bridge lets them reach others.",
            ),
            idle(
                "sched_core",
                "\"none\"",
                "Which threads of a guest share cores of the CPU with no other guest's: \"none\", \"vcpus\", \"emulator\" or \"full\".",
            ),
            idle(
                "shared_filesystems",
                "[ \"/shared/images\" ]",
                "Folders that other hosts share, which cannot be known by their kind of file system.",
            ),
        ],
    },
    Chapter {
        title: "Limits",
        about: "",
        keys: &[
            set(
                "max_processes",
                "0",
                "How many processes the user of QEMU may have; 0 for the host's limit.",
            ),
            set("max_files", "0", "How many files one QEMU may open; 0 for the host's limit."),
            idle(
                "max_threads_per_process",
                "0",
                "How many threads one QEMU may have; 0 for the host's limit.",
            ),
            set(
                "max_core",
                "\"unlimited\"",
                "How large a core dump of QEMU may be, in bytes. Usually the host's limit.",
            ),
            set(
                "dump_guest_core",
                "1",
                "Whether such a dump has the memory of the guest in it. Usually what QEMU does by itself.",
            ),
            idle("max_queued", "0", "How many calls may wait for one guest; 0 for any number."),
            idle(
                "keepalive_interval",
                "5",
                "After how many seconds of silence the other host of a migration is asked whether it lives.",
            ),
            idle("keepalive_count", "5", "How many questions may stay unanswered."),
        ],
    },
    Chapter {
        title: "What QEMU prints",
        about: "",
        keys: &[
            set(
                "stdio_handler",
                "\"logd\"",
                "\"logd\" lets virtlogd keep what QEMU prints, \"file\" lets QEMU write to a file. Usually \"logd\" if virtlogd is there.",
            ),
            set("log_timestamp", "1", "Whether QEMU's lines begin with the time."),
            idle("gluster_debug_level", "4", "How much QEMU tells of GlusterFS, from 0 to 9."),
            idle("virtiofsd_debug", "0", "Whether virtiofsd tells what it does."),
            set(
                "deprecation_behavior",
                "\"none\"",
                "What QEMU does with options that it will drop: \"none\", \"omit\", \"reject\" or \"crash\"; for those who look for mistakes.",
            ),
        ],
    },
    Chapter {
        title: "Locks",
        about: "",
        keys: &[set(
            "lock_manager",
            "\"lockd\"",
            "\"lockd\" lets virtlockd lock disks and leases, as qemu-lockd.conf says. Usually nobody does.",
        )],
    },
    Chapter {
        title: "Files of guests",
        about: "",
        keys: &[
            set(
                "nvram",
                "[ \"/usr/share/OVMF/OVMF_CODE.fd:/usr/share/OVMF/OVMF_VARS.fd\" ]",
                "Firmware, each with the template of its variables after a colon, beside what its descriptions say.",
            ),
            idle(
                "memory_backing_dir",
                "\"/var/lib/libvirt/qemu/ram\"",
                "Where memory of guests in files lies.",
            ),
            idle(
                "hugetlbfs_mount",
                "\"/dev/hugepages\"",
                "Where huge pages are mounted, or a list of places; \"\" for none. Usually all mounts are found.",
            ),
            idle(
                "save_image_format",
                "\"raw\"",
                "How saved memory is packed: \"raw\", \"gzip\", \"bzip2\", \"xz\", \"lzop\", \"zstd\" or \"sparse\".",
            ),
            idle("dump_image_format", "\"raw\"", "The same for dumps."),
            idle("snapshot_image_format", "\"raw\"", "The same for memory of snapshots in files."),
            idle(
                "auto_dump_path",
                "\"/var/lib/libvirt/qemu/dump\"",
                "Where guests are dumped that their watchdog or their crash wants dumped.",
            ),
            idle("auto_dump_bypass_cache", "0", "Whether such dumps bypass the host's cache."),
            idle(
                "storage_use_nbdkit",
                "0",
                "Whether disks by http, ftp and ssh go through nbdkit.",
            ),
        ],
    },
    Chapter {
        title: "Boot and shutdown of the host",
        about: "",
        keys: &[
            idle(
                "auto_start_bypass_cache",
                "0",
                "Whether saved guests that start with the host bypass its cache.",
            ),
            idle("auto_start_delay", "0", "Milliseconds between two starts."),
            idle(
                "auto_shutdown_try_save",
                "\"persistent\"",
                "Which guests the daemon saves when the host shuts down: \"none\", \"persistent\", \"transient\" or \"all\".",
            ),
            idle(
                "auto_shutdown_try_shutdown",
                "\"all\"",
                "Which ones it shuts down otherwise. On this host libvirt-guests does so.",
            ),
            idle("auto_shutdown_poweroff", "\"all\"", "Which ones it ends otherwise."),
            idle("auto_shutdown_wait", "30", "How many seconds a guest has to shut down."),
            idle("auto_shutdown_restore", "1", "Whether guests that were saved start at boot."),
            idle("auto_save_bypass_cache", "0", "Whether saving bypasses the host's cache."),
        ],
    },
    Chapter {
        title: "Migration",
        about: "",
        keys: &[
            idle("migration_address", "\"0.0.0.0\"", "The address on which guests are awaited."),
            idle(
                "migration_host",
                "\"host.example.com\"",
                "The name by which other hosts reach this one. Usually its host name.",
            ),
            idle("migration_port_min", "49152", "The first port for guests that come."),
            idle("migration_port_max", "49215", "The last one."),
        ],
    },
    Chapter {
        title: "Programs",
        about: "",
        keys: &[
            idle(
                "set_process_name",
                "0",
                "Whether a QEMU's process is called as its guest. It always is called so in its command line.",
            ),
            idle(
                "bridge_helper",
                "\"qemu-bridge-helper\"",
                "The program that plugs cards of users' guests into bridges.",
            ),
            idle(
                "pr_helper",
                "\"qemu-pr-helper\"",
                "The program for persistent reservations of SCSI disks.",
            ),
            idle(
                "slirp_helper",
                "\"slirp-helper\"",
                "The program for user networks outside of QEMU.",
            ),
            idle("dbus_daemon", "\"dbus-daemon\"", "The program for buses of guests."),
            idle("qemu_rdp", "\"qemu-rdp\"", "The program that serves RDP."),
            set("swtpm_user", "\"tss\"", "The user that software TPMs run as."),
            set("swtpm_group", "\"tss\"", "The group that they run as."),
        ],
    },
];
