// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What makes networks real: the one thing that a driver of networks writes.

use virtus_api::{NetworkDhcpLease, Result};
use virtus_xml::{Network, NetworkPort};

use crate::collection::Collection;
use crate::object::Snapshot;
use crate::step::Step;

/// A way to run networks. Never two calls at once about one network.
pub trait NetworkBackend: Send + Sync + 'static {
    /// Fills in what a definition leaves open (the bridge's name, which none of `others` has) and refuses what
    /// could not run. Changes nothing.
    fn complete(&self, def: &mut Network, others: &Collection<Network>) -> Result<()>;

    /// Whether a network's state allows a step. A step to where it stands already, if allowed, does nothing.
    fn check(&self, step: Step, network: &Snapshot<Network>) -> Result<()> {
        step.check(network)
    }

    /// Makes the network. Answers the live definition, with all that was chosen. If it fails nothing is left.
    fn start(&self, def: &Network) -> impl Future<Output = Result<Network>> + Send;

    /// Takes the network away, and its ports.
    fn stop(&self, live: &Network) -> impl Future<Output = Result<()>> + Send;

    /// Makes the active network `old` what `new` says, where one entry differs. If it fails the network stays.
    fn update(&self, old: &Network, new: &Network) -> impl Future<Output = Result<()>> + Send;

    /// Makes a place for a guest's card on an active network: fills in what it is plugged into. `takes_over` says
    /// that the guest runs and has its place already (a daemon that lost its state finds it again).
    fn plug(
        &self,
        live: &Network,
        port: &mut NetworkPort,
        takes_over: bool,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Gives a guest's card other limits.
    fn limit(
        &self,
        live: &Network,
        old: &NetworkPort,
        new: &NetworkPort,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Gives the place of a card back.
    fn unplug(&self, live: &Network, port: &NetworkPort)
    -> impl Future<Output = Result<()>> + Send;

    /// The addresses that the network's DHCP server has given out.
    fn leases(&self, live: &Network) -> impl Future<Output = Result<Vec<NetworkDhcpLease>>> + Send;
}
