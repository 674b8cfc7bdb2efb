// SPDX-License-Identifier: Apache-2.0 OR MIT
//! On whose behalf a daemon calls another: both ends of the call by which root says that.

use virtus_api::params::connect_identity;
use virtus_api::{
    ConnectSetIdentity, Error, ErrorCode, ErrorDomain, Result, TypedParam, TypedValue,
};
use virtus_core::Identity;

/// The call that tells another daemon of a client.
pub(crate) fn on_behalf_of(identity: &Identity) -> ConnectSetIdentity {
    let number = |value: u32| TypedValue::ULLong(value.into());
    let text = |value: &Option<String>| value.clone().map(TypedValue::String);
    let facts = [
        (connect_identity::UNIX_USER_ID, identity.uid.map(number)),
        (connect_identity::UNIX_GROUP_ID, identity.gid.map(number)),
        (connect_identity::PROCESS_ID, identity.pid.map(|pid| TypedValue::LLong(pid.into()))),
        (connect_identity::PROCESS_TIME, identity.pid_start_time.map(TypedValue::ULLong)),
        (connect_identity::SASL_USER_NAME, text(&identity.sasl_user)),
        (connect_identity::X509_DISTINGUISHED_NAME, text(&identity.x509_dname)),
        (connect_identity::SELINUX_CONTEXT, text(&identity.selinux_context)),
    ];
    let known = facts.into_iter().filter_map(|(field, value)| Some((field, value?)));
    let params = known.map(|(field, value)| TypedParam::new(field, value));
    ConnectSetIdentity { params: params.collect(), flags: 0 }
}

/// On whose behalf a call says it is made.
///
/// # Errors
/// `VIR_ERR_INVALID_ARG` for what is unknown or not of its type.
pub(crate) fn identity_of(request: &ConnectSetIdentity) -> Result<Identity> {
    let mut identity = Identity::default();
    for parameter in &request.params {
        let name = &*parameter.field;
        let number = match parameter.value {
            TypedValue::ULLong(number) => Some(number),
            TypedValue::LLong(number) => u64::try_from(number).ok(),
            _ => None,
        };
        let small = number.and_then(|number| u32::try_from(number).ok());
        let text = match &parameter.value {
            TypedValue::String(text) => Some(text.clone()),
            _ => None,
        };
        let understood = match name {
            connect_identity::UNIX_USER_ID => set(&mut identity.uid, small),
            connect_identity::UNIX_GROUP_ID => set(&mut identity.gid, small),
            connect_identity::PROCESS_ID => {
                set(&mut identity.pid, number.and_then(|number| i32::try_from(number).ok()))
            }
            connect_identity::PROCESS_TIME => set(&mut identity.pid_start_time, number),
            connect_identity::SASL_USER_NAME => set(&mut identity.sasl_user, text),
            connect_identity::X509_DISTINGUISHED_NAME => set(&mut identity.x509_dname, text),
            connect_identity::SELINUX_CONTEXT => set(&mut identity.selinux_context, text),
            // Names of users and groups follow from their numbers.
            connect_identity::USER_NAME | connect_identity::GROUP_NAME => text.is_some(),
            _ => false,
        };
        if !understood {
            let text = format!("identity parameter '{name}' is unknown or not of its type");
            return Err(Error::new(ErrorCode::InvalidArg, text).in_domain(ErrorDomain::Rpc));
        }
    }
    Ok(identity)
}

/// Whether there was something of the right type.
fn set<T>(field: &mut Option<T>, value: Option<T>) -> bool {
    *field = value;
    field.is_some()
}
