// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The small devices: watchdog, balloon, rng, panic, shmem, iommu, vsock, crypto, pstore, NVRAM, lease.

use super::chardev::{ChardevBackend, ChardevType};
use super::device::{Device, VirtioDriver};
use super::disk::VirtioModel;
use crate::units::Kib;
use crate::value::{OnOff, YesNo};

element! {
    /// `<watchdog>`.
    pub struct Watchdog {
        required model: WatchdogModel = "model",
        attr action: WatchdogAction = "action",
        part info: Device
    }
}

spellings! {
    /// Which watchdog the guest sees.
    pub enum WatchdogModel { I6300esb = "i6300esb", Ib700 = "ib700", Diag288 = "diag288", Itco = "itco" }
}

spellings! {
    /// What happens when the guest no longer feeds it.
    pub enum WatchdogAction {
        Reset = "reset", Shutdown = "shutdown", Poweroff = "poweroff", Pause = "pause", None = "none",
        Dump = "dump", InjectNmi = "inject-nmi",
    }
}

element! {
    /// `<memballoon>`.
    pub struct Memballoon {
        required model: BalloonModel = "model",
        attr autodeflate: Option<OnOff> = "autodeflate",
        attr free_page_reporting: Option<OnOff> = "freePageReporting",
        child stats: Option<BalloonStats> = "stats",
        part info: Device,
        child driver: Option<VirtioDriver> = "driver"
    }
}

spellings! {
    /// Which balloon the guest sees.
    pub enum BalloonModel {
        Virtio = "virtio", Xen = "xen", None = "none", VirtioTransitional = "virtio-transitional",
        VirtioNonTransitional = "virtio-non-transitional",
    }
}

element! {
    /// `<stats period='10'/>`: how often the guest reports, in seconds.
    pub struct BalloonStats { required period: u32 = "period" }
}

element! {
    /// `<rng>`.
    pub struct Rng {
        required model: VirtioModel = "model",
        child rate: Option<RngRate> = "rate",
        custom backend: Option<RngBackend> = "backend",
        child driver: Option<VirtioDriver> = "driver",
        part info: Device
    }
    schema {
        one RngBackend = "backend"
    }
}

impl Rng {
    /// Writes the back end: with an end tag where it is a character device.
    fn backend(&self, tag: &str, out: &mut crate::writer::Writer) {
        if self.backend.as_ref().is_some_and(|backend| backend.kind.is_some()) {
            out.as_block();
        }
        crate::slot::ChildSlot::write(&self.backend, tag, out);
    }
}

element! {
    /// `<rate>`: at most so many bytes in so many milliseconds.
    pub struct RngRate {
        attr bytes: u32 = "bytes",
        attr period: Option<u32> = "period"
    }
    schema {
        required u32 = "bytes"
    }
}

element! {
    /// `<backend>` of a random number generator.
    pub struct RngBackend {
        required model: RngModel = "model",
        attr kind: Option<ChardevType> = "type",
        part chardev: ChardevBackend,
        text path: Option<String>
    }
}

spellings! {
    /// Where randomness comes from.
    pub enum RngModel { Random = "random", Egd = "egd", Builtin = "builtin" }
}

element! {
    /// `<panic>`: how a guest reports its crash.
    pub struct Panic {
        attr model: Option<PanicModel> = "model",
        part info: Device
    }
}

spellings! {
    /// Which device it is.
    pub enum PanicModel {
        Isa = "isa", Pseries = "pseries", Hyperv = "hyperv", S390 = "s390", Pvpanic = "pvpanic",
    }
}

element! {
    /// `<shmem>`: memory shared between guests.
    pub struct Shmem {
        required name: String = "name",
        attr role: Option<ShmemRole> = "role",
        child model: Option<ShmemModel> = "model",
        child size: Option<ShmemSize> = "size",
        child server: Option<ShmemServer> = "server",
        child msi: Option<ShmemMsi> = "msi",
        part info: Device
    }
}

spellings! {
    /// Who owns the memory when a guest migrates.
    pub enum ShmemRole { Master = "master", Peer = "peer" }
}

element! {
    /// `<model type='ivshmem-plain'/>`.
    pub struct ShmemModel { required kind: ShmemModelType = "type" }
}

