// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Where a container's control groups are: below the scope that systemd-machined makes for it, or where there is no
//! machined, in the partition of its definition. Its status file says so.

use virtus_domain::machined::{Registration, machine_name, terminate};
use virtus_domain::{Private, Undo};
use virtus_host::cgroup::{Cgroups, Group};
use virtus_host::net;
use virtus_xml::Domain;
use virtus_xml::tree::Tree;

use crate::end::end_group;
use crate::launch::Place;
use crate::plan::{self, PARTITION, Plan};

/// The element of the status file.
const ELEMENT: &str = "cgroup";
/// The container's group below its scope, whose own limits are systemd's.
const BELOW_SCOPE: &str = "/libvirt";

/// The groups of one container.
pub(crate) struct Home {
    /// The one with its limits.
    pub(crate) group: String,
    /// As what machined knows it, if it does.
    pub(crate) registration: Option<Registration>,
}

impl Home {
    /// Registers a container that is about to be built by the process `controller`.
    pub(crate) async fn make(
        cgroups: &Cgroups,
        plan: &Plan,
        controller: u32,
        undo: &mut Undo,
    ) -> Self {
        let registration = register(&plan.def, machine_name("lxc", controller, &plan.def.name));
        let partition = plan.def.resource.as_ref().and_then(|r| r.partition.as_deref());
        let Some(scope) = registration.create(controller, partition.unwrap_or(PARTITION)).await
        else {
            return Self { group: plan.blueprint.cgroup.clone(), registration: None };
        };
        undo.push("machine", forget(registration.name.clone(), cgroups.group(&scope)));
        Self { group: format!("{scope}{BELOW_SCOPE}"), registration: Some(registration) }
    }

    /// That of a container that a former daemon has started.
    pub(crate) fn find(def: &Domain, private: &Private) -> Self {
        let noted = private.others.iter().find(|tree| tree.name == ELEMENT);
        let of = |name| noted.and_then(|tree| tree.attr(name)).map(str::to_owned);
        Self {
            group: of("path").unwrap_or_else(|| plan::group(def)),
            registration: of("machine").map(|name| register(def, name)),
        }
    }

    /// Writes it down, once.
    pub(crate) fn note(&self, private: &mut Private) {
        let mut tree = Tree::new(ELEMENT).with("path", &self.group);
        if let Some(registration) = &self.registration {
            tree = tree.with("machine", &registration.name);
        }
        private.others.retain(|tree| tree.name != ELEMENT);
        private.others.push(tree);
    }

    /// What the controller is told.
    pub(crate) fn place(&self) -> Option<Place> {
        let scope = self.group.strip_suffix(BELOW_SCOPE).filter(|_| self.registration.is_some())?;
        Some(Place { group: self.group.clone(), controller: format!("{scope}/controller") })
    }
}

/// Ends what may be left of a machine whose controller has ended.
pub(crate) async fn forget(name: String, scope: Group) {
    terminate(&name).await;
    // systemd removes it where it makes groups itself.
    end_group(scope).await;
}

fn register(def: &Domain, name: String) -> Registration {
    let ends = def.devices.interfaces.iter().filter_map(|interface| interface.target_dev());
    Registration {
        name,
        uuid: def.uuid.unwrap_or_default(),
        service: "libvirt-lxc",
        class: "container",
        interfaces: ends.filter_map(net::index).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_that_was_noted_is_found_under_another_number() {
        let mut def = Domain { id: Some(7), ..Domain::default() };
        let mut home = Home::find(&def, &Private::default());
        assert_eq!(home.group, plan::group(&def));
        home.registration = Some(register(&def, "lxc-7-box".to_owned()));
        let mut private = Private::default();
        home.note(&mut private);
        home.note(&mut private);
        assert_eq!(private.others.len(), 1);
        def.id = Some(8);
        let found = Home::find(&def, &private);
        assert_eq!((found.group, found.registration), (home.group, home.registration));
    }
}
