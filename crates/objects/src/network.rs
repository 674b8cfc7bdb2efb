// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Virtual networks.

use std::borrow::Cow;

use uuid::Uuid;
use virtus_api::ErrorCode;
use virtus_xml::Network;

use crate::kind::Kind;

impl Kind for Network {
    type Extra = ();
    const WORD: &'static str = "network";
    const MISSING: ErrorCode = ErrorCode::NoNetwork;
    const LIST: &'static str = "net-list --all";
    const EDIT: Option<&'static str> = Some("net-edit");

    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.body.name)
    }

    fn uuid(&self) -> Option<Uuid> {
        self.body.uuid
    }
}
