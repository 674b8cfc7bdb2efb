// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Limits: `lxc.cgroup.…`.

use virtus_api::Result;
use virtus_xml::Domain;
use virtus_xml::cpuset::CpuSet;
use virtus_xml::domain::memory::{Memtune, NumaMemory, NumaMode, Numatune, Placement};
use virtus_xml::domain::tuning::{BlkioDevice, Blkiotune};
use virtus_xml::units::Kib;
use virtus_xml::value::Value;

use super::{Config, number, refused, size};

pub(super) fn convert(config: &Config, def: &mut Domain) -> Result<()> {
    memory(config, def)?;
    let tune = &mut def.cputune;
    tune.shares = config.number("lxc.cgroup.cpu.shares")?;
    tune.quota = config.number("lxc.cgroup.cpu.cfs_quota_us")?;
    tune.period = config.number("lxc.cgroup.cpu.cfs_period_us")?;
    if let Some(cpus) = set(config, "lxc.cgroup.cpuset.cpus")? {
        def.vcpu.get_or_insert_default().cpuset = Some(cpus);
    }
    if let Some(nodes) = set(config, "lxc.cgroup.cpuset.mems")? {
        let memory = NumaMemory {
            mode: NumaMode::Strict,
            nodeset: Some(nodes),
            placement: Some(Placement::Static),
        };
        def.numatune = Some(Numatune { memory: Some(memory), ..Numatune::default() });
    }
    disks(config, def)
}

fn memory(config: &Config, def: &mut Domain) -> Result<()> {
    let limit = |name: &str| {
        let key = format!("lxc.cgroup.memory.{name}");
        let value = config.get(&key).filter(|value| *value != "-1");
        value.map(|value| size(&key, value)).transpose()
    };
    let tune = Memtune {
        hard_limit: limit("limit_in_bytes")?,
        soft_limit: limit("soft_limit_in_bytes")?,
        swap_hard_limit: limit("memsw.limit_in_bytes")?,
        ..Memtune::default()
    };
    if let Some(Kib(kib)) = tune.hard_limit {
        def.memory.kib = kib;
    }
    def.memtune = (tune != Memtune::default()).then_some(tune);
    Ok(())
}

fn set(config: &Config, key: &str) -> Result<Option<CpuSet>> {
    let parse = |value: &str| {
        CpuSet::parse(value)
            .ok_or_else(|| refused(format!("'{value}' is no list that '{key}' can have")))
    };
    config.get(key).map(parse).transpose()
}

/// `KEY = MAJOR:MINOR VALUE` for each disk.
fn disks(config: &Config, def: &mut Domain) -> Result<()> {
    let mut tune =
        Blkiotune { weight: config.number("lxc.cgroup.blkio.weight")?, ..Blkiotune::default() };
    for (key, value) in &config.0 {
        let Some(what) = key.strip_prefix("lxc.cgroup.blkio.").filter(|what| *what != "weight")
        else {
            continue;
        };
        let mut words = value.split_ascii_whitespace();
        let (Some(device), Some(limit)) = (words.next(), words.next()) else {
            return Err(refused(format!("invalid {key} value: '{value}'")));
        };
        let path = format!("/dev/block/{device}");
        let known = tune.devices.iter().position(|device| device.path == path);
        let at = known.unwrap_or_else(|| {
            tune.devices.push(BlkioDevice { path, ..BlkioDevice::default() });
            tune.devices.len() - 1
        });
        let device = &mut tune.devices[at];
        match what {
            "device_weight" => device.weight = Some(number(key, limit)?),
            "throttle.read_bps_device" => device.read_bytes_sec = Some(number(key, limit)?),
            "throttle.write_bps_device" => device.write_bytes_sec = Some(number(key, limit)?),
            "throttle.read_iops_device" => device.read_iops_sec = Some(number(key, limit)?),
            "throttle.write_iops_device" => device.write_iops_sec = Some(number(key, limit)?),
            _ => tracing::warn!("'{key}' has no counterpart and is left out"),
        }
    }
    def.blkiotune = (tune != Blkiotune::default()).then_some(tune);
    Ok(())
}
