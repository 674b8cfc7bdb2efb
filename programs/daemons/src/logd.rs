// SPDX-License-Identifier: Apache-2.0 OR MIT
//! virtlogd: keeps what guests print, and sees to it that it does not fill the disk.
//!
//! A driver asks for a log and gets the end of a pipe for its guest. Logs are open for as long as somebody holds that
//! end; neither the driver nor its connection need stay.

mod aging;
mod open;
mod pump;
mod reader;
mod rotating;
mod rules;

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use rustix::fs::OFlags;
use rustix::pipe::{PipeFlags, pipe_with};
use serde_json::{Value, json};
use tokio::io::Interest;
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::warn;
use virtus_api::limits::LOG_STRING_MAX;
use virtus_api::{
    Error, ErrorCode, ErrorDomain, LogDomain, LogDomainAppendLogFile, LogDomainGetLogFilePosition,
    LogDomainOpenLogFile, LogDomainOpenLogFileFlags, LogDomainReadLogFile, LogFilePosition,
    Program, Result,
};
use virtus_core::conf::Conf;
use virtus_core::flags::check_flags;
use virtus_core::{BoxFuture, Call, Paths, Responder, Routes, Service};
use virtus_host::descriptor::watch;

use crate::own::{Keeper, Own, Starting};
use crate::reexec::{Kept, restless, take_fd};
use open::{Open, Origin, Place};
use pump::{Order, Pump};
use rotating::Rotating;
use rules::{Rules, Shared};

/// The program in the table of daemons.
pub(crate) const OWN: Own = Own { program: Program::Log, start };

/// How long a caller waits for a file system.
const DEADLINE: Duration = Duration::from_secs(10);

/// How often old logs are looked for.
const AGING: Duration = Duration::from_secs(24 * 3600);

/// What all logs share.
struct Logd {
    rules: Shared,
    /// Where logs are if nobody says otherwise.
    folder: PathBuf,
    open: Arc<Open>,
    /// A successor is about to take over: no pipe is read any more.
    resting: Arc<AtomicBool>,
}

fn start(paths: &Paths, conf: &Conf, left: Option<&Value>) -> Starting {
    let rules = Shared::new(Rules::read(conf, &paths.log)?);
    let logd = Arc::new(Logd {
        rules,
        folder: paths.log.clone(),
        open: Arc::default(),
        resting: Arc::default(),
    });
    for file in left.into_iter().flat_map(|left| left["handler"]["files"].as_array()).flatten() {
        if let Err(error) = logd.go_on_with(file) {
            warn!("a log of the program before is lost: {error}");
        }
    }
    tokio::spawn(look_for_old_logs(logd.clone()));
    Ok(logd)
}

impl Keeper for Logd {
    fn responder(self: Arc<Self>) -> Arc<dyn Responder> {
        let routes = Routes::new().on_with_fds(open).on(position).on(read).on(append);
        Service::new(self, routes.in_domain(ErrorDomain::Logging), |_, _| {})
    }

    fn busy(&self) -> usize {
        self.open.count()
    }

    fn reload(&self, conf: &Conf) -> Result<()> {
        self.rules.change(Rules::read(conf, &self.folder)?);
        Ok(())
    }

    fn rest(&self) -> BoxFuture<Result<()>> {
        let (open, flag) = (self.open.clone(), self.resting.clone());
        Box::pin(async move {
            // Logs that are opened from now on rest from the beginning.
            flag.store(true, Ordering::Release);
            let all = open.all();
            let resting = all.iter().map(|orders| ask(orders, |answer| Order::Rest(true, answer)));
            if join_all(resting).await.iter().all(|rested| !is_slow(rested)) {
                return Ok(());
            }
            flag.store(false, Ordering::Release);
            for orders in open.all() {
                let (answer, _nobody_waits) = oneshot::channel();
                // One that takes no orders does not rest.
                drop(orders.try_send(Order::Rest(false, answer)));
            }
            Err(restless("a log"))
        })
    }

