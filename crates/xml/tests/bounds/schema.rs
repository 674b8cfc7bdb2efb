// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Holding a document against its schema costs its length, whatever is in it.

use std::time::Duration;

use virtus_xml::schema::DOCUMENTS;
use virtus_xml::{Domain, ParseFlags};

use crate::effort::Effort;

#[test]
fn checking_any_document_is_bounded() {
    let floods = [
        "<x/>".repeat(100_000),
        "<name>a</name>".repeat(100_000),
        format!("<name>{}</name>", "9".repeat(1 << 20)),
        "<name>".repeat(100_000),
        "<!-- -->".repeat(100_000),
        format!("<x {}/>", "a='b' ".repeat(10_000)),
        "<!DOCTYPE a [<!ENTITY b 'c'>]>&b;".to_owned(),
        "a\0b".to_owned(),
    ];
    for document in DOCUMENTS {
        let root = document.root;
        for flood in &floods {
            let start = Effort::begin();
            let refused = document.validate(&format!("<{root}>{flood}</{root}>")).is_err();
            // A comment says nothing, and some kinds of objects may have a name of any length.
            let harmless = flood.starts_with("<!-- ") || flood.starts_with("<name>9");
            assert!(refused || harmless, "{root}");
            assert!(start.spent() < Duration::from_secs(5), "{root}: {:?}", start.spent());
        }
        assert!(document.grammar().contains(&format!("<element name='{root}'>")));
    }
}

#[test]
fn many_devices_cost_their_number() {
    let few = cost_of_disks(5_000);
    let many = cost_of_disks(20_000);
    // Four times as many cost four times as much; what looks at each for each would cost sixteen times as much.
    assert!(many < few * 9, "{few:?}, then {many:?}");
}

fn cost_of_disks(count: u32) -> Duration {
    let mut disks = String::new();
    for n in 0..count {
        let (bus, slot) = (n / 32 % 256, n % 32);
        disks.push_str(&format!(
            "<disk><target dev='vd{n}'/><address type='pci' bus='{bus}' slot='{slot}'/></disk>"
        ));
    }
    let text = format!(
        "<domain type='kvm'><name>g</name><memory>1</memory><os><type>hvm</type></os>\
         <devices>{disks}</devices></domain>"
    );
    let effort = Effort::begin();
    let _ = Domain::parse(&text, ParseFlags::INACTIVE | ParseFlags::VALIDATE);
    effort.spent()
}
