// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What becomes of a container, told to its actor.
//!
//! ```text
//! monitor: init's number, first --> noted        again --> Rebooted
//!          how it ended ---------> noted
//! process: gone -----------------> Ended, for the cause that is known; none: its controller was lost
//! ```
//! One task for each container; it is the only one that says [`Notice::Ended`].

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;
use virtus_domain::{End, Notice};

use crate::container::Container;
use crate::log;
use crate::monitor::{Ending, Monitor, News};

/// How long news may be on their way when their sender has ended already.
const LATE: Duration = Duration::from_secs(1);
/// News that wait to be read.
const QUEUE: usize = 8;

/// Starts the task; without a monitor only the end is heard.
pub(crate) fn watch(container: Arc<Container>, monitor: Option<Monitor>) {
    let (sender, mut news) = mpsc::channel(QUEUE);
    if let Some(monitor) = monitor {
        tokio::spawn(read(monitor, sender));
    }
    tokio::spawn(async move {
        loop {
            tokio::select! {
                biased;
                Some(one) = news.recv() => take(&container, one),
                _ = container.process.exited() => break,
            }
        }
        while let Ok(Some(one)) = timeout(LATE, news.recv()).await {
            take(&container, one);
        }
        let end = container.end().unwrap_or(End::Failed);
        log::write_end(&container.log, end);
        // An actor that has ended needs no news.
        let _ = container.notices.send(Notice::Ended(end));
    });
}

async fn read(mut monitor: Monitor, sender: mpsc::Sender<News>) {
    loop {
        match monitor.next().await {
            Ok(Some(news)) => {
                if sender.send(news).await.is_err() {
                    return;
                }
            }
            Ok(None) => return,
            Err(error) => return tracing::warn!("{error}"),
        }
    }
}

fn take(container: &Arc<Container>, news: News) {
    match news {
        News::Init(pid) => {
            let pid = u32::try_from(pid).unwrap_or_default();
            let before = container.set_init(pid);
            if before != 0 && before != pid {
                if let Ok(number) = i32::try_from(pid) {
                    let _ = container.notices.send(Notice::Renumbered(number));
                }
                let _ = container.notices.send(Notice::Rebooted);
                let container = container.clone();
                tokio::spawn(async move {
                    if let Some(registration) = &container.registration {
                        registration.lead(pid).await;
                    }
                });
            }
        }
        News::Ended(Ending::Failed) => container.set_end(End::Failed),
        News::Ended(Ending::ShutDown | Ending::Reboot) => container.set_end(End::Shutdown),
    }
}
