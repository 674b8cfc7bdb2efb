// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Lists, counts and statistics, as far as a client may see what is in them.
//!
//! Names, ids and numbers are drawn from the list of references of the same objects, so that the bound that a client
//! sets counts what it may see. A list that could not be decided upon fails as a whole: a shorter one would lie.

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use virtus_api::{
    self as api, AnyReply, AnyRequest, CallId, ConnectListAllDomainsFlags as Domains,
    ConnectListAllInterfacesFlags as Interfaces, ConnectListAllNetworksFlags as Networks,
    ConnectListAllStoragePoolsFlags as Pools, Permission, Request, Result, Subject,
};

use super::guard::Guard;
use super::{Details, denied};
use crate::connection::Drivers;
use crate::routes::unsupported;

/// Questions about one list that wait for an answer at the same time.
const AT_ONCE: usize = 16;

/// An element of a list.
trait Element: Send + Sync {
    fn subject(&self) -> Subject<'_>;
}

/// A call that answers with references to all objects of a kind and their number, or with the number alone.
trait Listing: Request {
    type Element: Element;

    /// Asks for the references; whether it did already.
    fn need(&mut self) -> bool;

    fn parts(reply: &mut Self::Reply) -> (&mut Vec<Self::Element>, &mut u32);
}

macro_rules! listings {
    ($($call:ident { $list:ident: $kind:ident($element:ident) })*) => { $(
        impl Element for api::$element {
            fn subject(&self) -> Subject<'_> {
                Subject::$kind(self)
            }
        }

        impl Listing for api::$call {
            type Element = api::$element;

            fn need(&mut self) -> bool {
                std::mem::replace(&mut self.need_results, 1) != 0
            }

            fn parts(reply: &mut Self::Reply) -> (&mut Vec<Self::Element>, &mut u32) {
                (&mut reply.$list, &mut reply.ret)
            }
        }
    )* };
}

listings! {
    ConnectListAllDomains { domains: Domain(DomainRef) }
    ConnectListAllInterfaces { ifaces: Interface(InterfaceRef) }
    ConnectListAllNetworks { nets: Network(NetworkRef) }
    NetworkListAllPorts { ports: NetworkPort(NetworkPortRef) }
    ConnectListAllNwfilters { filters: Nwfilter(NwfilterRef) }
    ConnectListAllNwfilterBindings { bindings: NwfilterBinding(NwfilterBindingRef) }
    ConnectListAllSecrets { secrets: Secret(SecretRef) }
    ConnectListAllStoragePools { pools: StoragePool(StoragePoolRef) }
    StoragePoolListAllVolumes { vols: StorageVol(StorageVolRef) }
}

impl Listing for api::ConnectListAllNodeDevices {
    type Element = api::NodeDeviceRef;

    fn need(&mut self) -> bool {
        std::mem::replace(&mut self.need_results, 1) != 0
    }

    fn parts(reply: &mut Self::Reply) -> (&mut Vec<Self::Element>, &mut u32) {
        (&mut reply.devices, &mut reply.ret)
    }
}

impl Element for api::NodeDeviceRef {
    fn subject(&self) -> Subject<'_> {
        Subject::NodeDevice(&self.name)
    }
}

impl Element for api::DomainStatsRecord {
    fn subject(&self) -> Subject<'_> {
        Subject::Domain(&self.dom)
    }
}

/// A node device in a list of names.
impl Element for String {
    fn subject(&self) -> Subject<'_> {
        Subject::NodeDevice(self)
    }
}

/// A list being answered.
struct Sieve<'a> {
    guard: &'a Guard,
    drivers: &'a Drivers,
    /// What an element takes to be shown.
    permission: Permission,
}

impl Guard {
    /// Answers a call whose answer depends on what the client may see.
    pub(super) async fn sieved(
        &self,
        drivers: &Drivers,
        request: AnyRequest,
        permission: Permission,
    ) -> Result<AnyReply> {
        let sieve = Sieve { guard: self, drivers, permission };
        let id = request.call();
        let request = match sieve.whole(request).await? {
            Answer::Is(reply) => return Ok(reply),
            Answer::Of(request) => request,
        };
        match sieve.part(request).await? {
            Answer::Is(reply) => Ok(reply),
            // A list that nobody knows how to sieve shows nothing.
            Answer::Of(_) => Err(denied(self.driver, id.meta().filter[0])),
        }
    }
}

/// An answer, or the request if it is not of the kind that is answered here.
enum Answer {
    Is(AnyReply),
    Of(AnyRequest),
}

