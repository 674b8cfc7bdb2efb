// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which devices there are, on which buses and of which models. The order of words is libvirt's.

use virtus_xml::domain_capabilities::{DeviceFacilities, Facility};

use super::{Asked, Host, facility, variants};
use crate::caps::Flag;
use crate::machine;

pub(super) fn devices(asked: &Asked<'_>, host: &Host) -> DeviceFacilities {
    let crypto_models = asked.known(&[("virtio", Flag::VirtioCrypto)]);
    let mut crypto_backends = vec!["builtin"];
    crypto_backends.extend(asked.known(&[("lkcf", Flag::CryptodevBackendLkcf)]));
    let mut filesystems = vec!["path", "handle"];
    filesystems.extend(asked.known(&[("virtiofs", Flag::VhostUserFs)]));
    let mut channels = vec!["pty", "unix"];
    channels.extend(asked.known(&[("spicevmc", Flag::Spice)]));
    let mut backends = vec!["default"];
    backends.extend(asked.known(&[("passt", Flag::NetdevStream)]));
    DeviceFacilities {
        disk: Some(disk(asked)),
        graphics: Some(
            Facility::yes().with(
                "type",
                asked
                    .known(&[("sdl", Flag::Sdl), ("vnc", Flag::Vnc)])
                    .into_iter()
                    .chain(host.rdp.then_some("rdp").filter(|_| asked.has(Flag::DisplayDbus)))
                    .chain(asked.known(&[
                        ("spice", Flag::Spice),
                        ("egl-headless", Flag::EglHeadless),
                        ("dbus", Flag::DisplayDbus),
                    ])),
            ),
        ),
        video: Some(Facility::yes().with("modelType", videos(asked))),
        hostdev: Some(hostdev(asked, host)),
        rng: Some(Facility::yes().with("model", virtio(asked, Flag::VirtioRng)).with(
            "backendModel",
            asked.known(&[
                ("random", Flag::RngRandom),
                ("egd", Flag::RngEgd),
                ("builtin", Flag::RngBuiltin),
            ]),
        )),
        filesystem: Some(Facility::yes().with("driverType", filesystems)),
        tpm: Some(tpm(asked, host)),
        redirdev: Some(variants("bus", asked.known(&[("usb", Flag::UsbRedir)]))),
        channel: Some(Facility::yes().with("type", channels)),
        crypto: Some(
            Facility::yes()
                .with("model", crypto_models)
                .with("type", ["qemu"])
                .with("backendModel", crypto_backends),
        ),
        interface: Some(Facility::yes().with("backendType", backends)),
        panic: Some(panic(asked)),
    }
}

/// The three ways in which a PCI device of virtio can show itself.
fn virtio(asked: &Asked<'_>, device: Flag) -> Vec<&'static str> {
    let mut models = Vec::new();
    if asked.has(device) {
        models.push("virtio");
        if asked.has(Flag::VirtioPciNonTransitional) || asked.has(Flag::VirtioPciDisableLegacy) {
            models.extend(["virtio-transitional", "virtio-non-transitional"]);
        }
    }
    models
}

fn disk(asked: &Asked<'_>) -> Facility {
    let floppy = !machine::is_pseries(&asked.guest);
    let mut kinds = vec!["disk", "cdrom", "lun"];
    let mut buses = Vec::new();
    if machine::has_builtin_ide(&asked.guest) {
        buses.push("ide");
    }
    if floppy {
        kinds.insert(2, "floppy");
        buses.push("fdc");
    }
    buses.extend(["scsi", "virtio"]);
    buses.extend(asked.known(&[("usb", Flag::UsbStorage), ("sata", Flag::Ich9Ahci)]));
    let mut models = vec!["virtio"];
    if asked.has(Flag::VirtioPciNonTransitional) || asked.has(Flag::VirtioPciDisableLegacy) {
        models.extend(["virtio-transitional", "virtio-non-transitional"]);
    }
    Facility::yes().with("diskDevice", kinds).with("bus", buses).with("model", models)
}

fn videos(asked: &Asked<'_>) -> Vec<&'static str> {
    let mut models = asked.known(&[
        ("vga", Flag::VGA),
        ("cirrus", Flag::CirrusVga),
        ("vmvga", Flag::VmwareSvga),
        ("qxl", Flag::Qxl),
        ("virtio", Flag::VirtioGpu),
    ]);
    models.push("none");
    models.extend(asked.known(&[("bochs", Flag::BochsDisplay), ("ramfb", Flag::Ramfb)]));
    models
}

fn hostdev(asked: &Asked<'_>, host: &Host) -> Facility {
    let usb = [
        Flag::Piix3UsbUhci,
        Flag::Piix4UsbUhci,
        Flag::UsbEhci,
        Flag::Ich9UsbEhci1,
        Flag::NecUsbXhci,
        Flag::QemuXhci,
    ];
    let usb = usb.into_iter().any(|flag| asked.has(flag));
    let kinds = usb.then_some("usb").into_iter().chain(["pci", "scsi"]);
    let backends = if host.vfio { &["default", "vfio"][..] } else { &[] };
    Facility::yes()
        .with("mode", ["subsystem"])
        .with("startupPolicy", ["default", "mandatory", "requisite", "optional"])
        .with("subsysType", kinds)
        .with("capsType", [""; 0])
        .with("pciBackend", backends)
}

fn tpm(asked: &Asked<'_>, host: &Host) -> Facility {
    let models = asked.known(&[
        ("tpm-tis", Flag::TpmTis),
        ("tpm-crb", Flag::TpmCrb),
        ("tpm-spapr", Flag::TpmSpapr),
        ("spapr-tpm-proxy", Flag::SpaprTpmProxy),
    ]);
    if models.is_empty() {
        return facility(false);
    }
    let emulator = asked.has(Flag::TpmEmulator);
    let mut backends = asked.known(&[("passthrough", Flag::TpmPassthrough)]);
    backends.extend(Some("emulator").filter(|_| emulator && !host.tpm_versions.is_empty()));
    backends.extend(Some("external").filter(|_| emulator));
    let versions = if emulator { host.tpm_versions.as_slice() } else { &[] };
    Facility::yes()
        .with("model", models)
        .with("backendModel", backends)
        .with("backendVersion", versions)
}

fn panic(asked: &Asked<'_>) -> Facility {
    let guest = &asked.guest;
    let models = [
        ("isa", asked.has(Flag::Pvpanic)),
        ("pseries", machine::is_pseries(guest)),
        ("hyperv", machine::is_x86(guest)),
        ("s390", machine::is_s390(guest)),
        ("pvpanic", asked.has(Flag::PvpanicPci)),
    ];
    variants("model", models.into_iter().filter(|model| model.1).map(|model| model.0).collect())
}
