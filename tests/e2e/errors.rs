// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a user can cause is answered with what went wrong and what to do, never with "internal error".

use std::os::unix::fs::PermissionsExt;

use virtus_tests::{Guest, Options, Outcome, Testbed};

use crate::{Case, Skip, contains, equal};

pub(crate) const CASES: &[Case] = &[
    ("a_missing_image", missing_image),
    ("an_image_that_qemus_user_cannot_read", unreadable_image),
    ("a_missing_qemu_binary", missing_binary),
    ("a_port_in_use", port_in_use),
    ("broken_xml", broken_xml),
    ("a_wrong_value", wrong_value),
    ("an_unknown_machine_type", unknown_machine),
    ("an_unknown_device_model", unknown_device),
    ("names_and_states_that_do_not_fit", names_and_states),
    ("an_image_that_qemu_refuses", refused_image),
];

/// Each of `parts` must be there, and the error must not be called internal.
fn helpful(bed: &Testbed, text: &str, parts: &[&str]) -> Outcome {
    if !bed.is_ours() {
        return Err(Skip("stock libvirtd's texts are its own".to_owned()).into());
    }
    for part in parts {
        contains(text, part)?;
    }
    equal(
        &format!("`internal error` in {text}"),
        text.to_lowercase().contains("internal error"),
        false,
    )
}

fn disk(image: &str, format: &str) -> String {
    format!(
        "<disk type='file'><driver name='qemu' type='{format}'/><source file='{image}'/>\
         <target dev='vda' bus='virtio'/></disk>"
    )
}

/// Defines the guest and answers why it does not start.
fn start_fails(bed: &Testbed, guest: &Guest) -> Outcome<String> {
    bed.define(guest)?;
    bed.virsh_fails(&format!("start {}", guest.name()))
}

fn missing_image() -> Outcome {
    let bed = Testbed::new()?;
    let image = bed.path("images/none.qcow2").display().to_string();
    let text = start_fails(&bed, &Guest::firmware("bare").device(&disk(&image, "qcow2")))?;
    helpful(&bed, &text, &["Failed to start domain 'bare'", &image, "No such file or directory"])
}

fn unreadable_image() -> Outcome {
    // Root may read anything, so QEMU must run as somebody else.
    let options = Options {
        qemu_conf: "user = \"nobody\"\ngroup = \"nogroup\"\ndynamic_ownership = 0\n".to_owned(),
        ..Options::default()
    };
    let bed = Testbed::with(&options)?;
    let closed = bed.path("closed");
    std::fs::create_dir(&closed)?;
    let image = bed.write("closed/disk.img", "x")?;
    std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o700))?;
    let text = start_fails(&bed, &Guest::firmware("barred").device(&disk(&image, "raw")))?;
    // Which file, which part of its path, and which user.
    helpful(&bed, &text, &[&image, "ermission", "nobody", &closed.display().to_string()])
}

fn missing_binary() -> Outcome {
    let bed = Testbed::new()?;
    let emulator = "/usr/bin/qemu-system-nowhere";
    let guest = Guest::firmware("engineless").device(&format!("<emulator>{emulator}</emulator>"));
    let file = bed.write("engineless.xml", &guest.xml())?;
    // Either the definition or the start may be what finds it out.
    let defined = bed.try_virsh(&format!("define {file}"))?;
    let text = if defined.ok() { bed.virsh_fails("start engineless")? } else { defined.err };
    helpful(&bed, &text, &[emulator])
}

fn port_in_use() -> Outcome {
    let bed = Testbed::new()?;
    let vnc = "<graphics type='vnc' port='5977' autoport='no' listen='127.0.0.1'/>";
    bed.define(&Guest::firmware("holder").device(vnc))?;
    bed.virsh("start holder")?;
    let text = start_fails(&bed, &Guest::firmware("late").device(vnc))?;
    helpful(&bed, &text, &["Failed to start domain 'late'", "5977"])
}

fn broken_xml() -> Outcome {
    let bed = Testbed::new()?;
    let file =
        bed.write("broken.xml", "<domain type='qemu'>\n  <name>broken</nam>\n</domain>\n")?;
    let text = bed.virsh_fails(&format!("define {file}"))?;
    helpful(&bed, &text, &["Failed to define domain from", "at line 2:"])?;
    let file = bed.write("cut.xml", "<domain type='qemu'>\n  <name>cut</name>\n")?;
    helpful(
        &bed,
        &bed.virsh_fails(&format!("define {file}"))?,
        &["at line 3:", "tag domain line 1"],
    )?;
    let file = bed.write("empty.xml", "<domain type='qemu'/>\n")?;
    helpful(&bed, &bed.virsh_fails(&format!("define {file}"))?, &["name"])
}

fn wrong_value() -> Outcome {
    let bed = Testbed::new()?;
    let xml = Guest::firmware("odd").xml().replace("<vcpu>1</vcpu>", "<vcpu>many</vcpu>");
    let file = bed.write("odd.xml", &xml)?;
    helpful(&bed, &bed.virsh_fails(&format!("define {file}"))?, &["vcpu", "many"])?;
    let xml = Guest::firmware("odd")
        .device("<disk type='file'><target dev='vda' bus='warp'/></disk>")
        .xml();
    let file = bed.write("odd.xml", &xml)?;
    helpful(&bed, &bed.virsh_fails(&format!("define {file}"))?, &["bus", "warp"])
}

fn unknown_machine() -> Outcome {
    let bed = Testbed::new()?;
    let xml = Guest::firmware("model").xml().replace("machine='q35'", "machine='q36'");
    let file = bed.write("model.xml", &xml)?;
    let defined = bed.try_virsh(&format!("define {file}"))?;
    let text = if defined.ok() { bed.virsh_fails("start model")? } else { defined.err };
    helpful(&bed, &text, &["q36"])
}

fn unknown_device() -> Outcome {
    let bed = Testbed::new()?;
    let guest = Guest::firmware("gadget")
        .device("<interface type='user'><model type='warpnet'/></interface>");
    let file = bed.write("gadget.xml", &guest.xml())?;
    let defined = bed.try_virsh(&format!("define {file}"))?;
    let text = if defined.ok() { bed.virsh_fails("start gadget")? } else { defined.err };
    helpful(&bed, &text, &["warpnet"])
}

fn names_and_states() -> Outcome {
    let bed = Testbed::new()?;
    contains(&bed.virsh_fails("start nobody")?, "failed to get domain 'nobody'")?;
    bed.define(&Guest::firmware("known"))?;
    contains(&bed.virsh_fails("suspend known")?, "domain is not running")?;
    contains(&bed.virsh_fails("destroy known")?, "domain is not running")?;
    contains(&bed.virsh_fails("shutdown known")?, "domain is not running")?;
    bed.virsh("start known")?;
    contains(&bed.virsh_fails("start known")?, "Domain is already active")?;
    let twin = Guest::firmware("known").head("<uuid>7e57ab1e-0000-4000-8000-000000000002</uuid>");
    let file = bed.write("twin.xml", &twin.xml())?;
    let text = bed.virsh_fails(&format!("define {file}"))?;
    contains(&text, "domain 'known' already exists with uuid")
}

fn refused_image() -> Outcome {
    let bed = Testbed::new()?;
    let image = bed.write("text.qcow2", &"no image\n".repeat(200))?;
    let text = start_fails(&bed, &Guest::firmware("fooled").device(&disk(&image, "qcow2")))?;
    // QEMU's own words are the cause, not the whole of the answer.
    helpful(&bed, &text, &["Failed to start domain 'fooled'", "qcow2", "text.qcow2"])
}
