// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<secret>`: what a secret is for. Its value never stands in a document.

use uuid::Uuid;
use virtus_api::{ErrorDomain, Result};

use crate::chance::Chance;
use crate::document::Document;
use crate::reader::{Node, ParseFlags};
use crate::schema::kinds::{AbsolutePath, ObjectName};
use crate::value::YesNo;

element! {
    /// `<secret>`.
    pub struct Secret {
        /// Whether it is kept in memory only.
        attr ephemeral: YesNo = "ephemeral",
        /// Whether its value is never told to a client.
        attr private: YesNo = "private",
        leaf uuid: Option<Uuid> = "uuid",
        leaf description: Option<String> = "description",
        child usage: Option<Usage> = "usage"
    }
}

element! {
    /// `<usage>`: which object needs it; type and name together are unique among all secrets.
    pub struct Usage {
        required kind: UsageType = "type",
        leaf volume: Option<String> = "volume",
        leaf name: Option<String> = "name",
        leaf target: Option<String> = "target"
    }
    schema {
        case "type" ["volume"] { one_leaf AbsolutePath = "volume", without child "name", without child "target" },
        case "type" ["ceph" "tls" "vtpm"] {
            one_leaf ObjectName = "name", without child "volume", without child "target"
        },
        case "type" ["iscsi"] { one_leaf ObjectName = "target", without child "volume", without child "name" }
    }
    then Self::check
}

spellings! {
    /// What kind of object needs a secret.
    pub enum UsageType {
        None = "none", Volume = "volume", Ceph = "ceph", Iscsi = "iscsi", Tls = "tls", Vtpm = "vtpm",
    }
}

impl Usage {
    /// Keeps the one name that the type asks for.
    fn check(&mut self, node: Node<'_>) -> Result<()> {
        let (tag, named) = match self.kind {
            UsageType::None => return Ok(()),
            UsageType::Volume => ("volume", &self.volume),
            UsageType::Iscsi => ("target", &self.target),
            UsageType::Ceph | UsageType::Tls | UsageType::Vtpm => ("name", &self.name),
        };
        let Some(id) = named.clone().filter(|id| !id.is_empty()) else {
            return Err(node
                .error(format_args!("{} usage specified, but its <{tag}> is missing", self.kind)));
        };
        *self = Self { kind: self.kind, ..Self::default() };
        match tag {
            "volume" => self.volume = Some(id),
            "target" => self.target = Some(id),
            _ => self.name = Some(id),
        }
        Ok(())
    }

    /// The name of the object that needs the secret.
    #[must_use]
    pub fn id(&self) -> &str {
        let id = self.volume.as_deref().or(self.name.as_deref()).or(self.target.as_deref());
        id.unwrap_or_default()
    }
}

impl Document for Secret {
    const ROOT: &'static str = "secret";
    const WHAT: &'static str = "(definition_of_secret)";
    const DOMAIN: ErrorDomain = ErrorDomain::Secret;

    fn settle(&mut self, _: ParseFlags) -> Result<()> {
        self.description.take_if(|text| text.is_empty());
        self.usage.take_if(|usage| usage.kind == UsageType::None);
        Ok(())
    }
}

impl Secret {
    /// Gives the secret a UUID if it has none.
    pub fn name_missing(&mut self, random: &mut dyn FnMut(&mut [u8])) {
        self.uuid.get_or_insert_with(|| Chance(random).uuid());
    }
}
