// SPDX-License-Identifier: Apache-2.0 OR MIT
//! From a definition to the command line that libvirt would run: pure, no I/O.
//!
//! The way of a start:
//! 1. [`crate::complete::complete`] has filled in defaults and addresses (when the guest was defined).
//! 2. [`live`] gives the copy that is to run its aliases and numbers its images. The driver has put in what only
//!    it knows: backing chains (`<backingStore/>` ends one), ports of graphics, paths of sockets.
//! 3. [`descriptors`] lists what the launcher opens; their numbers in QEMU go into [`Context::fds`].
//! 4. [`command_line`] writes the words.
//!
//! The launcher opens and hands over: the monitor's listening socket, taps and `/dev/vhost-net`, the listening
//! sockets of `<… type='unix' mode='bind'>`, the files of `type='file'` and of `<log>` (numbered as fd sets in the
//! order of the options), `/dev/vhost-vsock`, TPMs of the host. I/O limits of disks, link states, passwords and
//! balloon statistics are no options: the driver sets them over QMP before the guest runs. The file of the master
//! key, 32 random bytes, lies in [`Context::domain_dir`].
//!
//! One file per device family; each has a pure function from the typed element to the properties that `-device`
//! takes, which are also what `device_add` takes. What no plan is made for is refused by name, never ignored.

mod argv;
pub mod block;
mod boot;
mod chardev;
mod clock_time;
mod context;
mod controller;
mod cpu_option;
mod descriptors;
mod device;
pub(crate) mod disk;
mod filesystem;
mod firmware;
mod graphics;
mod head;
mod hostdev;
pub(crate) mod line;
mod live;
mod memory;
mod memory_device;
mod memory_lock;
mod misc;
pub(crate) mod net;
mod numa;
mod passthrough;
mod serial;
mod smbios;
mod sound;
mod storage;
mod tpm;
mod video;
pub mod volume;

use virtus_api::Result;
use virtus_xml::Domain;

pub use argv::Props;
pub use context::{
    Config, Context, Dirs, FdGroup, FdKey, HugePages, NbdkitServer, Sealed, short_name,
};
pub use descriptors::{Descriptor, What, descriptors};
pub(crate) use head::no_accelerator;
use line::Line;
pub(crate) use live::{highest_number, number_disk, number_images};
pub use memory_lock::{UNLIMITED, memory_lock_limit};
pub(crate) use net::is_virtio as is_virtio_net;
pub(crate) use storage::has_medium;

use crate::caps::{Capabilities, Flag};
use crate::cpu::{self, Cpus};

/// What is to be executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    /// The binary.
    pub program: String,
    /// The words after it.
    pub args: Vec<String>,
    /// Variables that are set, besides `LC_ALL`, `PATH`, `USER` and `LOGNAME`, which are passed on.
    pub env: Vec<(String, Option<String>)>,
}

/// Gives aliases and image numbers to the definition that is about to run, and makes its CPU concrete.
pub fn live(domain: &mut Domain, caps: &Capabilities, cpus: &Cpus) -> Result<()> {
    cpu::settle(domain, caps, cpus)?;
    live::assign(domain)
}

/// The command line of a live definition.
pub fn command_line(domain: &Domain, caps: &Capabilities, cx: &Context) -> Result<CommandLine> {
    let mut line = Line::new(domain, caps, cx);
    head::name(&mut line);
    passthrough::compat(&mut line);
    head::secrets(&mut line);
    firmware::blockdevs(&mut line)?;
    head::machine_options(&mut line)?;
    head::accel(&mut line)?;
    passthrough::tseg(&mut line);
    cpu_option::write(&mut line)?;
    head::rom_firmware(&mut line);
    firmware::secure(&mut line);
    memory::write(&mut line)?;
    memory::overcommit(&mut line);
    head::smp(&mut line);
    misc::iothreads(&mut line);
    passthrough::throttle_groups(&mut line);
    numa::write(&mut line)?;
    passthrough::uuid(&mut line);
    smbios::write(&mut line)?;
    misc::genid(&mut line);
    passthrough::no_display(&mut line);
    line.argv.flag("-no-user-config");
    line.argv.flag("-nodefaults");
    head::monitor(&mut line)?;
    head::clock(&mut line)?;
    head::power(&mut line);
    head::boot(&mut line);
    passthrough::acpi_tables(&mut line);
    misc::iommu(&mut line)?;
    controller::write(&mut line)?;
    memory_device::write(&mut line)?;
    controller::hubs(&mut line)?;
    controller::card_readers(&mut line)?;
    let boot = line.boot.clone();
    disk::write(&mut line, &boot)?;
    filesystem::write(&mut line)?;
    net::write(&mut line)?;
    serial::smartcards(&mut line)?;
    serial::serials(&mut line)?;
    serial::parallels(&mut line)?;
    serial::channels(&mut line)?;
    serial::consoles(&mut line)?;
    tpm::write(&mut line)?;
    misc::inputs(&mut line)?;
    sound::audios(&mut line);
    graphics::write(&mut line)?;
    video::write(&mut line)?;
    sound::sounds(&mut line)?;
    misc::watchdogs(&mut line)?;
    serial::redirections(&mut line)?;
    hostdev::write(&mut line)?;
    passthrough::incoming(&mut line);
    misc::balloon(&mut line)?;
    misc::rngs(&mut line)?;
    passthrough::nvram(&mut line);
    misc::vmcoreinfo(&mut line)?;
    passthrough::launch_security(&mut line)?;
    passthrough::words(&mut line);
    passthrough::sandbox(&mut line);
    misc::panics(&mut line)?;
    misc::shmems(&mut line)?;
    misc::vsock(&mut line)?;
    misc::cryptos(&mut line)?;
    misc::pstore(&mut line)?;
    passthrough::tail(&mut line);
    Ok(CommandLine {
        program: domain.devices.emulator.clone().unwrap_or_default(),
        env: passthrough::environment(&line),
        args: line.argv.into_words(),
    })
}

/// Whether the capabilities and the definition's own switches allow something.
pub(crate) fn effective(caps: &Capabilities, domain: &Domain) -> Capabilities {
    let mut caps = caps.clone();
    for name in &domain.qemu.capabilities_add {
        if let Some(flag) = Flag::from_name(name) {
            caps.flags.insert(flag);
        }
    }
    for name in &domain.qemu.capabilities_del {
        if let Some(flag) = Flag::from_name(name) {
            caps.flags.remove(flag);
        }
    }
    caps
}
