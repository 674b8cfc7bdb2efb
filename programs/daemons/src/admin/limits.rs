// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How many clients a server takes, and how many calls it works on at the same time.
//!
//! Workers are places, not threads: `maxWorkers` calls on this host run at the same time, and
//! `prioWorkers` more of high priority. Calls that answer from memory or wait for one guest need no
//! place. `nWorkers` are the places that there are, `freeWorkers` those that no call has taken,
//! `jobQueueDepth` the calls that wait for one. A place costs nothing while nobody has it, so all of
//! them are always ready: `minWorkers` only bounds `maxWorkers` from below.

use std::sync::Arc;

use virtus_api::params::{admin_client_limits, admin_threadpool};
use virtus_api::{
    AdminServerGetClientLimits, AdminServerGetThreadpoolParameters, AdminServerSetClientLimits,
    AdminServerSetThreadpoolParameters, Error, ErrorCode, Result, TypedParam, TypedValue,
};
use virtus_core::{Call, Routes};

use super::{Admin, check_flags};

pub(super) fn routes() -> Routes<Admin> {
    Routes::new().on(get_pool).on(set_pool).on(get_clients).on(set_clients)
}

async fn get_pool(
    admin: Arc<Admin>,
    _: Call,
    request: AdminServerGetThreadpoolParameters,
) -> Result<Vec<TypedParam>> {
    use admin_threadpool as name;
    check_flags(request.flags, 0, "adminServerGetThreadPoolParameters")?;
    let pool = admin.server(&request.srv.name)?.pool();
    Ok(numbers([
        (name::WORKERS_MIN, pool.sizes.min),
        (name::WORKERS_MAX, pool.sizes.max),
        (name::WORKERS_CURRENT, pool.places),
        (name::WORKERS_FREE, pool.free),
        (name::WORKERS_PRIORITY, pool.sizes.urgent),
        (name::JOB_QUEUE_DEPTH, pool.waiting),
    ]))
}

async fn set_pool(
    admin: Arc<Admin>,
    _: Call,
    request: AdminServerSetThreadpoolParameters,
) -> Result<()> {
    use admin_threadpool as name;
    check_flags(request.flags, 0, "adminServerSetThreadPoolParameters")?;
    let names = [name::WORKERS_MIN, name::WORKERS_MAX, name::WORKERS_PRIORITY];
    let [min, max, urgent] = settings(names, &request.params)?;
    admin.server(&request.srv.name)?.set_pool(min, max, urgent)
}

async fn get_clients(
    admin: Arc<Admin>,
    _: Call,
    request: AdminServerGetClientLimits,
) -> Result<Vec<TypedParam>> {
    use admin_client_limits as name;
    check_flags(request.flags, 0, "adminServerGetClientLimits")?;
    let limits = admin.server(&request.srv.name)?.client_limits();
    Ok(numbers([
        (name::MAX, limits.max),
        (name::CURRENT, limits.now),
        (name::UNAUTH_MAX, limits.max_silent),
        (name::UNAUTH_CURRENT, limits.silent),
    ]))
}

async fn set_clients(
    admin: Arc<Admin>,
    _: Call,
    request: AdminServerSetClientLimits,
) -> Result<()> {
    use admin_client_limits as name;
    check_flags(request.flags, 0, "adminServerSetClientLimits")?;
    let [max, max_silent] = settings([name::MAX, name::UNAUTH_MAX], &request.params)?;
    admin.server(&request.srv.name)?.set_client_limits(max, max_silent)
}

fn numbers<const N: usize>(numbers: [(&'static str, usize); N]) -> Vec<TypedParam> {
    let shown = |number| u32::try_from(number).unwrap_or(u32::MAX);
    numbers.map(|(name, number)| TypedParam::new(name, shown(number))).into()
}

/// The values given for `names`.
///
/// # Errors
/// A name that is not one of them, or is there twice, or has a value of another type.
fn settings<const N: usize>(
    names: [&'static str; N],
    given: &[TypedParam],
) -> Result<[Option<usize>; N]> {
    let mut found = [None; N];
    for TypedParam { field, value } in given {
        let place = names.iter().position(|name| name == field).ok_or_else(|| {
            let text = format!("parameter '{field}' not supported");
            Error::new(ErrorCode::ArgumentUnsupported, text)
        })?;
        let TypedValue::UInt(number) = value else {
            return Err(invalid(format!(
                "invalid type '{}' for parameter '{field}', expected 'uint'",
                value.type_name()
            )));
        };
        if found[place].replace(usize::try_from(*number).unwrap_or(usize::MAX)).is_some() {
            return Err(invalid(format!("parameter '{field}' occurs multiple times")));
        }
    }
    Ok(found)
}

fn invalid(text: String) -> Error {
    Error::new(ErrorCode::InvalidArg, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_settings_of_their_type_are_taken_once() {
        let read = |given: &[(&'static str, TypedValue)]| {
            let given: Vec<_> =
                given.iter().map(|(name, value)| TypedParam::new(*name, value.clone())).collect();
            settings(["max", "min"], &given).map_err(|error| error.to_string())
        };
        assert_eq!(read(&[]), Ok([None, None]));
        assert_eq!(read(&[("min", 0u32.into())]), Ok([None, Some(0)]));
        for (given, why) in [
            (&[("now", 1u32.into())][..], "argument unsupported: parameter 'now' not supported"),
            (
                &[("max", 1i32.into())],
                "invalid argument: invalid type 'int' for parameter 'max', expected 'uint'",
            ),
            (
                &[("max", 1u32.into()), ("max", 2u32.into())],
                "invalid argument: parameter 'max' occurs multiple times",
            ),
        ] {
            assert_eq!(read(given), Err(why.to_owned()));
        }
    }
}
