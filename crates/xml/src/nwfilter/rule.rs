// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<rule>`: what happens to the packets that match.

use virtus_api::Result;

use super::Matches;
use crate::reader::Node;
use crate::value::{Allowed, Value};
use crate::writer::Escaped;

element! {
    /// `<rule>`. Without a protocol it matches every packet.
    pub struct Rule {
        required action: Action = "action",
        required direction: Direction = "direction",
        attr priority: RulePriority = "priority",
        attr statematch: Option<StateMatch> = "statematch",
        part matches: Matches
    }
    then Self::check
}

spellings! {
    /// What happens to a packet.
    pub enum Action {
        Drop = "drop", Accept = "accept", Reject = "reject", Return = "return", Continue = "continue",
    }
}

spellings! {
    /// Which way a packet goes, as the guest sees it.
    pub enum Direction { In = "in", Out = "out", Inout = "inout" }
}

/// When a rule is tried: the lowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RulePriority(pub i32);

impl Default for RulePriority {
    fn default() -> Self {
        Self(500)
    }
}

impl Value for RulePriority {
    const ALLOWED: Allowed = Allowed::A("a number from -1000 to 1000");
    fn parse(text: &str) -> Option<Self> {
        i32::parse(text).filter(|priority| (-1000..=1000).contains(priority)).map(Self)
    }
    fn write(&self, out: &mut Escaped<'_>) {
        out.put(self.0);
    }
}

/// Whether the connection that a packet belongs to counts; only `false` is ever written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateMatch(pub bool);

impl Value for StateMatch {
    const ALLOWED: Allowed = Allowed::OneOf(&["true", "false"]);
    fn parse(text: &str) -> Option<Self> {
        Some(Self(text != "0" && !text.eq_ignore_ascii_case("false")))
    }
    fn write(&self, out: &mut Escaped<'_>) {
        out.put(self.0);
    }
}

impl Rule {
    fn check(&mut self, _: Node<'_>) -> Result<()> {
        self.statematch.take_if(|matched| matched.0);
        Ok(())
    }
}
