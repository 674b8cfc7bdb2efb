// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<permissions>`: who may open the folder of a pool or the file of a volume.

use crate::schema::Data;
use crate::value::{Allowed, Value};
use crate::writer::Escaped;

element! {
    /// `<permissions>`. What is not named is left to the system.
    pub struct Permissions {
        leaf mode: Option<Mode> = "mode",
        leaf owner: Option<Account> = "owner",
        leaf group: Option<Account> = "group",
        leaf label: Option<String> = "label"
    }
}

/// Permission bits, in octal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mode(pub u32);

impl Value for Mode {
    const ALLOWED: Allowed = Allowed::A("an octal mode of at most 0777");
    const DATA: Data = Data::Pattern("0*[0-7]{1,3}");
    fn parse(text: &str) -> Option<Self> {
        let mode = u32::from_str_radix(text.trim_ascii(), 8).ok()?;
        (mode <= 0o777).then_some(Self(mode))
    }
    fn write(&self, out: &mut Escaped<'_>) {
        out.put(format_args!("0{:o}", self.0));
    }
}

/// The number of a user or a group; -1, which older versions wrote, names nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Account(pub u32);

impl Account {
    const NOBODY: Self = Self(u32::MAX);
}

impl Value for Account {
    const ALLOWED: Allowed = Allowed::A("the number of a user or a group, or -1");
    const DATA: Data = Data::Pattern("-1|[0-9]{1,10}");
    fn parse(text: &str) -> Option<Self> {
        match text.trim_ascii() {
            "-1" => Some(Self::NOBODY),
            text => text.parse().ok().map(Self),
        }
    }
    fn write(&self, out: &mut Escaped<'_>) {
        out.put(self.0);
    }
}

impl Permissions {
    /// Drops what names nothing.
    pub(crate) fn settle(&mut self) {
        self.owner = self.owner.filter(|owner| *owner != Account::NOBODY);
        self.group = self.group.filter(|group| *group != Account::NOBODY);
        self.label.take_if(|label| label.is_empty());
    }
}
