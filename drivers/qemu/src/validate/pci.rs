// SPDX-License-Identifier: Apache-2.0 OR MIT
//! PCI controllers: which machine has them, and which settings each model has.

use virtus_api::Result;
use virtus_xml::domain::controller::{Controller, ControllerType};

use super::{Rules, need, unsupported};
use crate::caps::Flag;
use crate::machine::{is_arm_virt, is_i440fx, is_pseries, is_q35, machine};

pub(super) fn validate(rules: Rules<'_>) -> Result<()> {
    let controllers = rules.domain.devices.controllers.iter();
    controllers.filter(|c| c.kind == ControllerType::Pci).try_for_each(|one| controller(rules, one))
}

fn controller(rules: Rules<'_>, controller: &Controller) -> Result<()> {
    let domain = rules.domain;
    let index = controller.index.unwrap_or_default();
    let model = controller.model.as_deref().unwrap_or_default();
    let element = format!("<controller type='pci' index='{index}' model='{model}'>");
    let bridge = is_pseries(domain) && model == "pci-root";
    device(rules, controller, &element)?;
    let root = matches!(model, "pci-root" | "pcie-root");
    need(root || index > 0, || format!("{element}: index 0 is the root's"))?;
    need(!root || bridge || index == 0, || format!("{element} must have index 0"))?;

    let expander = matches!(model, "pci-expander-bus" | "pcie-expander-bus");
    let port = matches!(model, "pcie-root-port" | "pcie-switch-downstream-port");
    let none = virtus_xml::domain::controller::PciTarget::default();
    let target = controller.target.as_ref().unwrap_or(&none);
    let hole = match model {
        "pci-root" => is_i440fx(domain),
        "pcie-root" => is_q35(domain) || is_arm_virt(domain),
        _ => false,
    };
    for (setting, set, allowed, required) in [
        ("<target index>", target.index.is_some(), bridge, bridge),
        ("<pcihole64>", controller.pcihole64.is_some(), hole, false),
        ("<target busNr>", target.bus_nr.is_some(), expander, expander),
        ("<target><node>", target.node.is_some(), expander || (bridge && index > 0), false),
        (
            "<target chassisNr>",
            target.chassis_nr.is_some(),
            model == "pci-bridge",
            model == "pci-bridge",
        ),
        ("<target chassis>", target.chassis.is_some(), port, port),
        ("<target port>", target.port.is_some(), port, port),
        ("<target hotplug>", target.hotplug.is_some(), port || model == "pci-root", false),
        (
            "<target memReserve>",
            target.mem_reserve.is_some(),
            matches!(model, "pcie-root-port" | "pci-bridge"),
            false,
        ),
    ] {
        need(allowed || !set, || {
            format!("{element} on machine '{}' has no {setting}", machine(domain))
        })?;
        if required && !set {
            return Err(unsupported(format!("{element} needs {setting}")));
        }
    }
    if target.hotplug.is_some() {
        let flag = if port { Flag::PcieRootPortHotplug } else { Flag::Piix4AcpiRootPciHotplug };
        rules.needs(flag, format_args!("{element}<target hotplug>"))?;
    }
    if bridge && target.node.is_some() {
        rules.needs(Flag::SpaprPciHostBridgeNumaNode, format_args!("{element}<target><node>"))?;
    }
    Ok(())
}

/// The device by which QEMU implements it.
fn device(rules: Rules<'_>, controller: &Controller, element: &str) -> Result<()> {
    let model = controller.model.as_deref().unwrap_or_default();
    let name = controller.pci_model.as_ref().map(|model| model.name.as_str());
    let allowed: &[&str] = match model {
        "pci-root" if is_pseries(rules.domain) => &["spapr-pci-host-bridge"],
        "pci-bridge" => &["pci-bridge"],
        "dmi-to-pci-bridge" => &["i82801b11-bridge"],
        "pcie-to-pci-bridge" => &["pcie-pci-bridge"],
        "pcie-root-port" => &["pcie-root-port", "ioh3420"],
        "pcie-switch-upstream-port" => &["x3130-upstream"],
        "pcie-switch-downstream-port" => &["xio3130-downstream"],
        "pci-expander-bus" => &["pxb"],
        "pcie-expander-bus" => &["pxb-pcie"],
        _ => &[],
    };
    let Some(name) = name else {
        return if allowed.is_empty() {
            Ok(())
        } else {
            Err(unsupported(format!("{element} needs <model name='{}'>", allowed[0])))
        };
    };
    need(allowed.contains(&name), || match allowed {
        [] => format!("{element} is part of the machine and has no <model name='{name}'>"),
        known => format!("{element}<model name='{name}'>: allowed are {}", known.join(", ")),
    })?;
    let flag = match name {
        "pci-bridge" => Flag::PciBridge,
        "i82801b11-bridge" => Flag::DmiToPciBridge,
        "ioh3420" => Flag::Ioh3420,
        "x3130-upstream" => Flag::X3130Upstream,
        "xio3130-downstream" => Flag::Xio3130Downstream,
        "pxb" => Flag::Pxb,
        "pxb-pcie" => Flag::PxbPcie,
        "pcie-root-port" => Flag::PcieRootPort,
        "spapr-pci-host-bridge" => Flag::SpaprPciHostBridge,
        _ => Flag::PciePciBridge,
    };
    rules.needs(flag, format_args!("{element}<model name='{name}'>"))
}