    fn state(&self, kept: &mut Kept) -> io::Result<Value> {
        Ok(json!({ "handler": { "files": self.open.describe(kept)? } }))
    }

    fn stop(&self) -> BoxFuture<()> {
        let open = self.open.clone();
        Box::pin(async move {
            for orders in open.all() {
                // One that cannot write keeps nobody else from it.
                drop(ask(&orders, Order::Position).await);
            }
        })
    }
}

async fn look_for_old_logs(logd: Arc<Logd>) {
    let mut days = interval(AGING);
    days.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        days.tick().await;
        let (rules, open) = (logd.rules.now(), logd.open.paths());
        if rules.max_age_days > 0 {
            let now = SystemTime::now();
            // A panic in it would leave files, nothing else.
            drop(spawn_blocking(move || aging::look_through(&rules, &open, now)).await);
        }
    }
}

async fn open(
    logd: Arc<Logd>,
    _: Call,
    request: LogDomainOpenLogFile,
) -> Result<(LogFilePosition, Vec<OwnedFd>)> {
    let truncate = LogDomainOpenLogFileFlags::TRUNCATE.bits();
    check_flags(request.flags, truncate, "virLogManagerProtocolDispatchDomainOpenLogFile")?;
    let path = PathBuf::from(&request.path);
    let origin = Origin { driver: request.driver, domain: request.dom };
    let (place, orders) = logd.open.enter(&path, origin).await?;
    let (rules, truncate) = (logd.rules.now(), request.flags & truncate != 0);
    let file = off_thread(&path, move |path| Rotating::open(path, truncate, &rules)).await?;
    let position = file.position()?;
    let unpiped = |cause| Error::system("Unable to create pipe", &cause);
    let (ours, theirs) = pipe_with(PipeFlags::CLOEXEC).map_err(|errno| unpiped(errno.into()))?;
    logd.pump(place, orders, ours, file).map_err(unpiped)?;
    Ok((position, vec![theirs]))
}

async fn position(
    logd: Arc<Logd>,
    _: Call,
    request: LogDomainGetLogFilePosition,
) -> Result<LogFilePosition> {
    check_flags(request.flags, 0, "virLogHandlerDomainGetLogFilePosition")?;
    let orders = logd.open.find(Path::new(&request.path)).ok_or_else(|| {
        Error::new(ErrorCode::InternalError, format!("No open log file {}", request.path))
    })?;
    ask(&orders, Order::Position).await?
}

async fn read(logd: Arc<Logd>, _: Call, request: LogDomainReadLogFile) -> Result<String> {
    check_flags(request.flags, 0, "virLogHandlerDomainReadLogFile")?;
    let LogDomainReadLogFile { path, pos, maxlen, .. } = request;
    let most = usize::try_from(maxlen).ok().filter(|most| *most <= LOG_STRING_MAX);
    let most = most.ok_or_else(|| {
        let text = format!("Requested data len {maxlen} is larger than maximum {LOG_STRING_MAX}");
        Error::bad_argument(text)
    })?;
    let path = PathBuf::from(path);
    if let Some(orders) = logd.open.find(&path) {
        // What a guest has said belongs to it, also if nobody has read its pipe yet.
        ask(&orders, Order::Position).await??;
    }
    let backups = logd.rules.now().max_backups;
    let data = off_thread(&path, move |path| reader::read(path, backups, &pos, most)).await?;
    Ok(text(&data))
}

