// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Values that are narrower than the Rust type of their field: what only the schema knows of names and paths.
//!
//! The reader is generous where libvirt's own reader is; the schema is as strict as libvirt's grammar.

use std::sync::LazyLock;

use regex_lite::Regex;

use super::{Data, Described, Kind};
use crate::value::Allowed;

/// Types without values, each for the texts that match its pattern.
macro_rules! patterns {
    ($($(#[$meta:meta])* $name:ident $pattern:literal $allowed:literal;)*) => {$(
        $(#[$meta])*
        #[derive(Debug)]
        pub struct $name;

        impl Described for $name {
            const KIND: Kind = Kind {
                allowed: Allowed::A($allowed),
                data: Data::Pattern($pattern),
                accepts: |text| {
                    static WHOLE: LazyLock<Option<Regex>> =
                        LazyLock::new(|| Regex::new(concat!("^(?:", $pattern, ")$")).ok());
                    WHOLE.as_ref().is_some_and(|whole| whole.is_match(text))
                },
            };
        }
    )*};
}

/// The same for lists of words.
macro_rules! words {
    ($($(#[$meta:meta])* $name:ident [$($word:literal)*];)*) => {$(
        $(#[$meta])*
        #[derive(Debug)]
        pub struct $name;

        impl Described for $name {
            const KIND: Kind = Kind {
                allowed: Allowed::OneOf(&[$($word),*]),
                data: Data::Plain,
                accepts: |text| matches!(text.trim_ascii(), $($word)|*),
            };
        }
    )*};
}

words! {
    /// Versions of ARM's interrupt controller.
    GicVersion ["2" "3" "host"];
    /// Who is asked for the secret of a disk.
    DiskSecret ["ceph" "iscsi"];
    /// The secret of an encrypted image.
    ImageSecret ["passphrase"];
    /// What a mediated device is to the guest.
    MdevModel ["vfio-pci" "vfio-ccw" "vfio-ap"];
    /// What runs in the guest.
    OsName ["hvm" "xen" "xenpvh" "linux" "exe" "uml"];
    /// Processor architectures.
    Arch [
        "aarch64" "alpha" "armv6l" "armv7l" "cris" "i686" "ia64" "lm32" "loongarch64" "m68k" "microblaze"
        "microblazeel" "mips" "mipsel" "mips64" "mips64el" "openrisc" "parisc" "parisc64" "ppc" "ppc64" "ppc64le"
        "ppcemb" "riscv32" "riscv64" "s390" "s390x" "sh4" "sh4eb" "sparc" "sparc64" "unicore32" "x86_64" "xtensa"
        "xtensaeb"
    ];
}

words! {
    /// Models of SCSI controllers.
    ScsiModel [
        "auto" "buslogic" "lsilogic" "lsisas1068" "vmpvscsi" "ibmvscsi" "virtio-scsi" "lsisas1078"
        "virtio-transitional" "virtio-non-transitional" "ncr53c90" "dc390" "am53c974"
    ];
    /// Models of USB controllers.
    UsbModel [
        "piix3-uhci" "piix4-uhci" "ehci" "ich9-ehci1" "ich9-uhci1" "ich9-uhci2" "ich9-uhci3" "vt82c686b-uhci"
        "pci-ohci" "nec-xhci" "none" "qusb1" "qusb2" "qemu-xhci"
    ];
    /// Models of IDE controllers.
    IdeModel ["piix3" "piix4" "ich6"];
    /// What a PCI controller is to the guest.
    PciControllerModel [
        "pci-root" "pcie-root" "pci-bridge" "dmi-to-pci-bridge" "pcie-to-pci-bridge" "pcie-root-port"
        "pcie-switch-upstream-port" "pcie-switch-downstream-port" "pci-expander-bus" "pcie-expander-bus"
    ];
    /// What implements a PCI controller.
    PciModelName [
        "spapr-pci-host-bridge" "pci-bridge" "i82801b11-bridge" "pcie-pci-bridge" "ioh3420" "pcie-root-port"
        "x3130-upstream" "xio3130-downstream" "pxb" "pxb-pcie"
    ];
}

patterns! {
    /// The name of an object.
    ObjectName r"[^/\n]+" "a name without slash and line break";
    /// The same where slashes are allowed.
    Title r"[^\n]+" "one line of text";
    /// The name of a checkpoint.
    CheckpointName r"[a-zA-Z0-9_\-][a-zA-Z0-9_\-.]*" "letters, digits and any of _-., not beginning with a dot";
    /// A short name of letters, digits and a few signs.
    GenericName r"[a-zA-Z0-9_+\-]+" "letters, digits, '_', '+' and '-'";
    /// A device of the host or the guest.
    DeviceName r"[a-zA-Z0-9_.\-\\:/]+" "letters, digits and any of _.-\\:/";
    /// The name of a host.
    DnsName r"[a-zA-Z0-9.\-]+" "letters, digits, '.' and '-'";
    /// A path, perhaps relative.
    Path r"[^\n]+" "a path";
    /// A path from the root, or from a drive of Windows.
    AbsolutePath r"(/|[a-zA-Z]:\\).+" "an absolute path";
    /// A folder's path from the root.
    AbsoluteFolder r"/.*" "an absolute path of a folder";
    /// The name of a machine type.
    MachineName r"[a-zA-Z0-9_.\-]+" "letters, digits, '_', '.' and '-'";
    /// The name of a disk in the guest.
    DiskName r"(ioemu:)?(fd|hd|sd|vd|xvd|ubd)[a-zA-Z0-9_]+" "fd, hd, sd, vd, xvd or ubd, and a letter";
    /// The same, or the path of the disk's image.
    DiskNameOrPath r"(ioemu:)?(fd|hd|sd|vd|xvd|ubd)[a-zA-Z0-9_]+|(/|[a-zA-Z]:\\).+" "a disk of the guest, or the path of its image";
    /// Of which version an image must be understood.
    ImageVersion r"[0-9]+\.[0-9]+" "a version such as 1.1";
    /// The index of a field of vital product data.
    VpdIndex "[0-9A-Z]" "a digit or a capital letter";
    /// The name of a bridge of the host.
    BridgeName r"[a-zA-Z0-9_.\-\\:/ ]*" "letters, digits and any of _.-\\:/";
    /// The model of a card.
    CardModel r"[a-zA-Z0-9\-_]+" "letters, digits, '-' and '_'";
    /// A path on this host, or `[datastore] path` of VMware.
    ImagePath r"(/|[a-zA-Z]:\\).+|\[[^\]]+\] .+" "an absolute path";
    /// A block device's path, or its name.
    BlockPath r"(/|[a-zA-Z]:\\).+|[a-zA-Z0-9_.\-\\:/]+" "an absolute path or the name of a device";
    /// A volume of a pool.
    VolumeName r"[^/]+" "a name without slash";
    /// A positive number.
    Positive r"\s*0*[1-9][0-9]*\s*" "a number from 1";
    /// A number of bytes in a disk's serial number.
    Serial r"[A-Za-z0-9_.+\- ]+" "letters, digits, blanks and any of _.+-";
    /// What libvirt cuts a vendor's name to.
    ScsiVendor r"[ -~]{0,8}" "at most 8 printable characters";
    /// What libvirt cuts a product's name to.
    ScsiProduct r"[ -~]{0,40}" "at most 40 printable characters";
    /// The address of one card: its multicast bit is not set.
    UnicastMac r"[a-fA-F0-9][02468aAcCeE](:[a-fA-F0-9]{2}){5}" "a MAC address that is not multicast";
    /// Where an image is made.
    HostOrAddress r"[a-zA-Z0-9.\-]+|[0-9a-fA-F:.]+" "a host name or an IP address";
    /// The eight characters that an s390x firmware loads by.
    LoadParm r"[a-zA-Z0-9.\s]{1,8}" "at most 8 letters, digits, dots and blanks";
    /// An IPv4 address.
    Ipv4 r"(((25[0-5])|(2[0-4][0-9])|(1[0-9]{2})|([1-9][0-9])|([0-9]))\.){3}((25[0-5])|(2[0-4][0-9])|(1[0-9]{2})|([1-9][0-9])|([0-9]))" "an IPv4 address";
    /// A port, or -1 for one that is to be chosen.
    Port r"\s*(-1|0*[0-9]{1,4}|0*[1-5][0-9]{4}|0*6([0-4][0-9]{3}|5([0-4][0-9]{2}|5([0-2][0-9]|3[0-5]))))\s*" "a number from -1 to 65535";
    /// The unit of a size.
    Unit r"[bB]([yY][tT][eE][sS]?)?|[kKmMgGtTpPeE]([iI]?[bB])?" "b, bytes, KB, K, KiB, MB, M, MiB, GB, … EiB";
    /// A UUID, or nothing where one is to be made.
    MaybeUuid r"()|[a-fA-F0-9]{32}|[a-fA-F0-9]{8}-([a-fA-F0-9]{4}-){3}[a-fA-F0-9]{12}" "a UUID, or nothing";
    /// The domain of a PCI address.
    PciDomain r"(0x)?[0-9a-fA-F]{1,8}" "a number from 0 to 0xffffffff";
    /// The bus of a PCI address.
    PciBus r"0x[0-9a-fA-F]{1,2}|0*([0-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5])" "a number from 0 to 255, or 0x00 to 0xff";
    /// The slot of a PCI address.
    PciSlot r"(0x)?[0-1]?[0-9a-fA-F]|0*(2[0-9]|3[01])" "a number from 0x00 to 0x1f";
    /// The function of a PCI address.
    PciFunction r"(0x)?0*[0-7]" "a number from 0 to 7";
    /// A number of 16 bits.
    Uint16 r"(0x)?[0-9a-fA-F]{1,4}|0*[0-9]{5}" "a number from 0 to 0xffff";
    /// A number of 24 bits.
    Uint24 r"0x[0-9a-fA-F]{1,6}|[0-9]{1,8}" "a number from 0 to 0xffffff";
    /// A number of 32 bits.
    Uint32 r"(0x)?[0-9a-fA-F]{1,8}|[0-9]{1,10}" "a number from 0 to 0xffffffff";
    /// The world wide name of a port or a disk.
    Wwn r"(0x)?[0-9a-fA-F]{16}" "16 hexadecimal digits";
}
