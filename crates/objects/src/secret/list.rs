// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which secrets there are, and what they are for. Read from snapshots; never waits.

use std::sync::Arc;

use virtus_api::{
    ConnectListAllSecrets, ConnectListAllSecretsFlags as Filter, ConnectListAllSecretsReply,
    ConnectListSecrets, ConnectNumOfSecrets, Result, SecretGetXmlDesc, SecretLookupByUsage,
    SecretLookupByUuid, SecretRef,
};
use virtus_core::Call;
use virtus_core::flags::{check_flags, passes};
use virtus_xml::secret::UsageType;
use virtus_xml::{Document, FormatFlags, Secret};

use super::{HasSecrets, purpose, usage_type};
use crate::list::{count, whole};
use crate::object::{Snapshot, not_found};

pub(super) async fn num_of_secrets<D: HasSecrets>(
    driver: Arc<D>,
    _: Call,
    _: ConnectNumOfSecrets,
) -> Result<i32> {
    Ok(count(driver.secrets().collection.all().len()))
}

pub(super) async fn list_secrets<D: HasSecrets>(
    driver: Arc<D>,
    _: Call,
    request: ConnectListSecrets,
) -> Result<Vec<String>> {
    let max = usize::try_from(request.maxuuids).unwrap_or_default();
    let all = driver.secrets().collection.all();
    Ok(all.iter().map(|(_, secret)| secret.id().to_string()).take(max).collect())
}

pub(super) async fn list_all<D: HasSecrets>(
    driver: Arc<D>,
    _: Call,
    request: ConnectListAllSecrets,
) -> Result<ConnectListAllSecretsReply> {
    check_flags(request.flags, Filter::all().bits(), "virConnectListAllSecrets")?;
    let found = driver.secrets().collection.select(|secret| fits(request.flags, secret));
    let found = found.iter().map(|secret| secret.secret_ref()).collect();
    let (secrets, ret) = whole(request.need_results, found);
    Ok(ConnectListAllSecretsReply { secrets, ret })
}

fn fits(flags: u32, secret: &Snapshot<Secret>) -> bool {
    let is = |part: fn(&Secret) -> bool| secret.persistent.as_ref().is_some_and(|def| part(def));
    let group =
        |yes: Filter, no: Filter, is: bool| passes(flags, [(yes.bits(), is), (no.bits(), !is)]);
    group(Filter::EPHEMERAL, Filter::NO_EPHEMERAL, is(|def| def.ephemeral.is_yes()))
        && group(Filter::PRIVATE, Filter::NO_PRIVATE, is(|def| def.private.is_yes()))
}

pub(super) async fn lookup_by_uuid<D: HasSecrets>(
    driver: Arc<D>,
    _: Call,
    request: SecretLookupByUuid,
) -> Result<SecretRef> {
    Ok(driver.secrets().collection.lookup_uuid(request.uuid)?.1.secret_ref())
}

pub(super) async fn lookup_by_usage<D: HasSecrets>(
    driver: Arc<D>,
    _: Call,
    request: SecretLookupByUsage,
) -> Result<SecretRef> {
    let kind = UsageType::ALL
        .iter()
        .copied()
        .find(|kind| *kind != UsageType::None && usage_type(*kind) as i32 == request.usage_type);
    let found = kind
        .and_then(|kind| driver.secrets().collection.by_name(&purpose(kind, &request.usage_id)));
    found.map(|(_, secret)| secret.secret_ref()).ok_or_else(|| {
        not_found::<Secret>(format!("no secret with matching usage '{}'", request.usage_id))
    })
}

pub(super) async fn get_xml<D: HasSecrets>(
    driver: Arc<D>,
    _: Call,
    request: SecretGetXmlDesc,
) -> Result<String> {
    check_flags(request.flags, 0, "virSecretGetXMLDesc")?;
    let (_, secret) = driver.secrets().find(&request.secret)?;
    Ok(secret.def()?.format(FormatFlags::empty()))
}
