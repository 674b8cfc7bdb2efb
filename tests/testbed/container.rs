// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The containers of the tests: busybox in a folder, with an init that a test can talk to; and a Debian with systemd.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::run::run;
use crate::{Options, Outcome, Skip, Testbed, target_folder};

/// The commands that the containers have.
const COMMANDS: [&str; 16] = [
    "cat", "dd", "echo", "hostname", "id", "ip", "kill", "ls", "mount", "ping", "ps", "reboot",
    "sh", "sleep", "sync", "true",
];

/// Counts in a file, ends on SIGTERM, and restarts on SIGHUP, while its shell is on the console.
const INIT: &str = "#!/bin/sh
trap 'exit 0' TERM
trap 'reboot -f' HUP
(i=0; while :; do i=$((i+1)); echo $i >/count; sleep 0.05; done) &
echo container-is-up
sh </dev/console >/dev/console 2>&1 &
while :; do wait; sleep 0.1; done
";

/// The folder of a small Debian with systemd, which nobody changes; made on first use by tests/tree/build.sh.
///
/// # Errors
/// [`Skip`] where no archive of packages can be reached.
pub fn debian_folder() -> Outcome<PathBuf> {
    let folder = target_folder().join("tree");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tree/build.sh");
    from_archive(Command::new(script).arg(&folder))?;
    Ok(folder.join("root"))
}

/// Runs a script that takes packages from an archive.
///
/// # Errors
/// [`Skip`] where the script says that no archive can be reached.
pub fn from_archive(script: &mut Command) -> Outcome {
    /// What sysexits.h calls EX_TEMPFAIL.
    const NO_ARCHIVE: i32 = 75;
    let done = run(script, Duration::from_secs(600))?;
    let said = done.err.trim_end();
    match done.code {
        Some(0) => Ok(()),
        Some(NO_ARCHIVE) => Err(Skip(said.to_owned()).into()),
        _ => Err(said.into()),
    }
}

/// A container's XML in the making.
#[derive(Clone, Debug)]
pub struct Container {
    name: String,
    root: String,
    init: String,
    body: String,
    devices: String,
}

impl Container {
    /// Busybox in a folder of its own below the testbed's.
    pub fn busybox(bed: &Testbed, name: &str) -> Outcome<Self> {
        let root = bed.path(&format!("roots/{name}"));
        for folder in ["bin", "sbin", "proc", "sys", "dev", "etc", "tmp", "root"] {
            std::fs::create_dir_all(root.join(folder))?;
        }
        let busybox = root.join("bin/busybox");
        std::fs::copy("/bin/busybox", &busybox)
            .map_err(|cause| format!("no busybox to copy: {cause}"))?;
        for command in COMMANDS {
            symlink("busybox", root.join("bin").join(command))?;
        }
        let init = root.join("sbin/init");
        std::fs::write(&init, INIT)?;
        std::fs::set_permissions(&init, PermissionsExt::from_mode(0o755))?;
        Ok(Self {
            name: name.to_owned(),
            root: root.to_str().ok_or("the path is not text")?.to_owned(),
            init: String::new(),
            body: String::new(),
            devices: "<console type='pty'/>".to_owned(),
        })
    }

    /// Debian at `tree`, which is only read: what the container writes is in memory, and goes with the testbed.
    pub fn debian(bed: &Testbed, name: &str, tree: &Path) -> Outcome<Self> {
        let root = bed.path(&format!("trees/{name}"));
        let memory = bed.path(&format!("trees/{name}.memory"));
        let script =
            "mkdir -p \"$1\" \"$2\"; mount -t tmpfs memory \"$2\"; mkdir \"$2/upper\" \"$2/work\"
             mount -t overlay -o \"lowerdir=$0,upperdir=$2/upper,workdir=$2/work\" overlay \"$1\"";
        let words = [tree, &root, &memory].map(|path| path.to_str().unwrap_or_default());
        let mounted = bed.run("sh", &[&["-ec", script], words.as_slice()].concat())?;
        if !mounted.ok() {
            return Err(mounted.err.into());
        }
        Ok(Self {
            name: name.to_owned(),
            root: words[1].to_owned(),
            init: "<init>/sbin/init</init>".to_owned(),
            body: String::new(),
            devices: "<console type='pty'/>".to_owned(),
        })
    }

    /// Another container of the same files.
    #[must_use]
    pub fn called(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Another init, as XML in `<os>`.
    #[must_use]
    pub fn init(mut self, xml: &str) -> Self {
        xml.clone_into(&mut self.init);
        self
    }

    /// Adds XML before `<devices>`.
    #[must_use]
    pub fn with(mut self, xml: &str) -> Self {
        self.body.push_str(xml);
        self
    }

    /// Adds XML to `<devices>`.
    #[must_use]
    pub fn device(mut self, xml: &str) -> Self {
        self.devices.push_str(xml);
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its definition.
    pub fn xml(&self) -> String {
        let Self { name, root, init, body, devices } = self;
        format!(
            "<domain type='lxc'>\n  <name>{name}</name>\n  <memory unit='MiB'>128</memory>\n  \
             <os><type>exe</type>{init}</os>\n  {body}\n  <devices>\n    \
             <filesystem type='mount'><source dir='{root}'/><target dir='/'/></filesystem>\n    \
             {devices}\n  </devices>\n</domain>\n"
        )
    }
}

impl Testbed {
    /// A running `virtlxcd` with nothing defined.
    pub fn of_containers() -> Outcome<Self> {
        Self::with(&Options { daemon: Some("virtlxcd"), ..Options::default() })
    }

    /// Makes a bridge of this host, with an address.
    pub fn bridge(&self, name: &str, address: &str) -> Outcome {
        for words in [
            ["link", "add", name, "type", "bridge"].as_slice(),
            &["address", "add", address, "dev", name],
            &["link", "set", name, "up"],
        ] {
            let done = self.run("ip", words)?;
            if !done.ok() {
                return Err(done.err.into());
            }
        }
        Ok(())
    }

    /// Defines a container by `virsh define`.
    pub fn define_container(&self, container: &Container) -> Outcome<String> {
        let file = self.write(&format!("{}.xml", container.name()), &container.xml())?;
        self.virsh(&format!("define {file}"))
    }

    /// What a container has counted so far.
    pub fn count_of(&self, container: &str) -> Outcome<u64> {
        let file = self.path(&format!("roots/{container}/count"));
        // It is written anew each time, and may be empty for a moment.
        Ok(std::fs::read_to_string(file).unwrap_or_default().trim().parse().unwrap_or_default())
    }
}
