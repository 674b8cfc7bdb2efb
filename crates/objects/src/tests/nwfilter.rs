// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Filters and bindings over a back end that notes what it is told.

use std::sync::{Arc, Mutex};

use virtus_api::{
    AnyRequest, Error, ErrorCode, NwfilterBindingCreateXml, NwfilterBindingDelete,
    NwfilterDefineXml, NwfilterUndefine, Request, Result,
};
use virtus_core::events::NoEvents;
use virtus_core::{Call, Identity, Session, Uri};
use virtus_xml::NwfilterBinding;

use crate::Shelf;
use crate::nwfilter::{FilterBackend, FilterView, Filters, HasFilters, routes};

/// What was told: cards and how many rules their filter has, in order. More rules than `MOST` cannot be kept.
#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

const MOST: usize = 2;

impl FilterBackend for Notes {
    async fn apply(&self, binding: &NwfilterBinding, filters: &FilterView) -> Result<()> {
        let filter = filters.get(&binding.filterref.filter);
        let rules = filter.map_or(0, |filter| filter.entries.0.len());
        self.0.lock().unwrap().push(format!("{} {rules}", binding.portdev.name));
        if rules > MOST {
            return Err(Error::new(ErrorCode::BuildFirewall, "too many rules"));
        }
        Ok(())
    }

    async fn clear(&self, binding: &NwfilterBinding) -> Result<()> {
        self.0.lock().unwrap().push(format!("{} free", binding.portdev.name));
        Ok(())
    }
}

struct Driver(Arc<Filters<Notes>>);

impl HasFilters for Driver {
    type Backend = Notes;

    fn filters(&self) -> &Arc<Filters<Notes>> {
        &self.0
    }
}

impl Driver {
    async fn new() -> Arc<Self> {
        let notes = Notes::default();
        Arc::new(Self(Filters::open(Shelf::Memory, Shelf::Memory, notes).await.unwrap()))
    }

    async fn ask<R: Request>(self: &Arc<Self>, request: R) -> Result<R::Reply> {
        let sink = Arc::new(NoEvents);
        let session = Session::new(Identity::default(), false, Uri::default(), sink);
        let reply = routes().respond(self, Call::new(session), AnyRequest::new(request)).await?;
        Ok(reply.take::<R>().unwrap())
    }

    async fn define(self: &Arc<Self>, name: &str, inside: &str) -> Result<virtus_api::NwfilterRef> {
        let uuid = uuid::Uuid::from_u128(name.bytes().map(u128::from).sum());
        let xml = format!("<filter name='{name}'><uuid>{uuid}</uuid>{inside}</filter>");
        self.ask(NwfilterDefineXml { xml }).await
    }

    fn told(&self) -> Vec<String> {
        std::mem::take(&mut self.0.backend().0.lock().unwrap())
    }
}

const RULE: &str = "<rule action='drop' direction='out'><all/></rule>";

fn binding(filter: &str) -> NwfilterBindingCreateXml {
    let owner = "<owner><name>g</name><uuid>d54df46f-1ab5-4a22-8618-4560ef5fac2c</uuid></owner>";
    let rest = format!("<mac address='52:54:00:00:00:01'/><filterref filter='{filter}'/>");
    let xml = format!("<filterbinding>{owner}<portdev name='vnet0'/>{rest}</filterbinding>");
    NwfilterBindingCreateXml { xml, flags: 0 }
}

#[tokio::test]
async fn cards_follow_the_filters_that_they_obey() {
    let driver = Driver::new().await;
    let inner = driver.define("inner", RULE).await.unwrap();
    driver.define("outer", "<filterref filter='inner'/>").await.unwrap();
    let card = driver.ask(binding("outer")).await.unwrap();
    assert_eq!(driver.told(), ["vnet0 1"]);
    let error = driver.ask(binding("outer")).await.unwrap_err();
    assert_eq!(error.to_string(), "operation failed: binding 'vnet0' already exists");

    driver.define("inner", &RULE.repeat(2)).await.unwrap();
    assert_eq!(driver.told(), ["vnet0 1"], "a part of its filter has changed");
    let error = driver.ask(NwfilterUndefine { nwfilter: inner.clone() }).await.unwrap_err();
    assert_eq!(error.to_string(), "Requested operation is not valid: nwfilter is in use");

    // What cannot be applied is not kept, and the card goes back to what it obeyed.
    driver.define("outer", &RULE.repeat(3)).await.unwrap_err();
    assert_eq!(driver.told(), ["vnet0 3", "vnet0 1"]);

    driver.ask(NwfilterBindingDelete { nwfilter: card }).await.unwrap();
    assert_eq!(driver.told(), ["vnet0 free"]);
    driver.ask(NwfilterUndefine { nwfilter: inner }).await.unwrap();
}

#[tokio::test]
async fn no_filter_is_a_part_of_itself() {
    let driver = Driver::new().await;
    let refers = |to: &str| format!("<filterref filter='{to}'/>");
    // A part may come later.
    driver.define("a", &refers("b")).await.unwrap();
    let (b, c) = (refers("c"), refers("a"));
    let (b, c) = tokio::join!(driver.define("b", &b), driver.define("c", &c));
    let refused = [b, c].into_iter().filter_map(Result::err).map(|error| error.text().to_owned());
    assert_eq!(refused.collect::<Vec<_>>(), ["filter would introduce a loop"]);
    let error = driver.define("self", &refers("self")).await.unwrap_err();
    assert_eq!(error.text(), "filter would introduce a loop");
}
