// SPDX-License-Identifier: Apache-2.0 OR MIT
//! USB devices of this host: by what they are and by where they are plugged in.

use std::fs;
use std::path::{Path, PathBuf};

use virtus_api::{Error, ErrorCode, Result};

/// Where the kernel lists them.
const DEVICES: &str = "/sys/bus/usb/devices";

/// A USB device that is plugged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsbDevice {
    /// The bus that it is on.
    pub bus: u32,
    /// Its number there; another one when it is plugged in again.
    pub device: u32,
    /// Who made it.
    pub vendor: u32,
    /// What it is.
    pub product: u32,
}

impl UsbDevice {
    /// The only device of this kind.
    ///
    /// # Errors
    /// `VIR_ERR_OPERATION_FAILED` where there is none or more than one.
    pub fn find(vendor: u32, product: u32) -> Result<Self> {
        the_only(all(Path::new(DEVICES)), vendor, product)
    }
}

fn the_only(devices: Vec<UsbDevice>, vendor: u32, product: u32) -> Result<UsbDevice> {
    let alike = |one: &UsbDevice| (one.vendor, one.product) == (vendor, product);
    let mut found = devices.into_iter().filter(alike);
    let failed = |text: String| Error::new(ErrorCode::OperationFailed, text);
    let kind = format!("{vendor:04x}:{product:04x}");
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(failed(format!("Did not find USB device {kind}"))
            .hint("see what is plugged in with 'lsusb'")),
        (Some(_), Some(_)) => {
            Err(failed(format!("Multiple USB devices for {kind}, use <address> to specify one")))
        }
    }
}

/// What is listed; interfaces of devices stand there too, and have no such numbers.
fn all(folder: &Path) -> Vec<UsbDevice> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let device = |folder: PathBuf| {
        let number = |file: &str, radix| {
            let text = fs::read_to_string(folder.join(file)).ok()?;
            u32::from_str_radix(text.trim(), radix).ok()
        };
        Some(UsbDevice {
            bus: number("busnum", 10)?,
            device: number("devnum", 10)?,
            vendor: number("idVendor", 16)?,
            product: number("idProduct", 16)?,
        })
    };
    entries.flatten().filter_map(|entry| device(entry.path())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_found_where_there_is_one_of_its_kind() {
        let plugged = |(bus, device, product)| UsbDevice { bus, device, vendor: 0x46d, product };
        let all: Vec<_> = [(1, 2, 1), (1, 9, 1), (2, 3, 0xc31c)].map(plugged).into();
        let found = the_only(all.clone(), 0x46d, 0xc31c).unwrap();
        assert_eq!((found.bus, found.device), (2, 3));
        let error = the_only(all.clone(), 0x46d, 1).unwrap_err();
        assert!(error.text().contains("Multiple USB devices for 046d:0001"), "{error}");
        assert!(the_only(all, 1, 1).unwrap_err().text().contains("0001:0001"));
    }
}
