// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Ends containers, and removes what is left of one whose controller could not.
//!
//! With a container's first process the kernel ends all others; then its controller, which SIGTERM asks to end,
//! cleans up, says so, and is gone. Whoever waits for that waits on the controller's descriptor.

use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;
use tokio::time::{Instant, sleep, timeout};
use virtus_api::{Error, ErrorCode, Result};
use virtus_domain::{
    End, Private, Stop, filter_bindings, network_ports, switch_ports, unsupported,
};
use virtus_host::cgroup::Group;
use virtus_host::link::Links;
use virtus_host::net;
use virtus_host::pidfile::PidFile;
use virtus_host::process::Process;
use virtus_xml::Domain;

use crate::container::Container;
use crate::disk_file;
use crate::driver::Lxc;
use crate::home::{Home, forget};

/// How long a controller may take to clean up.
pub(crate) const CLEANING: Duration = Duration::from_secs(5);
/// How long the kernel may take to end processes: with a hundred containers at once on a busy host, seconds.
const KILLING: Duration = Duration::from_secs(30);
/// Between two looks at what the kernel has done.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Ends a container because somebody asked for it.
pub(crate) async fn stop(container: &Container, how: Stop) -> Result<()> {
    if how == Stop::DestroyGracefully {
        let text = "containers are not ended gracefully by 'destroy'";
        return Err(unsupported(text).hint("ask them to end with 'virsh shutdown'"));
    }
    container.set_end(End::Destroyed);
    if let Ok(init) = container.init_process() {
        init.signal(Signal::KILL)?;
    }
    container.process.signal(Signal::TERM)?;
    // A signal waits for processes that stand still.
    if let Err(error) = container.group.thaw() {
        tracing::debug!("{error}");
    }
    if timeout(CLEANING, container.process.exited()).await.is_ok() {
        return Ok(());
    }
    tracing::warn!("the controller of {} does not end and is killed", container.subject());
    kill_all(&container.group).await;
    kill(&container.process).await
}

/// Ends a controller that does not obey.
pub(crate) async fn kill(process: &Process) -> Result<()> {
    process.signal(Signal::KILL)?;
    if timeout(KILLING, process.exited()).await.is_ok() {
        return Ok(());
    }
    let text = format!("process {} did not end within {KILLING:?} after SIGKILL", process.pid());
    Err(Error::new(ErrorCode::SystemError, text)
        .hint("it hangs in the kernel, mostly on storage that does not answer"))
}

/// Ends all processes of a group.
async fn kill_all(group: &Group) {
    let gone = || {
        let gone = group.processes().is_empty();
        if !gone {
            group.kill();
            let _thawed = group.thaw();
        }
        gone
    };
    // Whether they are is seen where the group is removed.
    let _in_time = comes_true(gone).await;
}

/// Waits, as long as the kernel may take, for what it does not tell of. It is asked ever more rarely: with a hundred
/// containers, asking would take the time that it needs.
async fn comes_true(mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + KILLING;
    let mut pause = Duration::from_millis(1);
    while !condition() {
        if Instant::now() > end {
            return false;
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    true
}

/// Removes what a run left on the host. Mostly its controller has done that already.
pub(crate) async fn clean_up(lxc: &Lxc, def: &Domain, private: &Private) {
    let name = &def.name;
    let Home { group, registration } = Home::find(def, private);
    let group = lxc.cgroups.group(&group);
    if let Some(process) = left_over(lxc, name) {
        tracing::warn!("the controller of container '{name}' is still there and is ended");
        kill_all(&group).await;
        if let Err(error) = kill(&process).await {
            tracing::error!("{error}");
        }
    }
    let scope = group.parent();
    end_group(group).await;
    if let Some(registration) = registration {
        forget(registration.name, scope).await;
    }
    filter_bindings::unbind(&lxc.peers, &def.devices.interfaces).await;
    switch_ports::leave(&network_ports::owner(def), &def.devices.interfaces).await;
    for interface in &def.devices.interfaces {
        if let Some(dev) = interface.target_dev() {
            remove_link(dev);
        }
    }
    network_ports::release(&lxc.peers, &def.devices.interfaces).await;
    remove_files(vec![lxc.places.socket(name), lxc.places.pid_file(name)]).await;
    // What waits for storage comes last.
    disk_file::take_back(&def.devices.disks).await;
}

/// A controller of this container that still runs, by its PID file.
fn left_over(lxc: &Lxc, name: &str) -> Option<Process> {
    let pid = PidFile::read(&lxc.places.pid_file(name))?;
    let process = Process::open(pid, None).ok().flatten()?;
    is_of_container(pid, name).then_some(process)
}

/// Whether the process was started for this container: numbers are used again after a while.
pub(crate) fn is_of_container(pid: u32, name: &str) -> bool {
    let Ok(line) = std::fs::read(format!("/proc/{pid}/cmdline")) else { return false };
    let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
    words.windows(2).any(|pair| pair == [b"--name", name.as_bytes()])
}

/// Removes a control group with all that runs in it; the kernel may need a moment until it lets go of it.
pub(crate) async fn end_group(group: Group) {
    if !group.exists() {
        return;
    }
    kill_all(&group).await;
    if !comes_true(|| group.remove().is_ok()).await
        && let Err(error) = group.remove()
    {
        tracing::warn!("{error}");
    }
}

/// Removes a network device that was made for a container, if it is still there.
pub(crate) fn remove_link(name: &str) {
    if net::index(name).is_none() {
        return;
    }
    let removed = Links::open().and_then(|links| links.delete(name));
    // With the container's network the kernel removes its devices, maybe just now.
    if let Err(error) = removed
        && net::index(name).is_some()
    {
        tracing::warn!("{error}");
    }
}

/// Removes files that may be there.
pub(crate) async fn remove_files(files: Vec<PathBuf>) {
    let removed = tokio::task::spawn_blocking(move || {
        for file in files {
            match std::fs::remove_file(&file) {
                Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
                    tracing::warn!("cannot remove '{}': {cause}", file.display());
                }
                _ => {}
            }
        }
    });
    // It can only be broken off by the end of the runtime.
    let _ = removed.await;
}
