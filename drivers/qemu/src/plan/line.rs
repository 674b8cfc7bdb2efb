// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The command line while it is being written: the words so far, and what every device family reads.

use virtus_xml::Domain;
use virtus_xml::domain::DomainType;

use super::argv::{Argv, Opts, Props};
use super::boot::BootOrder;
use super::context::Context;
use super::device::zpci;
use crate::caps::{Accel, Capabilities, Flag};
use crate::machine::is_s390;

/// What the device families write into.
pub(crate) struct Line<'a> {
    pub(crate) domain: &'a Domain,
    pub(crate) caps: &'a Capabilities,
    pub(crate) cx: &'a Context,
    pub(crate) boot: BootOrder,
    pub(crate) argv: Argv,
    /// Whether QEMU makes all pages of the guest's memory, so that no back end need ask for its own.
    pub(crate) all_preallocated: bool,
    fd_sets: u32,
}

impl<'a> Line<'a> {
    pub(crate) fn new(domain: &'a Domain, caps: &'a Capabilities, cx: &'a Context) -> Self {
        // The first sets are those of the disks, wherever they stand.
        let fd_sets = super::disk::fd_sets(domain, cx).len().try_into().unwrap_or(u32::MAX);
        let (boot, argv) = (BootOrder::of(domain), Argv::default());
        Self { domain, caps, cx, boot, argv, all_preallocated: false, fd_sets }
    }

    pub(crate) fn has(&self, flag: Flag) -> bool {
        self.caps.has(flag)
    }

    pub(crate) fn device(&mut self, mut props: Props) {
        if is_s390(self.domain)
            && let Some(zpci) = props.get("id").and_then(|id| zpci(self.domain, id.as_str()?))
        {
            self.argv.json("-device", zpci);
        }
        super::passthrough::override_device(self, &mut props);
        self.argv.json("-device", props);
    }

    pub(crate) fn object(&mut self, props: Props) {
        self.argv.json("-object", props);
    }

    /// Hands a descriptor over; the path by which options refer to it.
    pub(crate) fn fd_set(&mut self, fd: i32, purpose: &str) -> String {
        let number = self.fd_sets;
        self.fd_sets += 1;
        let opts = Opts::default().with("set", number).with("fd", fd).with("opaque", purpose);
        self.argv.pair("-add-fd", opts);
        format!("/dev/fdset/{number}")
    }

    /// Whether the machine is so old that sizes of nodes stand in `-numa` itself.
    pub(crate) fn legacy_numa(&self) -> bool {
        Accel::of_domain_type(self.domain.kind.as_str())
            .and_then(|accel| self.caps.machine(accel, crate::machine::machine(self.domain)))
            .is_some_and(|machine| machine.numa_mem)
    }

    /// Whether KVM runs the guest.
    pub(crate) fn kvm(&self) -> bool {
        self.domain.kind == DomainType::Kvm
    }
}
