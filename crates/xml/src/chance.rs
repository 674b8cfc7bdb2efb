// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What only chance can choose: the UUIDs and MAC addresses of objects that were defined without.

use uuid::Uuid;

use crate::value::Mac;

/// A source of random bytes. It is given, so that tests can foretell what it chooses.
pub struct Chance<'a>(pub &'a mut dyn FnMut(&mut [u8]));

impl Chance<'_> {
    /// A random UUID (version 4).
    pub fn uuid(&mut self) -> Uuid {
        let mut bytes = [0; 16];
        (self.0)(&mut bytes);
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        Uuid::from_bytes(bytes)
    }

    /// A MAC address that begins with `prefix`; takes three calls with one byte each, as libvirt does.
    pub fn mac(&mut self, prefix: [u8; 3]) -> Mac {
        let [a, b, c] = prefix;
        let mut mac = [a, b, c, 0, 0, 0];
        for byte in &mut mac[3..] {
            (self.0)(std::slice::from_mut(byte));
        }
        Mac(mac)
    }

    /// A world wide name of 64 bits that belongs to the maker `oui`.
    pub fn world_wide_name(&mut self, [a, b, c]: [u8; 3]) -> String {
        let mut bytes = [0; 8];
        (self.0)(&mut bytes);
        let serial = u64::from_le_bytes(bytes) & 0xf_ffff_ffff;
        format!("5{a:02x}{b:02x}{c:02x}{serial:09x}")
    }
}
