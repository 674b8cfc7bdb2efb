// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A running container, as the daemon knows it: its controller, its init, its control group.
//!
//! Invariant: processes are signalled by descriptors, or all at once by the group, never by a number that was
//! noted some time ago.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use virtus_api::{Error, ErrorCode, Result};
use virtus_domain::console::Consoles;
use virtus_domain::machined::Registration;
use virtus_domain::{End, Notices};
use virtus_host::cgroup::Group;
use virtus_host::process::Process;

use crate::launch::Starting;

/// How long processes may take to stand still.
const FREEZING: Duration = Duration::from_secs(10);

/// A running container.
pub(crate) struct Container {
    pub(crate) name: String,
    /// Its controller.
    pub(crate) process: Process,
    /// All its processes, and what limits them.
    pub(crate) group: Group,
    /// As what machined knows it, if it does.
    pub(crate) registration: Option<Registration>,
    pub(crate) notices: Notices,
    pub(crate) log: PathBuf,
    /// Who has which console open.
    pub(crate) consoles: Arc<Consoles>,
    /// The number of its first process on the host.
    init: AtomicU32,
    /// Between launch and the first resume: init waits.
    starting: Mutex<Option<Starting>>,
    /// Why it will have ended, once that is known.
    end: Mutex<Option<End>>,
}

impl Container {
    /// A container whose controller runs as `process`.
    pub(crate) fn new(
        name: &str,
        process: Process,
        (group, registration): (Group, Option<Registration>),
        notices: Notices,
        log: PathBuf,
    ) -> Self {
        Self {
            name: name.to_owned(),
            process,
            group,
            registration,
            notices,
            log,
            consoles: Arc::default(),
            init: AtomicU32::new(0),
            starting: Mutex::default(),
            end: Mutex::default(),
        }
    }

    /// The same with an init that waits for [`Self::run`].
    pub(crate) fn waiting(self, starting: Starting) -> Self {
        self.set_init(starting.init);
        *locked(&self.starting) = Some(starting);
        self
    }

    /// How errors name it.
    pub(crate) fn subject(&self) -> String {
        format!("container '{}'", self.name)
    }

    /// Its first process on the host; 0 as long as nobody knows.
    pub(crate) fn init(&self) -> u32 {
        self.init.load(Ordering::Relaxed)
    }

    /// Notes which process is init now; the former one.
    pub(crate) fn set_init(&self, pid: u32) -> u32 {
        self.init.swap(pid, Ordering::Relaxed)
    }

    /// Why it ends; the first cause that is known counts.
    pub(crate) fn set_end(&self, end: End) {
        locked(&self.end).get_or_insert(end);
    }

    pub(crate) fn end(&self) -> Option<End> {
        *locked(&self.end)
    }

    /// Its first process, held by a descriptor.
    ///
    /// # Errors
    /// Where nobody knows it, or it has ended.
    pub(crate) fn init_process(&self) -> Result<Process> {
        let found = Process::open(self.init(), None)?;
        // A number is used again only after it was free: then it is not in this container's group.
        let ours = |process: &Process| self.group.processes().contains(&process.pid());
        found.filter(ours).ok_or_else(|| {
            let text = format!("the first process of {} is not known", self.subject());
            Error::new(ErrorCode::OperationInvalid, text)
        })
    }

    /// Lets it run: for the first time, or again.
    pub(crate) async fn run(&self) -> Result<()> {
        let starting = locked(&self.starting).take();
        match starting {
            Some(starting) => starting.run().await.map(drop),
            None => self.group.thaw(),
        }
    }

    /// Lets all its processes stand still.
    ///
    /// # Errors
    /// Where the host cannot, or some of them do not obey within 10 s; they run on then.
    pub(crate) async fn freeze(&self) -> Result<()> {
        self.group.freeze()?;
        let end = Instant::now() + FREEZING;
        // Version 1 tells of it only when it is asked.
        while !self.group.is_frozen()? {
            if Instant::now() > end {
                self.group.thaw()?;
                let text = format!("{} did not stand still within {FREEZING:?}", self.subject());
                return Err(Error::new(ErrorCode::OperationTimeout, text)
                    .hint("one of its processes waits in the kernel, mostly for storage"));
            }
            sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