/// Answers the request if it is one of these calls.
macro_rules! answer {
    ($any:ident; $($pattern:ident as $request:ident => $reply:expr,)*) => {
        match $any.call() {
            $(CallId::$pattern => {
                let $request: api::$pattern = $any.take().map_err(|other| unsupported(other.call()))?;
                Answer::Is(AnyReply::new::<api::$pattern>($reply))
            })*
            _ => Answer::Of($any),
        }
    };
}

impl Sieve<'_> {
    /// Lists of references, and what is told with a reference each.
    async fn whole(&self, any: AnyRequest) -> Result<Answer> {
        Ok(answer! { any;
            ConnectListAllDomains as list => self.list(list).await?,
            ConnectListAllInterfaces as list => self.list(list).await?,
            ConnectListAllNetworks as list => self.list(list).await?,
            ConnectListAllNodeDevices as list => self.list(list).await?,
            ConnectListAllNwfilters as list => self.list(list).await?,
            ConnectListAllNwfilterBindings as list => self.list(list).await?,
            ConnectListAllSecrets as list => self.list(list).await?,
            ConnectListAllStoragePools as list => self.list(list).await?,
            NetworkListAllPorts as list => self.list(list).await?,
            StoragePoolListAllVolumes as list => self.volumes(list).await?,
            ConnectGetAllDomainStats as stats => self.visible(self.drivers.ask(stats).await?).await?,
        })
    }

    /// Names, ids and numbers.
    async fn part(&self, any: AnyRequest) -> Result<Answer> {
        Ok(answer! { any;
            ConnectNumOfDomains as _all => count(&self.domains(Domains::ACTIVE).await?),
            ConnectListDomains as wanted => {
                let found = self.domains(Domains::ACTIVE).await?;
                found.iter().map(|domain| domain.id).take(at_most(wanted.maxids)).collect()
            },
            ConnectNumOfDefinedDomains as _all => count(&self.domains(Domains::INACTIVE).await?),
            ConnectListDefinedDomains as wanted => {
                let found = self.domains(Domains::INACTIVE).await?;
                first(found, wanted.maxnames, |domain| domain.name)
            },
            ConnectNumOfInterfaces as _all => count(&self.interfaces(Interfaces::ACTIVE).await?),
            ConnectListInterfaces as wanted => {
                let found = self.interfaces(Interfaces::ACTIVE).await?;
                first(found, wanted.maxnames, |interface| interface.name)
            },
            ConnectNumOfDefinedInterfaces as _all => {
                count(&self.interfaces(Interfaces::INACTIVE).await?)
            },
            ConnectListDefinedInterfaces as wanted => {
                let found = self.interfaces(Interfaces::INACTIVE).await?;
                first(found, wanted.maxnames, |interface| interface.name)
            },
            ConnectNumOfNetworks as _all => count(&self.networks(Networks::ACTIVE).await?),
            ConnectListNetworks as wanted => {
                first(self.networks(Networks::ACTIVE).await?, wanted.maxnames, |net| net.name)
            },
            ConnectNumOfDefinedNetworks as _all => count(&self.networks(Networks::INACTIVE).await?),
            ConnectListDefinedNetworks as wanted => {
                first(self.networks(Networks::INACTIVE).await?, wanted.maxnames, |net| net.name)
            },
            ConnectNumOfStoragePools as _all => count(&self.pools(Pools::ACTIVE).await?),
            ConnectListStoragePools as wanted => {
                first(self.pools(Pools::ACTIVE).await?, wanted.maxnames, |pool| pool.name)
            },
            ConnectNumOfDefinedStoragePools as _all => count(&self.pools(Pools::INACTIVE).await?),
            ConnectListDefinedStoragePools as wanted => {
                first(self.pools(Pools::INACTIVE).await?, wanted.maxnames, |pool| pool.name)
            },
            StoragePoolNumOfVolumes as of => {
                let list = api::StoragePoolListAllVolumes { pool: of.pool, need_results: 1, flags: 0 };
                count(&self.volumes(list).await?.vols)
            },
            StoragePoolListVolumes as of => {
                let list = api::StoragePoolListAllVolumes { pool: of.pool, need_results: 1, flags: 0 };
                first(self.volumes(list).await?.vols, of.maxnames, |vol| vol.name)
            },
            ConnectNumOfNwfilters as _all => {
                let list = api::ConnectListAllNwfilters { need_results: 1, flags: 0 };
                count(&self.list(list).await?.filters)
            },
            ConnectListNwfilters as wanted => {
                let list = api::ConnectListAllNwfilters { need_results: 1, flags: 0 };
                first(self.list(list).await?.filters, wanted.maxnames, |filter| filter.name)
            },
            ConnectNumOfSecrets as _all => {
                let list = api::ConnectListAllSecrets { need_results: 1, flags: 0 };
                count(&self.list(list).await?.secrets)
            },
            ConnectListSecrets as wanted => {
                let list = api::ConnectListAllSecrets { need_results: 1, flags: 0 };
                let found = self.list(list).await?.secrets;
                first(found, wanted.maxuuids, |secret| secret.uuid.to_string())
            },
            NodeNumOfDevices as of => count(&self.devices(of.cap, of.flags).await?),
            NodeListDevices as of => {
                first(self.devices(of.cap, of.flags).await?, of.maxnames, |name| name)
            },
        })
    }

    async fn domains(&self, flags: Domains) -> Result<Vec<api::DomainRef>> {
        let list = api::ConnectListAllDomains { need_results: 1, flags: flags.bits() };
        Ok(self.list(list).await?.domains)
    }

    async fn interfaces(&self, flags: Interfaces) -> Result<Vec<api::InterfaceRef>> {
        let list = api::ConnectListAllInterfaces { need_results: 1, flags: flags.bits() };
        Ok(self.list(list).await?.ifaces)
    }

    async fn networks(&self, flags: Networks) -> Result<Vec<api::NetworkRef>> {
        let list = api::ConnectListAllNetworks { need_results: 1, flags: flags.bits() };
        Ok(self.list(list).await?.nets)
    }

    async fn pools(&self, flags: Pools) -> Result<Vec<api::StoragePoolRef>> {
        let list = api::ConnectListAllStoragePools { need_results: 1, flags: flags.bits() };
        Ok(self.list(list).await?.pools)
    }

    /// Names of devices with a capability.
    async fn devices(&self, cap: Option<String>, flags: u32) -> Result<Vec<String>> {
        let all = api::NodeListDevices { cap, maxnames: i32::MAX, flags };
        self.visible(self.drivers.ask(all).await?).await
    }

    async fn volumes(
        &self,
        list: api::StoragePoolListAllVolumes,
    ) -> Result<api::StoragePoolListAllVolumesReply> {
        let (guard, pool) = (self.guard, self.guard.pool(self.drivers, &list.pool).await?);
        self.list_with(list, |vol| Details::of_volume(guard.driver, &pool, vol)).await
    }

    /// The list as far as it may be seen.
    async fn list<R: Listing>(&self, list: R) -> Result<R::Reply> {
        self.list_with(list, |element| Details::of(self.guard.driver, element.subject())).await
    }

    async fn list_with<R: Listing>(
        &self,
        mut list: R,
        details: impl Fn(&R::Element) -> Details + Send + Sync,
    ) -> Result<R::Reply> {
        let with_elements = list.need();
        let mut reply = self.drivers.ask(list).await?;
        let (elements, number) = R::parts(&mut reply);
        *elements = self.those(std::mem::take(elements), details).await?;
        *number = u32::try_from(elements.len()).unwrap_or(u32::MAX);
        if !with_elements {
            elements.clear();
        }
        Ok(reply)
    }

    async fn visible<T: Element>(&self, all: Vec<T>) -> Result<Vec<T>> {
        self.those(all, |element| Details::of(self.guard.driver, element.subject())).await
    }

    /// The elements that may be seen, in their order.
    async fn those<T: Send>(
        &self,
        all: Vec<T>,
        details: impl Fn(&T) -> Details + Send + Sync,
    ) -> Result<Vec<T>> {
        let questions: Vec<_> = all
            .iter()
            .map(|element| self.guard.allows(self.permission, details(element)))
            .collect();
        let allowed: Vec<bool> = stream::iter(questions).buffered(AT_ONCE).try_collect().await?;
        let mut allowed = allowed.into_iter();
        Ok(all.into_iter().filter(|_| allowed.next().unwrap_or_default()).collect())
    }
}

fn count<T>(list: &[T]) -> i32 {
    i32::try_from(list.len()).unwrap_or(i32::MAX)
}

fn first<T>(list: Vec<T>, max: i32, name: impl Fn(T) -> String) -> Vec<String> {
    list.into_iter().map(name).take(at_most(max)).collect()
}

fn at_most(max: i32) -> usize {
    usize::try_from(max).unwrap_or_default()
}
