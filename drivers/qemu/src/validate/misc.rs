// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The small devices: watchdog, panic, balloon, rng, iommu, NVRAM, shmem, vsock, crypto, pstore.

use virtus_api::Result;
use virtus_xml::domain::address::Address;
use virtus_xml::domain::device::Device;
use virtus_xml::domain::misc::{
    BalloonModel, CryptoBackendModel, Iommu, IommuModel, Panic, PanicModel, RngModel,
    ShmemModelType, Watchdog, WatchdogModel,
};

use super::{Rules, need, unsupported, xml_error};
use crate::caps::Flag;
use crate::machine::{is_arm_virt, is_i440fx, is_pseries, is_q35, is_s390, is_x86};

pub(super) fn validate(rules: Rules<'_>) -> Result<()> {
    let devices = &rules.domain.devices;
    watchdogs(rules)?;
    devices.panics.iter().try_for_each(|one| panic(rules, one))?;
    if let Some(one) = &devices.iommu {
        iommu(rules, one)?;
    }
    if let Some(nvram) = &devices.nvram {
        need(is_pseries(rules.domain), || format!("<nvram>: {} has no NVRAM chip", rules.board()))?;
        rules.needs(Flag::Nvram, "<nvram>")?;
        if !matches!(nvram.info.address, Some(Address::SpaprVio { reg: Some(_) })) {
            return Err(xml_error("<nvram> needs <address type='spapr-vio' reg='…'>"));
        }
    }
    small(rules)
}

fn on_pci(info: &Device) -> bool {
    matches!(info.address, None | Some(Address::Pci(_)))
}

fn watchdogs(rules: Rules<'_>) -> Result<()> {
    let watchdogs = &rules.domain.devices.watchdogs;
    for (at, Watchdog { model, action, info }) in watchdogs.iter().enumerate() {
        let element = format!("<watchdog model='{model}'>");
        need(watchdogs[0].action == *action, || {
            format!("{element}: action '{action}', but the first one has '{}'", watchdogs[0].action)
        })?;
        let twins = watchdogs[..at].iter().any(|other| other.model == *model);
        need(!twins || *model == WatchdogModel::I6300esb, || format!("there are two {element}"))?;
        let (there, placed) = match model {
            WatchdogModel::I6300esb => (true, on_pci(info)),
            WatchdogModel::Ib700 => (is_i440fx(rules.domain), info.address.is_none()),
            WatchdogModel::Diag288 => (is_s390(rules.domain), info.address.is_none()),
            WatchdogModel::Itco => (is_q35(rules.domain), info.address.is_none()),
        };
        need(there, || format!("{element} is not on {}", rules.board()))?;
        need(placed, || match model {
            WatchdogModel::I6300esb => format!("{element} needs an address of type 'pci'"),
            _ => format!("{element} has no <address>: it is on no bus"),
        })?;
    }
    Ok(())
}

fn panic(rules: Rules<'_>, panic: &Panic) -> Result<()> {
    let domain = rules.domain;
    let Some(model) = panic.model else {
        return Err(unsupported(format!(
            "<panic> has no model and {} no usual one",
            rules.board()
        )));
    };
    let element = format!("<panic model='{model}'>");
    let place = &panic.info.address;
    let (there, placed, allowed) = match model {
        PanicModel::S390 => (is_s390(domain), place.is_none(), "none"),
        PanicModel::Pseries => (is_pseries(domain), place.is_none(), "none"),
        PanicModel::Hyperv => (is_x86(domain), place.is_none(), "none"),
        PanicModel::Isa => {
            rules.needs(Flag::Pvpanic, &element)?;
            (true, matches!(place, None | Some(Address::Isa { .. })), "isa")
        }
        PanicModel::Pvpanic => {
            rules.needs(Flag::PvpanicPci, &element)?;
            (true, matches!(place, Some(Address::Pci(_))), "pci")
        }
    };
    need(there, || format!("{element} is not on {}", rules.board()))?;
    need(placed, || {
        let stated = place.as_ref().map_or("none", |place| place.kind().as_str());
        format!("{element}: address type '{stated}'; allowed is {allowed}")
    })
}

