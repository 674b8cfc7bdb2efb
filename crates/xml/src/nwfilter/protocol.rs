// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The table of protocols: which fields of a packet a rule can compare, and with what. Reading, writing and the
//! schema follow from it.
//!
//! Invariant: attributes stand in the order in which libvirt writes them.

use super::kind::{Hex, Kind, Number};
use crate::ip::Family;
use crate::schema::{Attr, Often, Piece, Shape};
use crate::value::YesNo;

/// A field of a packet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Attribute {
    pub name: &'static str,
    pub kind: Kind,
    /// The attribute whose `match='no'` holds for this one too: a mask cannot be negated without its address.
    pub sign_of: Option<&'static str>,
}

/// Attributes that protocols share, and what the schema says of them.
#[derive(Debug, Clone, Copy)]
struct Group {
    attributes: &'static [Attribute],
    pieces: &'static [Piece],
}

/// Declares groups of attributes; `with` names the attribute whose sign counts.
macro_rules! attributes {
    ($($group:ident { $($name:literal: $kind:expr $(, with $leader:literal)?;)* })*) => {$(
        const $group: Group = Group {
            attributes: &[$(Attribute {
                name: $name,
                kind: $kind,
                sign_of: attributes!(leader $($leader)?),
            }),*],
            pieces: &[$({
                const KIND: Kind = $kind;
                Piece::Attr(Attr {
                    name: $name,
                    often: Often::Optional,
                    kind: KIND.described(|text| KIND.parse(text).is_some()),
                })
            }),*],
        };
    )*};
    (leader) => { None };
    (leader $leader:literal) => { Some($leader) };
}

/// Declares the protocols, by their groups.
macro_rules! protocols {
    ($($name:ident = $word:literal [$($group:ident)*],)*) => {
        protocols!(words $($name = $word),*);

        impl Protocol {
            /// The attributes that the protocol's element can have.
            pub fn attributes(self) -> impl Iterator<Item = &'static Attribute> {
                let groups: &[Group] = match self { $(Self::$name => &[$($group),*],)* };
                groups.iter().flat_map(|group| group.attributes)
            }

            /// What the schema allows in a rule: at most one element of each protocol.
            pub(super) const PIECES: &'static [Piece] = &[$(
                Piece::child($word, Often::Optional, || {
                    const { &Shape {
                        name: concat!(module_path!(), "::", stringify!($name)),
                        pieces: &[
                            Piece::attr::<YesNo>("match", Often::Optional),
                            $(Piece::Part($group.pieces)),*
                        ],
                    } }
                })
            ),*];
        }
    };
    (words $($name:ident = $word:literal),*) => {
        spellings! {
            /// A protocol, by the name of its element.
            pub enum Protocol { $($name = $word),* }
        }
    };
}

const fn number(max: u32, allowed: &'static str) -> Number {
    Number { min: 0, max, words: &[], hex: Hex::ReadAndWritten, allowed }
}

const U8: Kind = Kind::Number(number(255, "a number from 0 to 255"));
const U16: Kind = Kind::Number(number(65535, "a number from 0 to 65535"));
const U32: Kind = Kind::Number(number(u32::MAX, "a number from 0 to 4294967295"));
const DSCP: Kind = Kind::Number(number(63, "a number from 0 to 63"));
const VLAN_ID: Kind = Kind::Number(number(4095, "a number from 0 to 4095"));
const CONNECTIONS: Kind =
    Kind::Number(Number { hex: Hex::Never, ..number(65535, "a decimal number from 0 to 65535") });

const ETHERNET: &[(&str, u32)] =
    &[("arp", 0x806), ("rarp", 0x8035), ("ipv4", 0x800), ("ipv6", 0x86dd), ("vlan", 0x8100)];
