// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is asked of a machine that runs: pause, resume, reset, power off, reboot.

use std::sync::Arc;

use virtus_api::{Error, ErrorCode, Result};

use crate::handle::Handle;
use crate::jobs::Job;
use crate::machine::{Asked, GuestChannel, Machine, Stop};
use crate::notice::Pause;
use crate::state::{Change, State};

impl<M: Machine> Handle<M> {
    /// Stops the vCPUs; done already if they are stopped.
    ///
    /// # Errors
    /// `VIR_ERR_OPERATION_INVALID` if the machine does not run or sleeps.
    pub async fn suspend(self: &Arc<Self>, name: &'static str) -> Result<()> {
        self.job(Job::suspend(name), |context| async move {
            let running = context.running()?;
            match context.snapshot().state {
                State::Pmsuspended => Err(asleep(&context.snapshot().name)),
                State::Paused(_) => Ok(()),
                State::Running(_) | State::Shutdown(_) | State::Shutoff(_) | State::Crashed(_) => {
                    context.machine().pause(&running).await?;
                    context.apply(Change::Paused(Pause::User));
                    Ok(())
                }
            }
        })
        .await
    }

    /// Lets the vCPUs run.
    ///
    /// # Errors
    /// `VIR_ERR_OPERATION_INVALID` if the machine does not run, sleeps, or is not paused.
    pub async fn resume(self: &Arc<Self>, name: &'static str) -> Result<()> {
        self.job(Job::suspend(name), |context| async move {
            let running = context.running()?;
            match context.snapshot().state {
                State::Pmsuspended => Err(asleep(&context.snapshot().name)),
                State::Running(_) => {
                    Err(Error::new(ErrorCode::OperationInvalid, "domain is already running"))
                }
                State::Paused(_) | State::Crashed(_) | State::Shutdown(_) | State::Shutoff(_) => {
                    context.machine().resume(&running).await?;
                    context.apply(Change::Resumed);
                    Ok(())
                }
            }
        })
        .await
    }

    /// Presses the reset button.
    ///
    /// # Errors
    /// `VIR_ERR_OPERATION_INVALID` if the machine does not run.
    pub async fn reset(self: &Arc<Self>, name: &'static str) -> Result<()> {
        self.job(Job::modify(name), |context| async move {
            let running = context.running()?;
            context.machine().reset(&running).await?;
            context.apply(Change::Reset);
            Ok(())
        })
        .await
    }

    /// Asks the guest to power off. The machine's notices tell when it does.
    ///
    /// # Errors
    /// `VIR_ERR_OPERATION_INVALID` if the machine does not run; the driver's if nobody is asked.
    pub async fn shut_down(self: &Arc<Self>, name: &'static str, by: GuestChannel) -> Result<()> {
        let asked = self.job(Job::modify(name), move |context| async move {
            let running = context.running()?;
            let live = context.live()?;
            context.machine().shut_down(&running, &live, by).await
        });
        self.obey(asked.await?).await
    }

    /// Asks the guest to reboot.
    ///
    /// # Errors
    /// As [`Handle::shut_down`].
    pub async fn reboot(self: &Arc<Self>, name: &'static str, by: GuestChannel) -> Result<()> {
        let asked = self.job(Job::modify(name), move |context| async move {
            let running = context.running()?;
            let live = context.live()?;
            context.machine().reboot(&running, &live, by).await
        });
        self.obey(asked.await?).await
    }

    /// A guest that went at once is gone when its caller hears of it.
    async fn obey(self: &Arc<Self>, asked: Asked) -> Result<()> {
        match asked {
            Asked::Later => Ok(()),
            Asked::Ended(end) => self.end(Stop::Destroy, end).await,
        }
    }
}

fn asleep(name: &str) -> Error {
    Error::new(ErrorCode::OperationInvalid, "domain is pmsuspended")
        .hint(format!("wake it with 'virsh dompmwakeup {name}'"))
}
