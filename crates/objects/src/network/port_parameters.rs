// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The limits of a port, as typed parameters.

use std::sync::Arc;

use virtus_api::params::network_port_bandwidth as names;
use virtus_api::{
    Error, ErrorCode, NetworkPortGetParameters, NetworkPortGetParametersReply,
    NetworkPortSetParameters, Result, TypedParam, TypedValue,
};
use virtus_core::Call;
use virtus_core::flags::check_flags;
use virtus_xml::netdev::{Bandwidth, Rate};

use super::{HasNetworks, NetworkBackend};

/// One limit: its name and where it stands.
type Limit = (&'static str, fn(&Bandwidth) -> Option<u64>, fn(&mut Bandwidth) -> &mut Option<u64>);

macro_rules! limits {
    ($($name:ident: $direction:ident $field:ident),+ $(,)?) => {
        const LIMITS: &[Limit] = &[$((
            names::$name,
            |bandwidth| bandwidth.$direction.as_ref().and_then(|rate| rate.$field),
            |bandwidth| &mut bandwidth.$direction.get_or_insert_default().$field,
        )),+];
    };
}
limits! {
    IN_AVERAGE: inbound average,
    IN_PEAK: inbound peak,
    IN_FLOOR: inbound floor,
    IN_BURST: inbound burst,
    OUT_AVERAGE: outbound average,
    OUT_PEAK: outbound peak,
    OUT_BURST: outbound burst,
}

pub(super) async fn get<D: HasNetworks>(
    driver: Arc<D>,
    _: Call,
    request: NetworkPortGetParameters,
) -> Result<NetworkPortGetParametersReply> {
    check_flags(request.flags, 0, "virNetworkPortGetParameters")?;
    let port = driver.networks().find_port(&request.port)?;
    let value = |limit: Option<u64>| u32::try_from(limit.unwrap_or_default()).unwrap_or(u32::MAX);
    let params =
        LIMITS.iter().map(|(name, get, _)| TypedParam::new(*name, value(get(&port.bandwidth))));
    let params: Vec<_> = params.collect();
    let nparams = i32::try_from(params.len()).unwrap_or(i32::MAX);
    Ok(NetworkPortGetParametersReply { params, nparams })
}

pub(super) async fn set<D: HasNetworks>(
    driver: Arc<D>,
    _: Call,
    request: NetworkPortSetParameters,
) -> Result<()> {
    const NAME: &str = "virNetworkPortSetParameters";
    check_flags(request.flags, 0, NAME)?;
    let uuid = request.port.uuid;
    let networks = driver.networks();
    networks
        .change_ports(&request.port.net, NAME, move |networks, live, network, turn| async move {
            let old = network.port(uuid)?;
            let mut new = (**old).clone();
            for param in &request.params {
                put(&mut new.bandwidth, param)?;
            }
            for rate in [&mut new.bandwidth.inbound, &mut new.bandwidth.outbound] {
                rate.take_if(|rate| *rate == Rate::default());
            }
            networks.backend.limit(&live, old, &new).await?;
            turn.edit_ports(|ports| {
                ports.insert(uuid, Arc::new(new));
            });
            Ok(())
        })
        .await
}

fn put(bandwidth: &mut Bandwidth, param: &TypedParam) -> Result<()> {
    let invalid = |text| Err(Error::new(ErrorCode::InvalidArg, text));
    let Some((_, _, place)) = LIMITS.iter().find(|(name, ..)| *name == param.field) else {
        return invalid(format!("parameter '{}' not supported", param.field));
    };
    let TypedValue::UInt(value) = param.value else {
        return invalid(format!("invalid type for parameter '{}', expected uint", param.field));
    };
    *place(bandwidth) = Some(u64::from(value)).filter(|value| *value > 0);
    Ok(())
}
