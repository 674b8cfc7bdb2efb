// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The socket where daemons find the controller: each that connects is told which process is init, and what
//! comes after. Nothing is read from them, and none can hold the controller up.

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use crate::failure::{Attempt, Failure, Step};
use crate::monitor::News;

/// More than these are let go again, the oldest first: one daemon is usual, two while one replaces another.
const MOST: usize = 8;

/// The listening socket and who is connected. Its file is removed with this.
pub(super) struct Daemons {
    listener: UnixListener,
    path: PathBuf,
    connected: Vec<UnixStream>,
}

impl Daemons {
    /// Listens at `path`, in place of a controller that is gone.
    pub(super) fn listen(path: &Path) -> Step<Self> {
        let attempt = || format!("listen at '{}'", path.display());
        if UnixStream::connect(path).is_ok() {
            return Err(Failure::refused(format!("cannot {}: another controller does", attempt()))
                .hint("is a container of this name running already?"));
        }
        match std::fs::remove_file(path) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
                return Err(cause).attempt(attempt);
            }
            _ => {}
        }
        let listener = UnixListener::bind(path).attempt(attempt)?;
        let daemons = Self { listener, path: path.to_owned(), connected: Vec::new() };
        daemons.listener.set_nonblocking(true).attempt(attempt)?;
        let owner_only = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(path, owner_only).attempt(attempt)?;
        Ok(daemons)
    }

    pub(super) fn listener(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    /// Takes in who waits at the door.
    pub(super) fn welcome(&mut self, init: u32) {
        while let Ok((stream, _)) = self.listener.accept() {
            if stream.set_nonblocking(true).is_ok() {
                self.connected.push(stream);
                self.connected.drain(..self.connected.len().saturating_sub(MOST));
                let newest = self.connected.len() - 1;
                if !told(&mut self.connected[newest], News::Init(init.into())) {
                    self.connected.truncate(newest);
                }
            }
        }
    }

    /// Tells all of them. Who has left, or does not read, is let go.
    pub(super) fn tell(&mut self, news: News) {
        self.connected.retain_mut(|stream| told(stream, news));
    }
}

fn told(stream: &mut UnixStream, news: News) -> bool {
    stream.write_all(&news.encode()).is_ok()
}

impl Drop for Daemons {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = std::fs::remove_file(&self.path);
    }
}