fn iommu(rules: Rules<'_>, iommu: &Iommu) -> Result<()> {
    let domain = rules.domain;
    let element = format!("<iommu model='{}'>", iommu.model);
    let (there, flags): (bool, &[Flag]) = match iommu.model {
        IommuModel::Intel => (is_q35(domain), &[Flag::IntelIommu]),
        IommuModel::Smmuv3 => (is_arm_virt(domain), &[Flag::MachineVirtIommu]),
        IommuModel::Virtio => (
            is_arm_virt(domain) || is_q35(domain),
            &[Flag::VirtioIommuPci, Flag::VirtioIommuBootBypass],
        ),
    };
    need(there, || format!("{element} is not on {}", rules.board()))?;
    flags.iter().try_for_each(|flag| rules.needs(*flag, &element))?;
    if iommu.model == IommuModel::Virtio {
        need(domain.features.acpi, || format!("{element} needs <features><acpi/>"))?;
        need(on_pci(&iommu.info), || format!("{element} needs an address of type 'pci'"))?;
    }
    let Some(driver) = &iommu.driver else { return Ok(()) };
    for (name, set, flag) in [
        ("intremap", driver.intremap.is_some(), Flag::IntelIommuIntremap),
        ("caching_mode", driver.caching_mode.is_some(), Flag::IntelIommuCachingMode),
        ("eim", driver.eim.is_some(), Flag::IntelIommuEim),
        ("iotlb", driver.iotlb.is_some(), Flag::IntelIommuDeviceIotlb),
        ("aw_bits", driver.aw_bits.is_some(), Flag::IntelIommuAwBits),
        ("dma_translation", driver.dma_translation.is_some(), Flag::IntelIommuDmaTranslation),
    ] {
        if set {
            rules.needs(flag, format_args!("{element}<driver {name}>"))?;
        }
    }
    Ok(())
}

fn small(rules: Rules<'_>) -> Result<()> {
    let devices = &rules.domain.devices;
    if let Some(balloon) = devices.memballoon.as_ref().filter(|b| b.model != BalloonModel::None) {
        let element = format!("<memballoon model='{}'>", balloon.model);
        need(balloon.model != BalloonModel::Xen, || format!("{element} is for Xen"))?;
        if balloon.autodeflate.is_some() {
            rules.needs(
                Flag::VirtioBalloonPciDeflateOnOom,
                format_args!("{element}: 'autodeflate'"),
            )?;
        }
        if balloon.free_page_reporting.is_some() {
            let what = format_args!("{element}: 'freePageReporting'");
            rules.needs(Flag::VirtioBalloonFreePageReporting, what)?;
        }
    }
    for backend in devices.rngs.iter().filter_map(|rng| rng.backend.as_ref()) {
        let flag = match backend.model {
            RngModel::Random => Flag::RngRandom,
            RngModel::Egd => Flag::RngEgd,
            RngModel::Builtin => Flag::RngBuiltin,
        };
        rules.needs(flag, format_args!("<rng><backend model='{}'>", backend.model))?;
    }
    for shmem in &devices.shmems {
        let flag = match shmem.model.as_ref().map(|model| model.kind) {
            Some(ShmemModelType::IvshmemDoorbell) => Flag::IvshmemDoorbell,
            Some(ShmemModelType::IvshmemPlain) => Flag::IvshmemPlain,
            Some(ShmemModelType::Ivshmem) | None => {
                return Err(unsupported(format!(
                    "<shmem name='{}'>: model 'ivshmem' is gone; allowed are ivshmem-plain and ivshmem-doorbell",
                    shmem.name
                )));
            }
        };
        let element = format!("<shmem name='{}'>", shmem.name);
        rules.needs(flag, &element)?;
        let doorbell = flag == Flag::IvshmemDoorbell;
        need(doorbell == shmem.server.is_some(), || match doorbell {
            true => format!("{element}: model 'ivshmem-doorbell' needs a <server>"),
            false => format!("{element}: model 'ivshmem-plain' has no <server>"),
        })?;
        need(!doorbell || shmem.size.is_none(), || {
            format!("{element}: the <size> of model 'ivshmem-doorbell' is the server's")
        })?;
    }
    if devices.vsock.is_some() {
        rules.needs(Flag::VhostVsock, "<vsock>")?;
    }
    for crypto in &devices.cryptos {
        rules.needs(Flag::VirtioCrypto, format_args!("<crypto model='{}'>", crypto.model))?;
        if crypto.backend.as_ref().is_some_and(|b| b.model == CryptoBackendModel::Lkcf) {
            rules.needs(Flag::CryptodevBackendLkcf, "<crypto><backend model='lkcf'>")?;
        }
    }
    if let Some(pstore) = &devices.pstore {
        rules.needs(Flag::AcpiErst, format_args!("<pstore backend='{}'>", pstore.backend))?;
        need(on_pci(&pstore.info), || "<pstore> needs an address of type 'pci'".to_owned())?;
    }
    Ok(())
}