const ETHERNET_TYPE: Kind = Kind::Number(Number {
    min: 0x600,
    words: ETHERNET,
    ..number(65535, "arp, rarp, ipv4, ipv6, vlan or a number from 0x600 to 0xffff")
});
const VLAN_PAYLOAD: Kind = Kind::Number(Number {
    min: 0x3c,
    words: ETHERNET,
    ..number(65535, "arp, rarp, ipv4, ipv6, vlan or a number from 0x3c to 0xffff")
});
const ARP_OPCODE: Kind = Kind::Number(Number {
    words: &[
        ("Request", 1),
        ("Reply", 2),
        ("Request_Reverse", 3),
        ("Reply_Reverse", 4),
        ("DRARP_Request", 5),
        ("DRARP_Reply", 6),
        ("DRARP_Error", 7),
        ("InARP_Request", 8),
        ("ARP_NAK", 9),
    ],
    hex: Hex::Read,
    ..number(
        65535,
        "Request, Reply, Request_Reverse, Reply_Reverse, DRARP_Request, DRARP_Reply, DRARP_Error, InARP_Request, \
         ARP_NAK or a number from 0 to 65535",
    )
});
const IP_PROTOCOL: Kind = Kind::Number(Number {
    words: &[
        ("tcp", 6),
        ("udp", 17),
        ("udplite", 136),
        ("esp", 50),
        ("ah", 51),
        ("icmp", 1),
        ("igmp", 2),
        ("sctp", 132),
        ("icmpv6", 58),
    ],
    ..number(255, "tcp, udp, udplite, esp, ah, icmp, igmp, sctp, icmpv6 or a number from 0 to 255")
});
const V4: Kind = Kind::Address(Family::Ipv4);
const V4_MASK: Kind = Kind::Mask(Family::Ipv4);
const V6: Kind = Kind::Address(Family::Ipv6);
const V6_MASK: Kind = Kind::Mask(Family::Ipv6);

attributes! {
    SOURCE_MAC {
        "srcmacaddr": Kind::Mac;
    }
    SOURCE_MAC_MASK {
        "srcmacmask": Kind::MacMask, with "srcmacaddr";
    }
    DESTINATION_MAC {
        "dstmacaddr": Kind::Mac;
        "dstmacmask": Kind::MacMask, with "dstmacaddr";
    }
    ETHER {
        "protocolid": ETHERNET_TYPE;
    }
    TAG {
        "vlanid": VLAN_ID;
        "encap-protocol": VLAN_PAYLOAD;
    }
    SPANNING_TREE {
        "type": U8;
        "flags": U8;
        "root-priority": U16;
        "root-priority-hi": U16, with "root-priority";
        "root-address": Kind::Mac;
        "root-address-mask": Kind::MacMask, with "root-address";
        "root-cost": U32;
        "root-cost-hi": U32, with "root-cost";
        "sender-priority": U16;
        "sender-priority-hi": U16, with "sender-priority";
        "sender-address": Kind::Mac;
        "sender-address-mask": Kind::MacMask, with "sender-address";
        "port": U16;
        "port-hi": U16, with "port";
        "age": U16;
        "age-hi": U16, with "age";
        "max-age": U16;
        "max-age-hi": U16, with "max-age";
        "hello-time": U16;
        "hello-time-hi": U16, with "hello-time";
        "forward-delay": U16;
        "forward-delay-hi": U16, with "forward-delay";
    }
    RESOLUTION {
        "hwtype": U16;
        "protocoltype": U16;
        "opcode": ARP_OPCODE;
        "arpsrcmacaddr": Kind::Mac;
        "arpdstmacaddr": Kind::Mac;
        "arpsrcipaddr": V4;
        "arpsrcipmask": V4_MASK, with "arpsrcipaddr";
        "arpdstipaddr": V4;
        "arpdstipmask": V4_MASK, with "arpdstipaddr";
        "gratuitous": Kind::Boolean;
    }
    IPV4 {
        "srcipaddr": V4;
        "srcipmask": V4_MASK, with "srcipaddr";
        "dstipaddr": V4;
        "dstipmask": V4_MASK, with "dstipaddr";
    }
    IPV6 {
        "srcipaddr": V6;
        "srcipmask": V6_MASK, with "srcipaddr";
        "dstipaddr": V6;
        "dstipmask": V6_MASK, with "dstipaddr";
    }
    IPV4_RANGES {
        "srcipfrom": V4;
        "srcipto": V4, with "srcipfrom";
        "dstipfrom": V4;
        "dstipto": V4, with "dstipfrom";
    }
    IPV6_RANGES {
        "srcipfrom": V6;
        "srcipto": V6, with "srcipfrom";
        "dstipfrom": V6;
        "dstipto": V6, with "dstipfrom";
    }
    PAYLOAD {
        "protocol": IP_PROTOCOL;
    }
    SERVICE {
        "dscp": DSCP;
    }
    CONNECTION {
        "connlimit-above": CONNECTIONS;
        "state": Kind::State;
        "ipset": Kind::IpsetName;
        "ipsetflags": Kind::IpsetFlags;
    }
    PORTS {
        "srcportstart": U16;
        "srcportend": U16, with "srcportstart";
        "dstportstart": U16, with "srcportstart";
        "dstportend": U16, with "srcportstart";
    }
    TCP {
        "option": U8;
        "flags": Kind::TcpFlags;
    }
    MESSAGE {
        "type": U8;
        "code": U8, with "type";
    }
    MESSAGES {
        "type": U8;
        "typeend": U8, with "type";
        "code": U8, with "type";
        "codeend": U8, with "type";
    }
    NOTE {
        "comment": Kind::Comment;
    }
}

