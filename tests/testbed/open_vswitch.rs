// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Open vSwitch in a testbed: its database and its daemon, which forwards packets by itself and needs no kernel module.

use crate::{Outcome, Skip, Testbed};

/// Starts both; they go on beside this shell, until the testbed ends them.
const START: &str = "mkdir \"$OVS_RUNDIR\" && cd \"$OVS_RUNDIR\" && export OVS_LOGDIR=. OVS_DBDIR=.
    ovsdb-tool create conf.db /usr/share/openvswitch/vswitch.ovsschema
    ovsdb-server conf.db --remote=\"punix:$OVS_RUNDIR/db.sock\" --detach --no-chdir --pidfile --log-file
    ovs-vsctl --no-wait init
    ovs-vswitchd \"unix:$OVS_RUNDIR/db.sock\" --detach --no-chdir --pidfile --log-file";

impl Testbed {
    /// Starts Open vSwitch, with these bridges.
    ///
    /// # Errors
    /// [`Skip`] where it is not installed, or can have no device for a bridge.
    pub fn open_vswitch(&self, bridges: &[&str]) -> Outcome {
        if !self.run("sh", &["-c", "command -v ovs-vswitchd"])?.ok() {
            return Err(Skip("Open vSwitch is not installed".to_owned()).into());
        }
        let started = self.run("sh", &["-ec", START])?;
        if !started.ok() {
            return Err(started.err.into());
        }
        for bridge in bridges {
            let userspace = ["--", "set", "bridge", bridge, "datapath_type=netdev"];
            self.vsctl(&[["add-br", bridge].as_slice(), &userspace].concat())?;
            let trouble = self.vsctl(&["get", "Interface", bridge, "error"])?;
            if trouble != "[]" {
                return Err(Skip(format!("no bridge of Open vSwitch: {trouble}")).into());
            }
        }
        Ok(())
    }

    /// Lets its daemon hang; the database goes on to answer.
    pub fn hang_open_vswitch(&self) -> Outcome {
        let pid = std::fs::read_to_string(self.path("ovs/ovs-vswitchd.pid"))?;
        self.signal("STOP", pid.trim().parse()?)
    }

    /// What `ovs-vsctl` prints; its failure is an error.
    pub fn vsctl(&self, words: &[&str]) -> Outcome<String> {
        let done = self.run("ovs-vsctl", &[&["--timeout=60"], words].concat())?;
        if done.ok() { Ok(done.out.trim_end().to_owned()) } else { Err(done.err.into()) }
    }
}
