// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Secrets: what every driver of them answers.
//!
//! Invariant: a value stands nowhere but in its file and in [`Value`], which is wiped when it is dropped and never
//! shown.

mod calls;
mod list;
mod value;

use std::borrow::Cow;
use std::sync::Arc;

use uuid::Uuid;
use virtus_api::{Error, ErrorCode, ErrorDomain, Result, SecretRef, SecretUsageType};
use virtus_core::Routes;
use virtus_core::events::Hub;
use virtus_xml::Secret;
use virtus_xml::secret::UsageType;

pub use value::Value;

use crate::collection::{Collection, Entry};
use crate::kind::Kind;
use crate::object::Snapshot;
use crate::shelf::Shelf;

impl Kind for Secret {
    /// The value, once it is set.
    type Extra = Option<Arc<Value>>;
    const WORD: &'static str = "secret";
    const MISSING: ErrorCode = ErrorCode::NoSecret;
    const LIST: &'static str = "secret-list";
    const EDIT: Option<&'static str> = None;

    /// What it is for, which no other secret is; or else its UUID.
    fn name(&self) -> Cow<'_, str> {
        match &self.usage {
            Some(usage) => purpose(usage.kind, usage.id()).into(),
            None => self.file().into(),
        }
    }

    fn uuid(&self) -> Option<Uuid> {
        self.uuid
    }

    fn file(&self) -> String {
        self.uuid.unwrap_or_default().to_string()
    }

    fn is_durable(&self) -> bool {
        !self.ephemeral.is_yes()
    }

    fn same_uuid(&self, other: &Snapshot<Self>, uuid: Uuid) -> Error {
        let purpose = other.secret_ref().usage_id;
        let text = format!("a secret with UUID {uuid} is already defined for use with {purpose}");
        Error::new(ErrorCode::OperationFailed, text)
            .hint("undefine that secret first, or give this one another UUID")
    }

    fn same_name(&self, other: Uuid) -> Error {
        let purpose = self.usage.as_ref().map_or("", |usage| usage.id());
        let text = format!("a secret with UUID {other} already defined for use with {purpose}");
        Error::new(ErrorCode::OperationFailed, text)
            .hint(format!("put <uuid>{other}</uuid> into the XML to change that secret"))
    }
}

impl Snapshot<Secret> {
    /// How clients name it.
    #[must_use]
    pub fn secret_ref(&self) -> SecretRef {
        let usage = self.persistent.as_ref().and_then(|def| def.usage.as_ref());
        let kind = usage.map_or(UsageType::None, |usage| usage.kind);
        SecretRef {
            uuid: self.id(),
            usage_type: usage_type(kind) as i32,
            usage_id: usage.map_or_else(String::new, |usage| usage.id().to_owned()),
        }
    }
}

/// What a secret is for, in words that no other has.
fn purpose(kind: UsageType, id: &str) -> String {
    format!("{kind} {id}")
}

fn usage_type(kind: UsageType) -> SecretUsageType {
    match kind {
        UsageType::None => SecretUsageType::None,
        UsageType::Volume => SecretUsageType::Volume,
        UsageType::Ceph => SecretUsageType::Ceph,
        UsageType::Iscsi => SecretUsageType::Iscsi,
        UsageType::Tls => SecretUsageType::Tls,
        UsageType::Vtpm => SecretUsageType::Vtpm,
    }
}

/// All secrets of a driver.
pub struct Secrets {
    collection: Arc<Collection<Secret>>,
    hub: Arc<Hub>,
}

/// A driver of secrets.
pub trait HasSecrets: Send + Sync + 'static {
    /// Its secrets.
    fn secrets(&self) -> &Arc<Secrets>;
}

impl Secrets {
    /// The secrets that the shelf keeps, with their values.
    ///
    /// # Errors
    /// If the shelf cannot be read.
    pub async fn open(shelf: Shelf, hub: Arc<Hub>) -> Result<Arc<Self>> {
        let collection = Collection::<Secret>::open(shelf).await?;
        for (object, secret) in collection.all() {
            match value::load(collection.shelf(), secret.id()).await {
                Ok(value) => {
                    object.publish(Snapshot { extra: value.map(Arc::new), ..(*secret).clone() });
                }
                Err(error) => tracing::error!("secret {} has no value: {error}", secret.id()),
            }
        }
        Ok(Arc::new(Self { collection, hub }))
    }

    /// Where events go.
    #[must_use]
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    fn find(&self, secret: &SecretRef) -> Result<Entry<Secret>> {
        self.collection.lookup_uuid(secret.uuid)
    }
}

/// What every driver of secrets answers.
#[must_use]
pub fn routes<D: HasSecrets>() -> Routes<D> {
    Routes::new()
        .on(list::num_of_secrets::<D>)
        .on(list::list_secrets::<D>)
        .on(list::list_all::<D>)
        .on(list::lookup_by_uuid::<D>)
        .on(list::lookup_by_usage::<D>)
        .on(list::get_xml::<D>)
        .on(calls::define::<D>)
        .on(calls::undefine::<D>)
        .on(calls::set_value::<D>)
        .on(calls::get_value::<D>)
        .on(calls::register::<D>)
        .on(calls::deregister::<D>)
        .in_domain(ErrorDomain::Secret)
}
