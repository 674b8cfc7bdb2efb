// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<bond>`: several devices as one, and how it is noticed that one of them lost its link.

use virtus_api::Result;

use super::{HostInterface, HostInterfaceType};
use crate::reader::Node;

element! {
    /// `<bond>`.
    pub struct Bond {
        attr mode: Option<BondMode> = "mode",
        child miimon: Option<MiiMonitor> = "miimon",
        child arpmon: Option<ArpMonitor> = "arpmon",
        block interfaces: Vec<HostInterface> = "interface"
    }
    schema { some HostInterface = "interface" }
    then Self::check
}

spellings! {
    /// How packets are spread.
    pub enum BondMode {
        BalanceRr = "balance-rr", ActiveBackup = "active-backup", BalanceXor = "balance-xor",
        Broadcast = "broadcast", Lacp = "802.3ad", BalanceTlb = "balance-tlb", BalanceAlb = "balance-alb",
    }
}

element! {
    /// `<miimon>`: the cards are asked; in milliseconds.
    pub struct MiiMonitor {
        required freq: u32 = "freq",
        attr downdelay: Option<u32> = "downdelay",
        attr updelay: Option<u32> = "updelay",
        attr carrier: Option<Carrier> = "carrier"
    }
    then Self::check
}

spellings! {
    /// How a card is asked.
    pub enum Carrier { Ioctl = "ioctl", Netif = "netif" }
}

element! {
    /// `<arpmon>`: another host is asked; in milliseconds.
    pub struct ArpMonitor {
        required interval: u32 = "interval",
        required target: String = "target",
        attr validate: Option<ArpValidate> = "validate"
    }
    then Self::check
}

spellings! {
    /// Of which devices answers are checked.
    pub enum ArpValidate { None = "none", Active = "active", Backup = "backup", All = "all" }
}

impl Bond {
    fn check(&mut self, node: Node<'_>) -> Result<()> {
        if self.miimon.is_some() {
            self.arpmon = None;
        }
        let ports = &mut self.interfaces;
        ports.iter_mut().try_for_each(|port| port.subordinate(node, &[HostInterfaceType::Ethernet]))
    }
}

impl MiiMonitor {
    fn check(&mut self, _: Node<'_>) -> Result<()> {
        for delay in [&mut self.downdelay, &mut self.updelay] {
            delay.take_if(|delay| *delay == 0);
        }
        Ok(())
    }
}

impl ArpMonitor {
    fn check(&mut self, _: Node<'_>) -> Result<()> {
        self.validate.take_if(|validate| *validate == ArpValidate::None);
        Ok(())
    }
}
