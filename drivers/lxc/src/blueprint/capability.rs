// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the kernel lets single processes do beside what their user may.

use serde::{Deserialize, Serialize};

/// One of the kernel's capabilities; its place in the kernel's order is its number. See capabilities(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Capability {
    /// `CAP_CHOWN`.
    Chown,
    /// `CAP_DAC_OVERRIDE`.
    DacOverride,
    /// `CAP_DAC_READ_SEARCH`.
    DacReadSearch,
    /// `CAP_FOWNER`.
    Fowner,
    /// `CAP_FSETID`.
    Fsetid,
    /// `CAP_KILL`.
    Kill,
    /// `CAP_SETGID`.
    Setgid,
    /// `CAP_SETUID`.
    Setuid,
    /// `CAP_SETPCAP`.
    Setpcap,
    /// `CAP_LINUX_IMMUTABLE`.
    LinuxImmutable,
    /// `CAP_NET_BIND_SERVICE`.
    NetBindService,
    /// `CAP_NET_BROADCAST`.
    NetBroadcast,
    /// `CAP_NET_ADMIN`.
    NetAdmin,
    /// `CAP_NET_RAW`.
    NetRaw,
    /// `CAP_IPC_LOCK`.
    IpcLock,
    /// `CAP_IPC_OWNER`.
    IpcOwner,
    /// `CAP_SYS_MODULE`.
    SysModule,
    /// `CAP_SYS_RAWIO`.
    SysRawio,
    /// `CAP_SYS_CHROOT`.
    SysChroot,
    /// `CAP_SYS_PTRACE`.
    SysPtrace,
    /// `CAP_SYS_PACCT`.
    SysPacct,
    /// `CAP_SYS_ADMIN`.
    SysAdmin,
    /// `CAP_SYS_BOOT`.
    SysBoot,
    /// `CAP_SYS_NICE`.
    SysNice,
    /// `CAP_SYS_RESOURCE`.
    SysResource,
    /// `CAP_SYS_TIME`.
    SysTime,
    /// `CAP_SYS_TTY_CONFIG`.
    SysTtyConfig,
    /// `CAP_MKNOD`.
    Mknod,
    /// `CAP_LEASE`.
    Lease,
    /// `CAP_AUDIT_WRITE`.
    AuditWrite,
    /// `CAP_AUDIT_CONTROL`.
    AuditControl,
    /// `CAP_SETFCAP`.
    Setfcap,
    /// `CAP_MAC_OVERRIDE`.
    MacOverride,
    /// `CAP_MAC_ADMIN`.
    MacAdmin,
    /// `CAP_SYSLOG`.
    Syslog,
    /// `CAP_WAKE_ALARM`.
    WakeAlarm,
    /// `CAP_BLOCK_SUSPEND`.
    BlockSuspend,
    /// `CAP_AUDIT_READ`.
    AuditRead,
    /// `CAP_PERFMON`.
    Perfmon,
    /// `CAP_BPF`.
    Bpf,
    /// `CAP_CHECKPOINT_RESTORE`.
    CheckpointRestore,
}

impl Capability {
    /// All of them, by number.
    pub const ALL: [Self; 41] = [
        Self::Chown,
        Self::DacOverride,
        Self::DacReadSearch,
        Self::Fowner,
        Self::Fsetid,
        Self::Kill,
        Self::Setgid,
        Self::Setuid,
        Self::Setpcap,
        Self::LinuxImmutable,
        Self::NetBindService,
        Self::NetBroadcast,
        Self::NetAdmin,
        Self::NetRaw,
        Self::IpcLock,
        Self::IpcOwner,
        Self::SysModule,
        Self::SysRawio,
        Self::SysChroot,
        Self::SysPtrace,
        Self::SysPacct,
        Self::SysAdmin,
        Self::SysBoot,
        Self::SysNice,
        Self::SysResource,
        Self::SysTime,
        Self::SysTtyConfig,
        Self::Mknod,
        Self::Lease,
        Self::AuditWrite,
        Self::AuditControl,
        Self::Setfcap,
        Self::MacOverride,
        Self::MacAdmin,
        Self::Syslog,
        Self::WakeAlarm,
        Self::BlockSuspend,
        Self::AuditRead,
        Self::Perfmon,
        Self::Bpf,
        Self::CheckpointRestore,
    ];

    /// Those that a container does not get by itself: with them it could change the host's kernel, clock,
    /// devices, audit or access control.
    pub const WITHHELD: [Self; 5] =
        [Self::SysModule, Self::SysTime, Self::Mknod, Self::AuditControl, Self::MacAdmin];

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_kernels() {
        for (number, capability) in (0..).zip(Capability::ALL) {
            assert_eq!(capability.number(), number);
        }
        assert_eq!(Capability::SysAdmin.number(), 21);
        assert_eq!(Capability::CheckpointRestore.number(), 40);
    }
}
