// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Strings as they stand in images.

use virtus_xml::domain::storage::Protocol;

use super::*;

fn xml(text: &str) -> String {
    Location::parse(text).unwrap().format().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_colon_behind_a_slash_is_part_of_a_path() {
    assert_eq!(xml("./a:b"), "<source file='./a:b'/>");
    assert!(Location::parse("a:b").is_err());
}

#[test]
fn relative_paths_begin_beside_the_image() {
    let top = Location::file("/images/top.qcow2");
    assert_eq!(top.below("../base").unwrap().name(), "/images/../base");
    assert_eq!(top.below("/base").unwrap().name(), "/base");
    assert_eq!(Location::file("/top").below("base").unwrap().name(), "/base");
    let remote = Location::parse("gluster://host/vol/dir/top").unwrap();
    let below = remote.below("base").unwrap();
    assert_eq!((below.name(), below.source.protocol), ("vol/dir/base", Some(Protocol::Gluster)));
}

#[test]
fn older_strings_are_read() {
    assert_eq!(
        xml(r"rbd:pool/image@snap:conf=/etc/a\:b:mon_host=one\:6321\;[\:\:1]\:6322\;three"),
        "<source protocol='rbd' name='pool/image'> <host name='one' port='6321'/> \
         <host name='::1' port='6322'/> <host name='three'/> <snapshot name='snap'/> \
         <config file='/etc/a:b'/> </source>"
    );
    assert!(Location::parse("nbd:host").is_err());
    assert!(Location::parse("nbd:unix:").is_err());
    assert!(Location::parse("sheepdog:disk").is_err());
}

#[test]
fn credentials_are_dropped_and_told() {
    assert!(Location::parse("iscsi://user@host/iqn.x/1").unwrap().credentials);
    assert!(!Location::parse("https://host/file").unwrap().credentials);
}
