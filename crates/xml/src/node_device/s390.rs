// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The devices of s390x: channel devices and their groups, subchannels, cryptographic adapters.

use virtus_api::Result;

use super::capability::{Kind, Sub, sub_capabilities};
use super::mdev::MdevTypes;
use crate::reader::Node;
use crate::value::{Hex, HexId};

part! {
    /// Place on the channel subsystem.
    pub struct ChannelNumbers {
        needed cssid: Hex<1> = "cssid",
        needed ssid: Hex<1> = "ssid",
        needed devno: HexId<4> = "devno"
    }
}

part! {
    /// A channel device.
    pub struct CcwDevice {
        leaf state: Option<CcwState> = "state",
        part numbers: ChannelNumbers,
        part group: Sub<GroupMember>
    }
    schema { pieces (sub_capabilities!(GroupMember)) }
}

spellings! {
    /// Whether the kernel uses a channel device.
    pub enum CcwState { Offline = "offline", Online = "online" }
}

part! {
    /// The group that a channel device belongs to.
    pub struct GroupMember { needed device: String = "group_device" }
}

part! {
    /// A group of channel devices that work as one.
    pub struct CcwGroup {
        leaf state: Option<CcwState> = "state",
        part numbers: ChannelNumbers,
        child members: Option<Members> = "members",
        child card: Option<QethCard> = "capability"
    }
    schema { one QethCard = "capability" }
}

element! {
    /// `<members>`.
    pub struct Members { child devices: Vec<Member> = "ccw_device" }
}

element! {
    /// `<ccw_device ref='cdev0'>`: a device of the group.
    pub struct Member {
        required reference: String = "ref",
        text device: String
    }
}

element! {
    /// What a group is: a network card.
    pub struct QethCard {
        required kind: QethKind = "type",
        leaf card_type: Option<String> = "card_type",
        leaf chpid: Option<String> = "chpid"
    }
    schema { one_leaf String = "card_type", one_leaf String = "chpid" }
}

spellings! {
    /// On which layer a network card works.
    pub enum QethKind {
        Generic = "qeth_generic", Layer2 = "qeth_layer2", Layer3 = "qeth_layer3",
    }
}

part! {
    /// A subchannel.
    pub struct CssDevice {
        part numbers: ChannelNumbers,
        child channel: Option<ChannelAddress> = "channel_dev_addr",
        part mdev_types: Sub<MdevTypes>
    }
    schema { pieces (sub_capabilities!(MdevTypes)) }
}

element! {
    /// `<channel_dev_addr>`: the device at the subchannel.
    pub struct ChannelAddress { part numbers: ChannelNumbers }
}

part! {
    /// A cryptographic adapter.
    pub struct ApCard { needed adapter: Hex<2> = "ap-adapter" }
}

part! {
    /// A queue of a cryptographic adapter.
    pub struct ApQueue {
        needed adapter: Hex<2> = "ap-adapter",
        needed domain: Hex<4> = "ap-domain"
    }
}

part! {
    /// The device that makes mediated devices of queues.
    pub struct ApMatrix { part mdev_types: Sub<MdevTypes> }
    schema { pieces (sub_capabilities!(MdevTypes)) }
}

impl Kind for CcwDevice {
    const KIND: &'static str = "ccw";
}

impl Kind for GroupMember {
    const KIND: &'static str = "ccwgroup_member";
}

impl Kind for CcwGroup {
    const KIND: &'static str = "ccwgroup";

    fn check(&mut self, _: Node<'_>) -> Result<()> {
        self.members.take_if(|members| members.devices.is_empty());
        Ok(())
    }
}

impl Kind for CssDevice {
    const KIND: &'static str = "css";
}

impl Kind for ApCard {
    const KIND: &'static str = "ap_card";
}

impl Kind for ApQueue {
    const KIND: &'static str = "ap_queue";

    fn check(&mut self, node: Node<'_>) -> Result<()> {
        if self.domain.0 > 255 {
            return Err(node.error(format_args!(
                "ap-domain value '{}' is out of range: at most 255",
                self.domain.0
            )));
        }
        Ok(())
    }
}

impl Kind for ApMatrix {
    const KIND: &'static str = "ap_matrix";
}
