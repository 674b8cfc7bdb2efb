// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a device can do, in the names and bits that lists are filtered by.

use virtus_api::ConnectListAllNodeDeviceFlags as Filter;
use virtus_xml::NodeDevice;
use virtus_xml::node_device::Capability;

/// Every name and its bit.
const BITS: [(&str, Filter); 24] = [
    ("system", Filter::CAP_SYSTEM),
    ("pci", Filter::CAP_PCI_DEV),
    ("usb_device", Filter::CAP_USB_DEV),
    ("usb", Filter::CAP_USB_INTERFACE),
    ("net", Filter::CAP_NET),
    ("scsi_host", Filter::CAP_SCSI_HOST),
    ("scsi_target", Filter::CAP_SCSI_TARGET),
    ("scsi", Filter::CAP_SCSI),
    ("storage", Filter::CAP_STORAGE),
    ("fc_host", Filter::CAP_FC_HOST),
    ("vports", Filter::CAP_VPORTS),
    ("scsi_generic", Filter::CAP_SCSI_GENERIC),
    ("drm", Filter::CAP_DRM),
    ("mdev_types", Filter::CAP_MDEV_TYPES),
    ("mdev", Filter::CAP_MDEV),
    ("ccw", Filter::CAP_CCW_DEV),
    ("css", Filter::CAP_CSS_DEV),
    ("vdpa", Filter::CAP_VDPA),
    ("ap_card", Filter::CAP_AP_CARD),
    ("ap_queue", Filter::CAP_AP_QUEUE),
    ("ap_matrix", Filter::CAP_AP_MATRIX),
    ("vpd", Filter::CAP_VPD),
    ("ccwgroup", Filter::CAP_CCWGROUP_DEV),
    ("ccwgroup_member", Filter::CAP_CCWGROUP_MEMBER),
];

/// The names of what a device can do: what it is, and what stands inside that.
pub(super) fn names(device: &NodeDevice) -> Vec<&'static str> {
    let mut names = Vec::new();
    for capability in &device.capabilities {
        names.push(capability.kind());
        let inside: &[(&'static str, bool)] = match capability {
            Capability::ScsiHost(host) => {
                &[("fc_host", host.fc_host.0.is_some()), ("vports", host.vports.0.is_some())]
            }
            Capability::Pci(pci) => {
                &[("mdev_types", pci.mdev_types.0.is_some()), ("vpd", pci.vpd.0.is_some())]
            }
            Capability::Css(css) => &[("mdev_types", css.mdev_types.0.is_some())],
            Capability::ApMatrix(matrix) => &[("mdev_types", matrix.mdev_types.0.is_some())],
            Capability::Ccw(ccw) => &[("ccwgroup_member", ccw.group.0.is_some())],
            _ => &[],
        };
        names.extend(inside.iter().filter(|(_, there)| *there).map(|(name, _)| *name));
    }
    names
}

/// The bits of a device's capabilities, each with whether the device has it.
pub(super) fn group(device: &NodeDevice) -> impl Iterator<Item = (u32, bool)> {
    let names = names(device);
    BITS.iter().map(move |(name, bit)| (bit.bits(), names.contains(name)))
}
