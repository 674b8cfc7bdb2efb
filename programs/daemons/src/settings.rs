// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The keys of `/etc/libvirt/NAME.conf`: every one that libvirt documents, and what it means here.
//!
//! From this table follow the configuration files that are installed, and which keys of a file are unknown.

use virtus_api::Program;
use virtus_core::conf::manual::{Key, idle, set};

use crate::table::{Daemon, Deployment};

/// Keys about one subject.
#[derive(Debug)]
pub struct Subject {
    /// Its name, as a heading.
    pub title: &'static str,
    /// What holds for all its keys; may be empty.
    pub about: &'static str,
    /// The daemons that have them.
    pub of: Who,
    /// The keys.
    pub keys: &'static [Key],
}

/// Which daemons have the keys of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// All.
    All,
    /// Those with drivers.
    Drivers,
    /// Those that also listen on TCP.
    Listeners,
    /// Those that serve drivers.
    Keepers,
    /// The one that keeps logs.
    LogKeeper,
}

/// All of them, in the order in which the file shows them.
pub const SUBJECTS: &[Subject] = &[
    Subject {
        title: "Clients of other hosts",
        about: "Where systemd holds the sockets, enable the units NAME-tls.socket and NAME-tcp.socket instead: they have the \
                ports. Otherwise libvirtd wants the option --listen as well.",
        of: Who::Listeners,
        keys: &[
            set(
                "listen_tls",
                "1",
                "Whether to serve clients by TLS. Needs the certificates named below. virtproxyd does so only if it is set.",
            ),
            set("listen_tcp", "0", "Whether to serve clients by plain TCP."),
            set("tls_port", "\"16514\"", "The port for TLS."),
            set("tcp_port", "\"16509\"", "The port for plain TCP."),
            set(
                "listen_addr",
                "\"192.0.2.1\"",
                "The only address to listen on, as a name or a number. Usually all addresses of this host.",
            ),
        ],
    },
    Subject {
        title: "Unix sockets",
        about: "Where systemd holds the sockets, the socket units say all this.",
        of: Who::Drivers,
        keys: &[
            set(
                "unix_sock_group",
                "\"libvirt\"",
                "The group that the sockets belong to. Usually root's.",
            ),
            set(
                "unix_sock_ro_perms",
                "\"0777\"",
                "Who may connect to the socket that only reads, as an octal mode.",
            ),
            set(
                "unix_sock_rw_perms",
                "\"0700\"",
                "Who may connect to the socket that also changes things, as an octal mode.",
            ),
            set(
                "unix_sock_admin_perms",
                "\"0700\"",
                "Who may connect to the administrator's socket. Only root and the daemon's own user are served there.",
            ),
            set("unix_sock_dir", "\"/run/libvirt\"", "The folder of the sockets."),
        ],
    },
    Subject {
        title: "Who a client is",
        about: "\"none\" asks nothing: who may connect is in. \"sasl\" asks for passwords or tickets. \"polkit\", for unix sockets, \
                asks polkit about the process.",
        of: Who::Drivers,
        keys: &[
            set(
                "auth_unix_ro",
                "\"none\"",
                "What clients of the socket that only reads are asked for.",
            ),
            set(
                "auth_unix_rw",
                "\"none\"",
                "What clients of the socket that also changes things are asked for.",
            ),
            set(
                "sasl_allowed_username_list",
                "[\"joe@EXAMPLE.COM\", \"*@ADMIN.EXAMPLE.COM\"]",
                "The users whom SASL lets in; a * stands for any text. Usually everybody with a valid password or ticket; an empty list lets in nobody.",
            ),
            set(
                "access_drivers",
                "[\"polkit\"]",
                "Who says what each client may do with each object. Usually nobody: who is in may do everything.",
            ),
        ],
    },
    Subject {
        title: "Who a client of another host is",
        about: "",
        of: Who::Listeners,
        keys: &[
            set(
                "auth_tcp",
                "\"sasl\"",
                "What clients by plain TCP are asked for. With \"sasl\" the session is encrypted too; \"none\" lets everybody do everything who reaches the port.",
            ),
            set(
                "auth_tls",
                "\"none\"",
                "What clients by TLS are asked for beside their certificate.",
            ),
            set(
                "tcp_min_ssf",
                "112",
                "How well SASL must encrypt on plain TCP, in bits of a key; 56 at least.",
            ),
        ],
    },
    Subject {
        title: "Certificates",
        about: "Either all of key_file, cert_file and ca_file are set, or none. SIGHUP reads them anew.",
        of: Who::Listeners,
        keys: &[
            set("key_file", "\"/etc/pki/libvirt/private/serverkey.pem\"", "The key of this host."),
            set(
                "cert_file",
                "\"/etc/pki/libvirt/servercert.pem\"",
                "The certificate of this host.",
            ),
            set(
                "ca_file",
                "\"/etc/pki/CA/cacert.pem\"",
                "The authority that clients' certificates come from.",
            ),
            set(
                "crl_file",
                "\"/etc/pki/CA/cacrl.pem\"",
                "The certificates that the authority has revoked. Read if it is there.",
            ),
            set(
                "tls_no_sanity_certificate",
                "0",
                "1 starts even with a certificate of this host that clients will refuse.",
            ),
            set(
                "tls_no_verify_certificate",
                "0",
                "1 lets in clients without a valid certificate, which is everybody.",
            ),
            set(
                "tls_allowed_dn_list",
                "[\"C=GB,O=Example,CN=*\"]",
                "The names in certificates that are let in; a * stands for any text. Usually all that the authority has signed; an empty list lets in nobody.",
            ),
            set(
                "tls_priority",
                "\"NORMAL\"",
                "Other values change nothing: TLS 1.3 and 1.2 with strong ciphers are always what is offered.",
            ),
        ],
    },
    Subject {
        title: "Limits",
        about: "One client cannot take what others need.",
        of: Who::Drivers,
        keys: &[
            set("max_clients", "5000", "How many clients may be connected."),
            set(
                "max_user_clients",
                "4500",
                "How many clients one user may have, root excepted. Usually nine tenths of max_clients.",
            ),
            set(
                "max_queued_clients",
                "1000",
                "How many clients may wait in each socket until they are accepted.",
            ),
            set(
                "max_anonymous_clients",
                "20",
                "How many clients may be connected that have not yet said who they are; 0 for no limit.",
            ),
            set("min_workers", "5", "How many calls at least run at the same time."),
            set("max_workers", "20", "How many calls at most run at the same time."),
            set("prio_workers", "5", "How many calls run beside them that never wait for a guest."),
            set("max_client_requests", "5", "How many calls of one client run at the same time."),
            set(
                "max_user_requests",
                "15",
                "How many calls of one user run at the same time. Usually three quarters of max_workers.",
            ),
        ],
    },
    Subject {
        title: "Limits of the administrator's socket",
        about: "",
        of: Who::Drivers,
        keys: &[
            set("admin_min_workers", "5", "As min_workers."),
            set("admin_max_workers", "20", "As max_workers."),
            set("admin_max_clients", "5000", "As max_clients."),
            set("admin_max_queued_clients", "20", "As max_queued_clients."),
            set("admin_max_client_requests", "5", "As max_client_requests."),
        ],
    },
    Subject {
        title: "Clients",
        about: "",
        of: Who::Keepers,
        keys: &[
            set("max_clients", "1024", "How many clients may be connected; each guest may be one."),
            set(
                "admin_max_clients",
                "5",
                "How many may be connected to the administrator's socket.",
            ),
        ],
    },
    Subject {
        title: "Logs of guests",
        about: "",
        of: Who::LogKeeper,
        keys: &[
            set(
                "max_size",
                "2097152",
                "How many bytes a file may have before it is set aside; 0 for no limit, and a guest can fill the disk.",
            ),
            set(
                "max_backups",
                "3",
                "How many files of a log are kept beside the one that is written.",
            ),
            set(
                "max_age_days",
                "0",
                "After how many days a log that nobody writes goes; 0 for never. This holds for all files below log_root \
                 that are called like logs, whoever wrote them.",
            ),
            set("log_root", "\"/var/log/libvirt\"", "Where logs are that may be too old."),
        ],
    },
    Subject {
        title: "Log",
        about: "Levels: 1 debug, 2 information, 3 warnings, 4 errors.",
        of: Who::All,
        keys: &[
            set("log_level", "3", "The lowest level that is logged."),
            set(
                "log_filters",
                "\"1:qemu 4:rpc\"",
                "Other levels for some parts of the daemon, as LEVEL:PART; the first that matches holds.",
            ),
            set(
                "log_outputs",
                "\"3:journald\"",
                "Where the log goes: LEVEL:stderr, LEVEL:journald, LEVEL:syslog:NAME, LEVEL:file:PATH, separated by spaces.",
            ),
        ],
    },
    Subject {
        title: "Auditing",
        about: "",
        of: Who::Drivers,
        keys: &[
            idle(
                "audit_level",
                "1",
                "Whether the kernel's audit log is told: 0 never, 1 if it is on, 2 or do not start.",
            ),
            idle("audit_logging", "0", "Whether the log is told too."),
        ],
    },
    Subject {
        title: "This host",
        about: "",
        of: Who::Drivers,
        keys: &[
            set(
                "host_uuid",
                "\"00000000-0000-0000-0000-000000000000\"",
                "The host's UUID; the one shown is not valid.",
            ),
            set(
                "host_uuid_source",
                "\"smbios\"",
                "Where the host's UUID comes from: \"smbios\" or \"machine-id\".",
            ),
            idle("ovs_timeout", "5", "How many seconds Open vSwitch may take to answer."),
        ],
    },
    Subject {
        title: "Dead clients",
        about: "",
        of: Who::Drivers,
        keys: &[
            set(
                "keepalive_interval",
                "5",
                "After how many seconds of silence a client is asked whether it lives; -1 for never.",
            ),
            set(
                "keepalive_count",
                "5",
                "How many questions may stay unanswered before the connection is closed.",
            ),
            idle(
                "keepalive_required",
                "0",
                "Libvirt has given this up: no client can be required to answer.",
            ),
            idle(
                "admin_keepalive_interval",
                "5",
                "Clients of the administrator's socket have no way to ask for it.",
            ),
            idle("admin_keepalive_count", "5", "As admin_keepalive_interval."),
            idle("admin_keepalive_required", "0", "As keepalive_required."),
        ],
    },
];

/// The subjects that the file of `daemon` has.
pub fn of(daemon: &Daemon) -> impl Iterator<Item = &'static Subject> {
    let drivers = daemon.deployment != Deployment::Either;
    let listens = daemon.listens_on_ip;
    let program = daemon.own.map(|own| own.program);
    SUBJECTS.iter().filter(move |subject| match subject.of {
        Who::All => true,
        Who::Drivers => drivers,
        Who::Listeners => listens,
        Who::Keepers => !drivers,
        Who::LogKeeper => program == Some(Program::Log),
    })
}

/// All keys, whichever daemon has them: a file may serve several.
pub(crate) fn all() -> impl Iterator<Item = &'static Key> + Clone {
    SUBJECTS.iter().flat_map(|subject| subject.keys)
}
