// SPDX-License-Identifier: Apache-2.0 OR MIT
//! vCPUs as the guest sees them: which it uses.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use virtus_api::{DomainGetGuestVcpus, DomainSetGuestVcpus, Error, ErrorCode, Result, TypedParam};
use virtus_core::{Call, Routes};
use virtus_domain::routes::check_flags;
use virtus_xml::cpuset::CpuSet;
use virtus_xml::value::Value as _;

use super::agent::malformed;
use super::{by, running};
use crate::driver::QemuDriver;
use crate::guest::{AGENT, Guest};

const GET: &str = "guest-get-vcpus";
const SET: &str = "guest-set-vcpus";

/// The routes of this file.
pub(super) fn routes() -> Routes<QemuDriver> {
    Routes::new().on(by(get)).on(by(set))
}

/// One vCPU.
struct Vcpu {
    online: bool,
    can_offline: bool,
}

async fn read(guest: &Guest) -> Result<BTreeMap<u32, Vcpu>> {
    parse(&guest.agent_execute(GET, None, AGENT).await?)
}

fn parse(reply: &Value) -> Result<BTreeMap<u32, Vcpu>> {
    let all = reply.as_array().ok_or_else(|| malformed(GET))?;
    all.iter()
        .map(|item| {
            let id = item["logical-id"].as_u64().and_then(|id| u32::try_from(id).ok());
            let online = item["online"].as_bool().ok_or_else(|| malformed(GET))?;
            let can_offline = item["can-offline"].as_bool().unwrap_or(false);
            Ok((id.ok_or_else(|| malformed(GET))?, Vcpu { online, can_offline }))
        })
        .collect()
}

async fn get(
    driver: Arc<QemuDriver>,
    _: Call,
    request: DomainGetGuestVcpus,
) -> Result<Vec<TypedParam>> {
    check_flags(request.flags, 0, "virDomainGetGuestVcpus")?;
    let (guest, _) = running(&driver, &request.dom)?;
    let vcpus = read(&guest).await?;
    let those = |choose: fn(&Vcpu) -> bool| {
        CpuSet::of(vcpus.iter().filter(|(_, vcpu)| choose(vcpu)).map(|(id, _)| *id)).to_string()
    };
    Ok(vec![
        TypedParam::new("vcpus", those(|_| true)),
        TypedParam::new("online", those(|vcpu| vcpu.online)),
        TypedParam::new("offlinable", those(|vcpu| vcpu.can_offline)),
    ])
}

async fn set(driver: Arc<QemuDriver>, _: Call, request: DomainSetGuestVcpus) -> Result<()> {
    check_flags(request.flags, 0, "virDomainSetGuestVcpus")?;
    let refuse = |text: String| Err(Error::new(ErrorCode::InvalidArg, text));
    let online = match request.state {
        0 => false,
        1 => true,
        state => return refuse(format!("unsupported vcpu state '{state}'")),
    };
    let Some(wanted) = CpuSet::parse(&request.cpumap).filter(|set| !set.is_empty()) else {
        return refuse(format!("'{}' is no set of vCPUs such as '0-3,5'", request.cpumap));
    };
    let (guest, _) = running(&driver, &request.dom)?;
    let vcpus = read(&guest).await?;
    let mut list = Vec::new();
    for id in wanted.iter() {
        match vcpus.get(&id) {
            None => {
                return refuse(format!("guest agent reported no vcpu {id} in the guest"));
            }
            Some(vcpu) if !online && !vcpu.can_offline => {
                return refuse(format!("vCPU '{id}' is not offlinable"));
            }
            Some(vcpu) if vcpu.online == online => {}
            Some(_) => list.push(json!({ "logical-id": id, "online": online })),
        }
    }
    if list.is_empty() {
        return Ok(());
    }
    let asked = list.len() as u64;
    let arguments = json!({ "vcpus": list });
    let done = guest.agent_execute(SET, arguments, AGENT).await?;
    match done.as_u64() {
        Some(count) if count >= asked => Ok(()),
        Some(count) => Err(Error::new(
            ErrorCode::OperationFailed,
            format!("the guest changed {count} of {asked} vCPUs only"),
        )),
        None => Err(malformed(SET)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_switched_off_is_told() {
        let reply = json!([
            { "logical-id": 0, "online": true },
            { "logical-id": 1, "online": false, "can-offline": true },
        ]);
        let vcpus = parse(&reply).unwrap();
        assert!(vcpus[&0].online && !vcpus[&0].can_offline);
        assert!(!vcpus[&1].online && vcpus[&1].can_offline);
        assert!(parse(&json!([{ "online": true }])).is_err());
    }
}
