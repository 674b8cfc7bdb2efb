// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What rules may know of an object, under the names that libvirt documents for polkit.

use uuid::Uuid;
use virtus_api::{
    DomainRef, InterfaceRef, NetworkPortRef, NetworkRef, NwfilterBindingRef, NwfilterRef, Object,
    Result, SecretRef, SecretUsageType, StoragePoolRef, StorageVolRef, Subject,
};
use virtus_xml::names;

type Detail = (&'static str, String);

/// Names and values, such as `domain_name` and `vm1`; the driver's name stands first.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Details(Vec<Detail>);

impl Details {
    /// Of the connection, or of an object that is not known yet.
    #[must_use]
    pub fn of_connection(driver: &str) -> Self {
        Self(vec![("connect_driver", driver.to_owned())])
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, value)| (*name, value.as_str()))
    }

    fn with(driver: &str, more: impl IntoIterator<Item = Detail>) -> Self {
        let mut details = Self::of_connection(driver);
        details.0.extend(more);
        details
    }

    /// Of an object as its driver names it.
    pub(super) fn of(driver: &str, subject: Subject<'_>) -> Self {
        match subject {
            Subject::Connection => Self::of_connection(driver),
            Subject::Domain(DomainRef { name, uuid, .. }) => {
                Self::with(driver, named(["domain_name", "domain_uuid"], name, *uuid))
            }
            Subject::Interface(InterfaceRef { name, mac }) => Self::with(
                driver,
                [("interface_name", name.clone()), ("interface_macaddr", mac.clone())],
            ),
            Subject::Network(net) => Self::with(driver, network(net)),
            Subject::NetworkPort(NetworkPortRef { net, uuid }) => Self::with(
                driver,
                network(net).into_iter().chain([("port_uuid", uuid.to_string())]),
            ),
            Subject::NodeDevice(name) => {
                Self::with(driver, [("node_device_name", name.to_owned())])
            }
            Subject::Nwfilter(NwfilterRef { name, uuid }) => {
                Self::with(driver, named(["nwfilter_name", "nwfilter_uuid"], name, *uuid))
            }
            Subject::NwfilterBinding(NwfilterBindingRef { portdev, filtername }) => Self::with(
                driver,
                [
                    ("nwfilter_binding_portdev", portdev.clone()),
                    ("nwfilter_binding_filter", filtername.clone()),
                ],
            ),
            Subject::Secret(SecretRef { uuid, usage_type, usage_id }) => {
                let usage = USAGES.iter().find(|(_, kind, _)| *kind as i32 == *usage_type);
                let usage = usage.map(|(.., detail)| (*detail, usage_id.clone()));
                Self::with(driver, [("secret_uuid", uuid.to_string())].into_iter().chain(usage))
            }
            Subject::StoragePool(found) => Self::with(driver, pool(found)),
            Subject::StorageVol(vol) => Self::with(
                driver,
                [
                    ("pool_name", vol.pool.clone()),
                    ("vol_name", vol.name.clone()),
                    ("vol_key", vol.key.clone()),
                ],
            ),
        }
    }

    /// Of a volume in this pool.
    pub(super) fn of_volume(driver: &str, within: &StoragePoolRef, vol: &StorageVolRef) -> Self {
        let own = [("vol_name", vol.name.clone()), ("vol_key", vol.key.clone())];
        Self::with(driver, pool(within).into_iter().chain(own))
    }

    /// Of the object that `document` is to make or define, as part of what `self` is about.
    ///
    /// # Errors
    /// The document is no XML.
    pub(super) fn and_new(mut self, object: Object, document: &str) -> Result<Self> {
        let places = places(object);
        let said = names::at(document, places.iter().map(|(_, path)| *path))?;
        let mut said: Vec<Detail> = places
            .iter()
            .zip(said)
            .filter_map(|((detail, _), text)| Some((*detail, canonical(detail, text?))))
            .collect();
        if let Some(at) = said.iter().position(|(detail, _)| *detail == USAGE) {
            let (_, usage) = said.remove(at);
            let kind = USAGES.iter().find(|(word, ..)| *word == usage);
            said.retain(|(detail, _)| match detail.starts_with(USAGE) {
                true => kind.is_some_and(|(_, _, own)| own == detail),
                false => true,
            });
        }
        self.0.extend(said);
        Ok(self)
    }
}

/// Where a document says what: details, and the paths at which they stand.
fn places(object: Object) -> &'static [(&'static str, &'static str)] {
    match object {
        Object::Connect => &[],
        Object::Domain => &[("domain_name", "name"), ("domain_uuid", "uuid")],
        Object::Interface => &[("interface_name", "@name"), ("interface_macaddr", "mac/@address")],
        Object::Network => &[("network_name", "name"), ("network_uuid", "uuid")],
        Object::NetworkPort => &[("port_uuid", "uuid")],
        Object::NodeDevice => &[("node_device_name", "name")],
        Object::Nwfilter => &[("nwfilter_name", "@name"), ("nwfilter_uuid", "uuid")],
        Object::NwfilterBinding => &[
            ("nwfilter_binding_portdev", "portdev/@name"),
            ("nwfilter_binding_filter", "filterref/@filter"),
        ],
        Object::Secret => &[
            ("secret_uuid", "uuid"),
            (USAGE, "usage/@type"),
            ("secret_usage_volume", "usage/volume"),
            ("secret_usage_target", "usage/target"),
            ("secret_usage_ceph", "usage/name"),
            ("secret_usage_name", "usage/name"),
        ],
        Object::StoragePool => &[("pool_name", "name"), ("pool_uuid", "uuid")],
        Object::StorageVol => &[("vol_name", "name")],
    }
}

/// How the details begin that say what a secret is for.
const USAGE: &str = "secret_usage";

/// A usage in documents and in calls, and the detail that names its object.
const USAGES: [(&str, SecretUsageType, &str); 4] = [
    ("volume", SecretUsageType::Volume, "secret_usage_volume"),
    ("ceph", SecretUsageType::Ceph, "secret_usage_ceph"),
    ("iscsi", SecretUsageType::Iscsi, "secret_usage_target"),
    ("tls", SecretUsageType::Tls, "secret_usage_name"),
];

fn named(names: [&'static str; 2], name: &str, uuid: Uuid) -> [Detail; 2] {
    [(names[0], name.to_owned()), (names[1], uuid.to_string())]
}

fn network(net: &NetworkRef) -> [Detail; 2] {
    named(["network_name", "network_uuid"], &net.name, net.uuid)
}

fn pool(pool: &StoragePoolRef) -> [Detail; 2] {
    named(["pool_name", "pool_uuid"], &pool.name, pool.uuid)
}

/// A UUID in the one spelling that rules know.
fn canonical(detail: &str, text: String) -> String {
    match Uuid::try_parse(text.trim()) {
        Ok(uuid) if detail.ends_with("_uuid") => uuid.to_string(),
        _ => text,
    }
}
