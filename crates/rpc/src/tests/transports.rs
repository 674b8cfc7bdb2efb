// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Clients that do not come through a unix socket.

use std::net::Ipv4Addr;

use tokio::net::{TcpListener, TcpStream};
use virtus_api::{
    ConnectGetUri, ConnectIsSecure, ConnectSupportsFeature, DomainOpenGraphicsFd, ErrorCode,
};

use super::driver::domain;
use super::peer::{House, Peer, open};
use crate::{Access, Limits, Listener};

/// A client of a TCP socket of its own.
async fn tcp(house: &House) -> Peer<TcpStream> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    house.server.listen(Listener::Tcp(listener), Access::default());
    Peer::on(TcpStream::connect(address).await.unwrap())
}

/// `VIR_DRV_FEATURE_FD_PASSING`.
const FD_PASSING: ConnectSupportsFeature = ConnectSupportsFeature { feature: 8 };

#[tokio::test]
async fn tcp_clients_are_served_and_told_that_anyone_can_listen() {
    let house = House::new(Limits::default());
    let mut peer = tcp(&house).await;
    peer.ask(&open("dummy:///x", 0)).await.unwrap();
    assert_eq!(peer.ask(&ConnectGetUri {}).await.unwrap(), "dummy:///x");
    assert_eq!(peer.ask(&ConnectIsSecure {}).await.unwrap(), 0);
    assert_eq!(peer.ask(&FD_PASSING).await.unwrap(), 0);
    let graphics = DomainOpenGraphicsFd { dom: domain("x"), idx: 2, flags: 0 };
    let refused = peer.ask(&graphics).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::OperationUnsupported, "{refused}");

    let mut local = house.open().await;
    assert_eq!(local.ask(&ConnectIsSecure {}).await.unwrap(), 1);
    assert_eq!(local.ask(&FD_PASSING).await.unwrap(), 1);
}
