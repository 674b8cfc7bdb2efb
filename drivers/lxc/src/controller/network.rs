// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Network devices that are in a container: the controller moves them in and brings them back.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use virtus_host::link::Links;
use virtus_host::net;

use crate::blueprint::Link;
use crate::failure::{Attempt, Failure, Step};

/// A container's own network namespace, and what was moved into it.
pub(super) struct Network {
    namespace: OwnedFd,
    links: Vec<Link>,
}

impl Network {
    /// That of this process.
    pub(super) fn of(pid: u32) -> Step<Self> {
        Ok(Self { namespace: namespace(&pid.to_string(), "net")?, links: Vec::new() })
    }

    /// Moves a device in, where it is switched off and has no address.
    pub(super) fn take(&mut self, link: &Link) -> Step<()> {
        Links::open()?.move_to(&link.host_name, self.namespace.as_fd(), &link.name)?;
        self.links.push(link.clone());
        Ok(())
    }

    /// Gives a device that was moved in what the blueprint says.
    pub(super) fn set_up(&self, link: &Link) -> Step<()> {
        self.inside(|_| set_up(&Links::open()?, link))
    }

    /// Switches a device on or off.
    pub(super) fn switch(&self, name: &str, up: bool) -> Step<()> {
        self.inside(|_| Ok(net::set_up(name, up)?))
    }

    /// Brings the device with this name in the container back, called as it was before.
    pub(super) fn give_back(&mut self, name: &str) -> Step<()> {
        let place = self.links.iter().position(|link| link.name == name);
        let place = place.ok_or_else(|| {
            Failure::refused(format!("no network device '{name}' was moved into the container"))
        })?;
        let link = &self.links[place];
        self.inside(|host| Ok(Links::open()?.move_to(name, host.as_fd(), &link.host_name)?))?;
        self.links.remove(place);
        Ok(())
    }

    /// Brings back all of them, or, when the container is over, those that do not go with it.
    pub(super) fn give_all_back(&mut self, over: bool) {
        let back = self.links.iter().filter(|link| link.of_host || !over);
        let names: Vec<String> = back.map(|link| link.name.clone()).collect();
        for name in names {
            if let Err(failure) = self.give_back(&name) {
                super::log(&failure.attempt);
            }
        }
    }

    /// Does something in the namespace; it is told the host's.
    fn inside(&self, work: impl FnOnce(&OwnedFd) -> Step<()>) -> Step<()> {
        let enter = |namespace: &OwnedFd| {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
                .attempt(|| "change the network namespace")
        };
        let host = namespace("self", "net")?;
        enter(&self.namespace)?;
        let done = work(&host);
        enter(&host)?;
        done
    }
}

/// A namespace of a process, kept by its descriptor.
pub(super) fn namespace(process: &str, name: &str) -> Step<OwnedFd> {
    let path = format!("/proc/{process}/ns/{name}");
    File::open(&path).map(Into::into).attempt(|| format!("open '{path}'"))
}

/// Gives a device of the caller's namespace its address, switches it on, and leads routes through it.
pub(super) fn set_up(links: &Links, link: &Link) -> Step<()> {
    let name = &link.name;
    links.set(name, link.mac, link.up)?;
    for address in &link.addresses {
        links.add_address(name, address.address, address.prefix, address.peer)?;
    }
    for route in &link.routes {
        links.add_route(name, (route.network, route.prefix), route.gateway, route.metric)?;
    }
    Ok(())
}