protocols! {
    Mac = "mac" [SOURCE_MAC SOURCE_MAC_MASK DESTINATION_MAC ETHER NOTE],
    Vlan = "vlan" [SOURCE_MAC SOURCE_MAC_MASK DESTINATION_MAC TAG NOTE],
    Stp = "stp" [SOURCE_MAC SOURCE_MAC_MASK SPANNING_TREE NOTE],
    Arp = "arp" [SOURCE_MAC SOURCE_MAC_MASK DESTINATION_MAC RESOLUTION NOTE],
    Rarp = "rarp" [SOURCE_MAC SOURCE_MAC_MASK DESTINATION_MAC RESOLUTION NOTE],
    Ip = "ip" [SOURCE_MAC SOURCE_MAC_MASK DESTINATION_MAC IPV4 PAYLOAD PORTS SERVICE NOTE],
    Ipv6 = "ipv6" [SOURCE_MAC SOURCE_MAC_MASK DESTINATION_MAC IPV6 PAYLOAD PORTS MESSAGES NOTE],
    Tcp = "tcp" [SOURCE_MAC IPV4 IPV4_RANGES SERVICE CONNECTION PORTS TCP NOTE],
    Udp = "udp" [SOURCE_MAC IPV4 IPV4_RANGES SERVICE CONNECTION PORTS NOTE],
    Sctp = "sctp" [SOURCE_MAC IPV4 IPV4_RANGES SERVICE CONNECTION PORTS NOTE],
    Icmp = "icmp" [SOURCE_MAC IPV4 IPV4_RANGES SERVICE CONNECTION MESSAGE NOTE],
    Igmp = "igmp" [SOURCE_MAC IPV4 IPV4_RANGES SERVICE CONNECTION NOTE],
    Udplite = "udplite" [SOURCE_MAC IPV4 IPV4_RANGES SERVICE CONNECTION NOTE],
    Esp = "esp" [SOURCE_MAC IPV4 IPV4_RANGES SERVICE CONNECTION NOTE],
    Ah = "ah" [SOURCE_MAC IPV4 IPV4_RANGES SERVICE CONNECTION NOTE],
    All = "all" [SOURCE_MAC IPV4 IPV4_RANGES SERVICE CONNECTION NOTE],
    TcpIpv6 = "tcp-ipv6" [SOURCE_MAC IPV6 IPV6_RANGES SERVICE CONNECTION PORTS TCP NOTE],
    UdpIpv6 = "udp-ipv6" [SOURCE_MAC IPV6 IPV6_RANGES SERVICE CONNECTION PORTS NOTE],
    SctpIpv6 = "sctp-ipv6" [SOURCE_MAC IPV6 IPV6_RANGES SERVICE CONNECTION PORTS NOTE],
    Icmpv6 = "icmpv6" [SOURCE_MAC IPV6 IPV6_RANGES SERVICE CONNECTION MESSAGE NOTE],
    UdpliteIpv6 = "udplite-ipv6" [SOURCE_MAC IPV6 IPV6_RANGES SERVICE CONNECTION NOTE],
    EspIpv6 = "esp-ipv6" [SOURCE_MAC IPV6 IPV6_RANGES SERVICE CONNECTION NOTE],
    AhIpv6 = "ah-ipv6" [SOURCE_MAC IPV6 IPV6_RANGES SERVICE CONNECTION NOTE],
    AllIpv6 = "all-ipv6" [SOURCE_MAC IPV6 IPV6_RANGES SERVICE CONNECTION NOTE],
}
