// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Who is connected to a server, and how to end that.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use virtus_api::limits::ADMIN_CLIENT_LIST_MAX;
use virtus_api::params::admin_client_info as info;
use virtus_api::{
    AdminClientClose, AdminClientGetInfo, AdminClientRef, AdminServerListClients,
    AdminServerListClientsReply, AdminServerLookupClient, AdminServerRef, Error, ErrorCode,
    ErrorDomain, Result, TypedParam, TypedValue,
};
use virtus_core::{Call, Routes};
use virtus_host::user;
use virtus_rpc::{ClientInfo, Server};

use super::{Admin, check_flags, off_thread, wanted};

pub(super) fn routes() -> Routes<Admin> {
    Routes::new().on(list).on(lookup).on(get_info).on(close)
}

async fn list(
    admin: Arc<Admin>,
    _: Call,
    request: AdminServerListClients,
) -> Result<AdminServerListClientsReply> {
    check_flags(request.flags, 0, "adminServerListClients")?;
    let server = admin.server(&request.srv.name)?;
    let all: Vec<_> =
        server.client_infos().iter().map(|client| reference(&request.srv, client)).collect();
    let (clients, ret) = wanted(all, request.need_results);
    if clients.len() > ADMIN_CLIENT_LIST_MAX {
        let text = format!("Too many clients '{ret}' for limit '{ADMIN_CLIENT_LIST_MAX}'");
        return Err(Error::new(ErrorCode::Rpc, text).in_domain(ErrorDomain::Rpc));
    }
    Ok(AdminServerListClientsReply { clients, ret })
}

async fn lookup(
    admin: Arc<Admin>,
    _: Call,
    request: AdminServerLookupClient,
) -> Result<AdminClientRef> {
    check_flags(request.flags, 0, "adminServerLookupClient")?;
    let server = admin.server(&request.srv.name)?;
    find(&server, request.id).map(|client| reference(&request.srv, &client))
}

async fn get_info(
    admin: Arc<Admin>,
    _: Call,
    request: AdminClientGetInfo,
) -> Result<Vec<TypedParam>> {
    check_flags(request.flags, 0, "adminClientGetInfo")?;
    let server = admin.server(&request.clnt.srv.name)?;
    let client = find(&server, request.clnt.id)?;
    let (uid, gid) = (client.identity.uid, client.identity.gid);
    // Name services may be far away; without them there are no names.
    let names = off_thread(move || {
        let user = uid.and_then(user::user_by_id).map(|user| user.name);
        (user, gid.and_then(user::group_name))
    });
    let (user_name, group_name) = names.await.unwrap_or_default();
    Ok(describe(client, user_name, group_name))
}

async fn close(admin: Arc<Admin>, _: Call, request: AdminClientClose) -> Result<()> {
    check_flags(request.flags, 0, "adminClientClose")?;
    let server = admin.server(&request.clnt.srv.name)?;
    match server.disconnect(request.clnt.id) {
        true => Ok(()),
        false => Err(no_client(request.clnt.id)),
    }
}

fn reference(server: &AdminServerRef, client: &ClientInfo) -> AdminClientRef {
    let since = client.since.duration_since(UNIX_EPOCH).unwrap_or_default();
    AdminClientRef {
        srv: server.clone(),
        id: client.id,
        timestamp: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        transport: client.transport.number().unsigned_abs(),
    }
}

fn find(server: &Server, id: u64) -> Result<ClientInfo> {
    server.client_info(id).ok_or_else(|| no_client(id))
}

fn no_client(id: u64) -> Error {
    Error::new(ErrorCode::NoClient, format!("No client with matching ID '{id}'"))
        .in_domain(ErrorDomain::Rpc)
        .hint("it may have left; 'virt-admin client-list SERVER' shows who is there")
}

/// What is known of a client, and nothing of what is not. Numbers are signed on the wire.
fn describe(
    client: ClientInfo,
    user_name: Option<String>,
    group_name: Option<String>,
) -> Vec<TypedParam> {
    let who = client.identity;
    let signed = |number: Option<u32>| Some(TypedValue::Int(number?.cast_signed()));
    [
        (info::READONLY, Some(TypedValue::Boolean(client.read_only))),
        (info::SASL_USER_NAME, who.sasl_user.map(Into::into)),
        (info::SOCKET_ADDR, client.address.map(Into::into)),
        (info::X509_DISTINGUISHED_NAME, who.x509_dname.map(Into::into)),
        (info::UNIX_USER_ID, signed(who.uid)),
        (info::UNIX_USER_NAME, user_name.map(Into::into)),
        (info::UNIX_GROUP_ID, signed(who.gid)),
        (info::UNIX_GROUP_NAME, group_name.map(Into::into)),
        (info::UNIX_PROCESS_ID, who.pid.map(Into::into)),
        (info::SELINUX_CONTEXT, who.selinux_context.map(Into::into)),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some(TypedParam::new(name, value?)))
    .collect()
}
