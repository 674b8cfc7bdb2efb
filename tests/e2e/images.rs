// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Chains of images: found before a start, shown in the live XML, refused with their cause.

use virtus_tests::{DEADLINE, Guest, Outcome, Testbed};

use crate::{Case, contains};

pub(crate) const CASES: &[Case] = &[
    ("a_chain_of_images", chain),
    ("a_chain_with_a_missing_image", missing),
    ("a_chain_that_bites_its_tail", loops),
    ("a_chain_whose_formats_are_not_stated", unstated),
];

/// A guest whose disk is the image `name`.
fn guest(bed: &Testbed, guest: Guest, name: &str) -> Guest {
    let image = bed.path(name);
    guest.device(&format!(
        "<disk type='file'><driver name='qemu' type='qcow2'/><source file='{}'/>\
         <target dev='vda' bus='virtio'/></disk>",
        image.display()
    ))
}

/// Makes `name` on top of `base`, which need not be there.
fn overlay(bed: &Testbed, name: &str, base: &str, format: &str) -> Outcome {
    let image = bed.path(name).display().to_string();
    let words = ["create", "-q", "-u", "-f", "qcow2", "-b", base, "-F", format, &image, "64M"];
    bed.run("qemu-img", &words).map(drop)
}

fn chain() -> Outcome {
    let bed = Testbed::new()?;
    let base = bed.path("base.raw").display().to_string();
    bed.run("qemu-img", &["create", "-q", "-f", "raw", &base, "64M"])?;
    overlay(&bed, "middle.qcow2", "base.raw", "raw")?;
    overlay(&bed, "top.qcow2", "middle.qcow2", "qcow2")?;
    bed.define(&guest(&bed, Guest::linux("layers")?, "top.qcow2"))?;
    bed.virsh("start layers")?;
    let mut console = bed.terminal("console layers")?;
    console.expect("virtus-guest: disk vda 131072 sectors", DEADLINE)?;
    let xml = bed.virsh("dumpxml layers")?;
    for part in [
        "<backingStore type='file' index='2'>",
        "middle.qcow2'/>",
        "<backingStore type='file' index='3'>",
        "<format type='raw'/>",
        "base.raw'/>",
        "<backingStore/>",
    ] {
        contains(&xml, part)?;
    }
    contains(&bed.virsh("domblkinfo layers vda")?, "Capacity:       67108864")?;
    bed.virsh("destroy layers").map(drop)
}

/// Why the guest whose disk is `name` does not start.
fn refusal(bed: &Testbed, name: &str) -> Outcome<String> {
    bed.define(&guest(bed, Guest::firmware("broken"), name))?;
    bed.virsh_fails("start broken")
}

fn missing() -> Outcome {
    let bed = Testbed::new()?;
    overlay(&bed, "top.qcow2", "gone.qcow2", "qcow2")?;
    let text = refusal(&bed, "top.qcow2")?;
    contains(&text, &format!("Cannot access backing file '{}'", bed.path("gone.qcow2").display()))?;
    contains(&text, "No such file or directory")
}

fn loops() -> Outcome {
    let bed = Testbed::new()?;
    overlay(&bed, "one.qcow2", "two.qcow2", "qcow2")?;
    overlay(&bed, "two.qcow2", "one.qcow2", "qcow2")?;
    contains(&refusal(&bed, "one.qcow2")?, "is self-referential or too deeply nested")
}

fn unstated() -> Outcome {
    let bed = Testbed::new()?;
    overlay(&bed, "middle.qcow2", "base.raw", "raw")?;
    // qemu-img no longer makes an image that does not state the format below, but they are about.
    let image = bed.path("top.qcow2").display().to_string();
    overlay(&bed, "top.qcow2", "middle.qcow2", "qcow2")?;
    let mut bytes = std::fs::read(&image)?;
    let mark = bytes.windows(4).position(|four| four == [0xe2, 0x79, 0x2a, 0xca]);
    let mark = mark.ok_or("the image does not state the format below it")?;
    bytes[mark] = 0x11;
    std::fs::write(&image, bytes)?;
    let text = refusal(&bed, "top.qcow2")?;
    contains(&text, "format of backing image 'middle.qcow2' of image")?;
    contains(&text, "was not specified in the image metadata")
}