spellings! {
    /// Which device the guest sees.
    pub enum ShmemModelType {
        Ivshmem = "ivshmem", IvshmemPlain = "ivshmem-plain", IvshmemDoorbell = "ivshmem-doorbell",
    }
}

/// `<size unit='M'>`: MiB, in libvirt's one-letter unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ShmemSize {
    pub bytes: u64,
}

impl crate::reader::Element for ShmemSize {
    const SHAPE: &'static crate::schema::Shape = <Kib as crate::reader::Element>::SHAPE;
    fn read(node: crate::reader::Node<'_>) -> virtus_api::Result<Self> {
        crate::units::scaled(node, 1).map(|bytes| Self { bytes })
    }
    fn write(&self, tag: &str, out: &mut crate::writer::Writer) {
        out.start(tag);
        out.attr_text("unit", "M");
        out.text(&(self.bytes >> 20));
        out.end(tag);
    }
}

element! {
    /// `<server path='…'/>`.
    pub struct ShmemServer { attr path: Option<String> = "path" }
}

element! {
    /// `<msi>`.
    pub struct ShmemMsi {
        attr vectors: Option<u32> = "vectors",
        attr ioeventfd: Option<OnOff> = "ioeventfd"
    }
}

element! {
    /// `<iommu>`.
    pub struct Iommu {
        required model: IommuModel = "model",
        child driver: Option<IommuDriver> = "driver",
        part info: Device
    }
}

spellings! {
    /// Which IOMMU the guest sees.
    pub enum IommuModel { Intel = "intel", Smmuv3 = "smmuv3", Virtio = "virtio" }
}

element! {
    /// `<driver>` of an IOMMU.
    pub struct IommuDriver {
        attr intremap: Option<OnOff> = "intremap",
        attr caching_mode: Option<OnOff> = "caching_mode",
        attr eim: Option<OnOff> = "eim",
        attr iotlb: Option<OnOff> = "iotlb",
        attr aw_bits: Option<u32> = "aw_bits",
        attr dma_translation: Option<OnOff> = "dma_translation"
    }
}

element! {
    /// `<vsock>`.
    pub struct Vsock {
        attr model: Option<VirtioModel> = "model",
        child cid: Option<Cid> = "cid",
        part info: Device,
        child driver: Option<VirtioDriver> = "driver"
    }
}

element! {
    /// `<cid>`: the guest's number on the vsock.
    pub struct Cid {
        attr auto: Option<YesNo> = "auto",
        attr address: Option<u32> = "address"
    }
}

element! {
    /// `<crypto>`.
    pub struct Crypto {
        required model: CryptoModel = "model",
        required kind: CryptoType = "type",
        child backend: Option<CryptoBackend> = "backend",
        child driver: Option<VirtioDriver> = "driver",
        part info: Device
    }
}

spellings! {
    /// Which device the guest sees.
    pub enum CryptoModel { Virtio = "virtio" }
}

spellings! {
    /// Who computes.
    pub enum CryptoType { Qemu = "qemu" }
}

element! {
    /// `<backend>` of a crypto device.
    pub struct CryptoBackend {
        required model: CryptoBackendModel = "model",
        attr queues: Option<u32> = "queues"
    }
}

spellings! {
    /// How it computes.
    pub enum CryptoBackendModel { Builtin = "builtin", Lkcf = "lkcf" }
}

element! {
    /// `<pstore>`: where a guest keeps its last words.
    pub struct Pstore {
        required backend: PstoreBackend = "backend",
        leaf path: Option<String> = "path",
        child size: Option<Kib> = "size",
        part info: Device
    }
}

spellings! {
    /// How the guest reaches it.
    pub enum PstoreBackend { AcpiErst = "acpi-erst" }
}

element! {
    /// `<nvram>` among the devices: the NVRAM chip of a pseries machine.
    pub struct NvramDevice { part info: Device }
}

element! {
    /// `<lease>`: a lock in a lock space.
    pub struct Lease {
        leaf lockspace: Option<String> = "lockspace",
        leaf key: Option<String> = "key",
        child target: Option<LeaseTarget> = "target"
    }
}

element! {
    /// `<target>` of a lease.
    pub struct LeaseTarget {
        required path: String = "path",
        attr offset: Option<u64> = "offset"
    }
}
