// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A guest without an operating system that counts aloud on its first serial line, so that a test sees whether a
//! line of it is lost.

use crate::{Guest, Outcome, Testbed};

/// What the BIOS starts. `ebx` counts; each line is its eight digits, `A` to `P`, from the highest on:
/// ```text
/// start: xor %ebx,%ebx              stop: hlt
/// line:  mov $8,%cx                       jmp stop
/// digit: rol $4,%ebx                put:  push %ax
///        mov %bl,%al                      mov $0x3fd,%dx
///        and $0xf,%al               wait: in %dx,%al
///        add $'A',%al                     test $0x20,%al
///        call put                         jz wait
///        loop digit                       pop %ax
///        mov $'\n',%al                    mov $0x3f8,%dx
///        call put                         out %al,%dx
///        inc %ebx                         ret
///        cmp $LINES,%ebx
///        jb line
/// ```
const PROGRAM: [u8; 55] = [
    0x66, 0x31, 0xdb, 0xb9, 0x08, 0x00, 0x66, 0xc1, 0xc3, 0x04, 0x88, 0xd8, 0x24, 0x0f, 0x04, 0x41,
    0xe8, 0x15, 0x00, 0xe2, 0xf1, 0xb0, 0x0a, 0xe8, 0x0e, 0x00, 0x66, 0x43, 0x66, 0x81, 0xfb, 0, 0,
    0, 0, 0x72, 0xde, 0xf4, 0xeb, 0xfd, 0x50, 0xba, 0xfd, 0x03, 0xec, 0xa8, 0x20, 0x74, 0xfb, 0x58,
    0xba, 0xf8, 0x03, 0xee, 0xc3,
];

/// Where the number of lines stands in it.
const LINES: std::ops::Range<usize> = 31..35;

/// A disk that a BIOS starts from.
const DISK: usize = 1 << 20;

impl Testbed {
    /// A guest that says `lines` numbers on the serial line that `serial` describes.
    pub fn counter(&self, name: &str, lines: u32, serial: &str) -> Outcome<Guest> {
        let mut disk = vec![0; DISK];
        disk[..PROGRAM.len()].copy_from_slice(&PROGRAM);
        disk[LINES].copy_from_slice(&lines.to_le_bytes());
        disk[510..512].copy_from_slice(&[0x55, 0xaa]);
        let image = self.path(&format!("{name}.img"));
        std::fs::write(&image, disk)?;
        let disk = format!(
            "<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{}'/>\
             <target dev='sda' bus='sata'/></disk>",
            image.display()
        );
        Ok(Guest::firmware(name).device(&disk).device(serial))
    }
}

/// All that a counter of so many lines says.
pub fn counted(lines: u32) -> String {
    let digit = |number: u32, at: u32| char::from(b'A' + ((number >> (4 * at)) & 0xf) as u8);
    let line = |number| (0..8).rev().map(move |at| digit(number, at)).chain(['\n']);
    (0..lines).flat_map(line).collect()
}