async fn append(logd: Arc<Logd>, _: Call, request: LogDomainAppendLogFile) -> Result<i32> {
    check_flags(request.flags, 0, "virLogHandlerDomainAppendLogFile")?;
    let LogDomainAppendLogFile { path, message, .. } = request;
    let path = PathBuf::from(path);
    match logd.open.find(&path) {
        Some(orders) => ask(&orders, |answer| Order::Append(message, answer)).await??,
        None => {
            let rules = logd.rules.now();
            let write = move |path: &Path| {
                let mut file = Rotating::open(path, false, &rules)?;
                file.append(message.as_bytes(), &rules).map_err(|cause| {
                    Error::system(format!("Unable to write to file: {}", path.display()), &cause)
                })
            };
            off_thread(&path, write).await?;
        }
    }
    Ok(0)
}

impl Logd {
    /// Goes on with a log that a predecessor had open.
    fn go_on_with(&self, described: &Value) -> Result<()> {
        let text = |key: &str| described[key].as_str().unwrap_or_default().to_owned();
        let pipe = take_fd(&described["pipefd"])?;
        let domain =
            LogDomain { uuid: text("domuuid").parse().unwrap_or_default(), name: text("domname") };
        let path = PathBuf::from(text("path"));
        let (place, orders) = self.open.insert(&path, Origin { driver: text("driver"), domain })?;
        let file = Rotating::open(&path, false, &self.rules.now())?;
        self.pump(place, orders, pipe, file)
            .map_err(|cause| Error::system("cannot read a pipe", &cause))
    }

    /// Lets what comes out of `pipe` go into `file`.
    fn pump(
        &self,
        place: Place,
        mut orders: mpsc::Receiver<Order>,
        pipe: OwnedFd,
        file: Rotating,
    ) -> io::Result<()> {
        rustix::fs::fcntl_setfl(&pipe, OFlags::NONBLOCK)?;
        let pipe = Arc::new(watch(pipe, Interest::READABLE)?);
        place.set_pipe(pipe.clone());
        let pump = Pump::new(place.path().to_owned(), pipe, file, self.rules.clone());
        let pump = pump.at_rest(self.resting.load(Ordering::Acquire));
        tokio::spawn(async move {
            pump.run(&mut orders).await;
            // In this order: whoever finds that nobody takes orders finds the place free.
            drop(place);
        });
        Ok(())
    }
}

/// Whether a log did not do what it was asked for in time; one that has ended did.
fn is_slow<T>(asked: &Result<T>) -> bool {
    asked.as_ref().is_err_and(|error| error.code() == ErrorCode::OperationTimeout)
}

/// What a client reads of a guest's output; it need not be text.
fn text(data: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(data).into_owned();
    // What is no text takes more room than it had.
    text.truncate(text.floor_char_boundary(LOG_STRING_MAX));
    text
}

/// Asks the task of an open log.
async fn ask<T>(
    orders: &mpsc::Sender<Order>,
    order: impl FnOnce(oneshot::Sender<T>) -> Order,
) -> Result<T> {
    let (answer, answered) = oneshot::channel();
    let asked = async {
        orders.send(order(answer)).await.ok()?;
        answered.await.ok()
    };
    match timeout(DEADLINE, asked).await {
        Ok(Some(answer)) => Ok(answer),
        Ok(None) => Err(Error::new(ErrorCode::OperationFailed, "the log was closed meanwhile")),
        Err(_) => Err(slow("the log file")),
    }
}

/// Works on a file where that may block.
async fn off_thread<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce(&Path) -> Result<T> + Send + 'static,
) -> Result<T> {
    let (name, path) = (path.display().to_string(), path.to_owned());
    match timeout(DEADLINE, spawn_blocking(move || work(&path))).await {
        Ok(Ok(worked)) => worked,
        Ok(Err(cause)) => {
            let text = format!("work on the log file '{name}' was broken off: {cause}");
            Err(Error::new(ErrorCode::InternalError, text))
        }
        Err(_) => Err(slow(&format!("the log file '{name}'"))),
    }
}

fn slow(what: &str) -> Error {
    let text = format!("{what} does not take data within {} s", DEADLINE.as_secs());
    Error::new(ErrorCode::OperationTimeout, text).hint("its file system does not answer")
}
