// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Network cards of the host, and devices that speak virtio as hardware does.

use virtus_api::Result;

use super::capability::Kind;
use crate::netdev::DeviceLink;
use crate::reader::Node;
use crate::value::Mac;

part! {
    /// A network card.
    pub struct NetDevice {
        needed interface: String = "interface",
        leaf address: Option<String> = "address",
        child link: DeviceLink = "link",
        child features: Vec<NetFeature> = "feature",
        child technology: Option<NetTechnology> = "capability"
    }
    schema { leaf Mac = "address" }
}

element! {
    /// `<feature name='…'/>`.
    pub struct NetFeature { required name: NetFeatureName = "name" }
}

spellings! {
    /// What a card does itself, in the order in which it is written.
    pub enum NetFeatureName {
        Rx = "rx", Tx = "tx", Sg = "sg", Tso = "tso", Ufo = "ufo", Gso = "gso", Gro = "gro", Lro = "lro",
        RxVlan = "rxvlan", TxVlan = "txvlan", NTuple = "ntuple", RxHash = "rxhash", Rdma = "rdma",
        TxUdpTnl = "txudptnl", Switchdev = "switchdev",
    }
}

element! {
    /// Whether a card has a cable or an antenna.
    pub struct NetTechnology { required kind: NetTechnologyKind = "type" }
}

spellings! {
    /// The standards, without their dots.
    pub enum NetTechnologyKind { Ethernet = "80203", Wireless = "80211" }
}

part! {
    /// A vDPA device.
    pub struct VdpaDevice { leaf chardev: Option<String> = "chardev" }
}

impl Kind for NetDevice {
    const KIND: &'static str = "net";

    fn check(&mut self, _: Node<'_>) -> Result<()> {
        self.features.sort_by_key(|feature| feature.name);
        self.features.dedup();
        Ok(())
    }
}

impl Kind for VdpaDevice {
    const KIND: &'static str = "vdpa";
}
