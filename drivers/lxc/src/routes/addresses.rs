// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The addresses and the name that a container has on virtual networks, as far as they are known outside.

use std::sync::Arc;

use virtus_api::{
    DomainGetHostname, DomainInterface, DomainInterfaceAddresses,
    DomainInterfaceAddressesSource as From, Error, ErrorCode, Result,
};
use virtus_core::{Call, Routes};
use virtus_domain::leases;
use virtus_domain::routes::{by, check_flags};

use super::running;
use crate::driver::LxcDriver;

/// Asks networks; there is nobody else to ask.
const LEASE: u32 = 1;

/// The routes of this file.
pub(super) fn routes() -> Routes<LxcDriver> {
    Routes::new().on(by(get_hostname)).on(by(get_addresses))
}

async fn get_hostname(
    driver: Arc<LxcDriver>,
    _: Call,
    request: DomainGetHostname,
) -> Result<String> {
    check_flags(request.flags, LEASE, "virDomainGetHostname")?;
    let (_, snapshot) = running(&driver, &request.dom)?;
    leases::hostname(&driver.lxc.peers, snapshot.live()?).await
}

async fn get_addresses(
    driver: Arc<LxcDriver>,
    _: Call,
    request: DomainInterfaceAddresses,
) -> Result<Vec<DomainInterface>> {
    check_flags(request.flags, 0, "virDomainInterfaceAddresses")?;
    let (_, snapshot) = running(&driver, &request.dom)?;
    let source = i32::try_from(request.source).ok().and_then(|source| source.try_into().ok());
    match source {
        Some(From::Lease) => leases::leased(&driver.lxc.peers, snapshot.live()?).await,
        Some(From::Arp) => Ok(leases::learnt(snapshot.live()?)),
        Some(From::Agent) | None => {
            let text = format!("Unknown IP address data source {}", request.source);
            Err(Error::new(ErrorCode::ArgumentUnsupported, text)
                .hint("containers have no agent: ask with '--source lease' or '--source arp'"))
        }
    }
}
