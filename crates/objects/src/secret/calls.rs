// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What changes secrets, what reveals their values, and who hears of it.

use std::sync::Arc;

use uuid::Uuid;
use virtus_api::{
    ConnectSecretEventDeregisterAny, ConnectSecretEventRegisterAny, Error, ErrorCode, Family,
    Result, SecretDefineFlags, SecretDefineXml, SecretEventId, SecretEventLifecycle,
    SecretEventLifecycleType as Event, SecretEventValueChanged, SecretGetValue, SecretRef,
    SecretSetValue, SecretUndefine,
};
use virtus_core::Call;
use virtus_core::events::Key;
use virtus_core::flags::check_flags;
use virtus_xml::{Document, ParseFlags, Secret};

use super::value::{self, Value};
use super::{HasSecrets, Secrets};
use crate::kind::Kind;
use crate::object::{Turn, not_found};

impl Secrets {
    fn tell(&self, secret: SecretRef, event: Event) {
        self.hub.emit(SecretEventLifecycle { secret, event: event as i32, detail: 0 });
    }
}

pub(super) async fn define<D: HasSecrets>(
    driver: Arc<D>,
    _: Call,
    request: SecretDefineXml,
) -> Result<SecretRef> {
    const NAME: &str = "virSecretDefineXML";
    check_flags(request.flags, SecretDefineFlags::all().bits(), NAME)?;
    let mut flags = ParseFlags::INACTIVE;
    flags.set(ParseFlags::VALIDATE, request.flags & SecretDefineFlags::VALIDATE.bits() != 0);
    let mut def = Secret::parse(&request.xml, flags)?.value;
    def.uuid.get_or_insert_with(Uuid::new_v4);
    let secrets = driver.secrets().clone();
    let work = {
        let secrets = secrets.clone();
        |turn: Turn<Secret>, def: Secret| async move {
            let before = turn.snapshot();
            let was =
                |part: fn(&Secret) -> bool| before.persistent.as_ref().is_some_and(|d| part(d));
            if was(|old| old.private.is_yes()) && !def.private.is_yes() {
                let text = "cannot change private flag on existing secret";
                return Err(Error::new(ErrorCode::OperationFailed, text)
                    .hint("undefine the secret and define it anew; its value goes with it"));
            }
            let durable = def.is_durable();
            if let (true, Some(value), false) = (durable, &before.extra, was(Kind::is_durable)) {
                // A client that is told that the secret stays is told so of its value.
                value::save(secrets.collection.shelf(), before.id(), value).await?;
            }
            turn.set_persistent(def).await?;
            if !durable {
                value::remove(secrets.collection.shelf(), before.id()).await?;
            }
            let secret = turn.snapshot().secret_ref();
            secrets.tell(secret.clone(), Event::Defined);
            Ok(secret)
        }
    };
    secrets.collection.claim(def, NAME, work).await
}

pub(super) async fn undefine<D: HasSecrets>(
    driver: Arc<D>,
    _: Call,
    request: SecretUndefine,
) -> Result<()> {
    let secrets = driver.secrets().clone();
    let (object, _) = secrets.find(&request.secret)?;
    let work = {
        let secrets = secrets.clone();
        |turn: Turn<Secret>| async move {
            let secret = turn.snapshot().secret_ref();
            value::remove(secrets.collection.shelf(), secret.uuid).await?;
            turn.remove_persistent().await?;
            secrets.tell(secret, Event::Undefined);
            Ok(())
        }
    };
    secrets.collection.change(&object, "virSecretUndefine", work).await
}

pub(super) async fn set_value<D: HasSecrets>(
    driver: Arc<D>,
    _: Call,
    request: SecretSetValue,
) -> Result<()> {
    const NAME: &str = "virSecretSetValue";
    let SecretSetValue { secret, value, flags } = request;
    let value = Arc::new(Value::new(value));
    if value.reveal().is_empty() {
        return Err(Error::bad_argument(format!("value in {NAME} must not be NULL")));
    }
    check_flags(flags, 0, NAME)?;
    let secrets = driver.secrets().clone();
    let (object, _) = secrets.find(&secret)?;
    let work = {
        let secrets = secrets.clone();
        |turn: Turn<Secret>| async move {
            let secret = turn.snapshot();
            if secret.def()?.is_durable() {
                value::save(secrets.collection.shelf(), secret.id(), &value).await?;
            }
            turn.publish(|secret| secret.extra = Some(value));
            secrets.hub.emit(SecretEventValueChanged { secret: secret.secret_ref() });
            Ok(())
        }
    };
    secrets.collection.change(&object, NAME, work).await
}

pub(super) async fn get_value<D: HasSecrets>(
    driver: Arc<D>,
    _: Call,
    request: SecretGetValue,
) -> Result<Vec<u8>> {
    check_flags(request.flags, 0, "virSecretGetValue")?;
    let (_, secret) = driver.secrets().find(&request.secret)?;
    if secret.def()?.private.is_yes() {
        return Err(Error::new(ErrorCode::InvalidSecret, "secret is private")
            .hint("only the daemon itself uses the value of a private secret"));
    }
    match &secret.extra {
        Some(value) => Ok(value.reveal().to_vec()),
        None => Err(not_found::<Secret>(format!("secret '{}' does not have a value", secret.id()))
            .hint(format!("give it one with 'virsh secret-set-value {}'", secret.id()))),
    }
}

pub(super) async fn register<D: HasSecrets>(
    driver: Arc<D>,
    call: Call,
    request: ConnectSecretEventRegisterAny,
) -> Result<i32> {
    let secrets = driver.secrets();
    let key = match &request.secret {
        Some(secret) => Some(Key::Uuid(secrets.find(secret)?.1.id())),
        None => None,
    };
    let id = request.event_id;
    crate::events::register::<SecretEventId>(&secrets.hub, &call, Family::Secret, id, key)
}

pub(super) async fn deregister<D: HasSecrets>(
    driver: Arc<D>,
    call: Call,
    request: ConnectSecretEventDeregisterAny,
) -> Result<()> {
    driver.secrets().hub.deregister(&call.session, Family::Secret, request.callback_id)
}
