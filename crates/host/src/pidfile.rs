// SPDX-License-Identifier: Apache-2.0 OR MIT
//! PID files, locked so that a second daemon notices the first.
//!
//! The lock is that of [`crate::lock`], as libvirt's, so that our daemon and libvirt's refuse each other. It vanishes with
//! the process; a file that was left behind locks nobody out.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use virtus_api::{Error, ErrorCode, Result};

use crate::lock::{Lock, lock};
use crate::process::Stat;

/// How long a lock may outlive its owner: a child that the owner had just forked holds it too, until it
/// becomes another program.
const INHERITED: Duration = Duration::from_secs(2);

/// A locked PID file; removed when dropped.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    _locked: File,
}

impl PidFile {
    /// Locks `path` and writes this process's number into it.
    ///
    /// # Errors
    /// Where another process has it locked (it is named), or it cannot be written.
    pub fn acquire(path: &Path) -> Result<Self> {
        let failed = |what: &str, cause: &io::Error| {
            Error::system(format!("cannot {what} PID file '{}'", path.display()), cause)
        };
        let begin = Instant::now();
        loop {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o644)
                .open(path)
                .map_err(|cause| failed("open", &cause))?;
            if let Err(cause) = lock(&file, Lock::Exclusive) {
                if !matches!(cause.kind(), ErrorKind::WouldBlock | ErrorKind::PermissionDenied) {
                    return Err(failed("lock", &cause));
                }
                let owner_is_gone = Self::read(path).is_some_and(|pid| Stat::read(pid).is_none());
                if owner_is_gone && begin.elapsed() < INHERITED {
                    pause();
                    continue;
                }
                return Err(held(path));
            }
            // Its owner may have removed it between our open and our lock: then we hold nothing.
            if !same_file(&file, path) {
                continue;
            }
            file.set_len(0)
                .and_then(|()| writeln!(file, "{}", std::process::id()))
                .map_err(|cause| failed("write", &cause))?;
            return Ok(Self { path: path.to_owned(), _locked: file });
        }
    }

    /// The number in a PID file, whether it is locked or not.
    #[must_use]
    pub fn read(path: &Path) -> Option<u32> {
        fs::read_to_string(path).ok()?.trim().parse().ok()
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if let Err(cause) = fs::remove_file(&self.path) {
            tracing::debug!(%cause, path = %self.path.display(), "PID file stays");
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "no event tells that a lock becomes free")]
fn pause() {
    std::thread::sleep(INHERITED / 100);
}

fn same_file(file: &File, path: &Path) -> bool {
    let identity = |facts: fs::Metadata| (facts.dev(), facts.ino());
    let (here, there) = (file.metadata().map(identity), fs::metadata(path).map(identity));
    matches!((here, there), (Ok(here), Ok(there)) if here == there)
}

fn held(path: &Path) -> Error {
    let holder = match PidFile::read(path) {
        Some(pid) => match Stat::read(pid) {
            Some(stat) => format!("process {pid} ({})", stat.name),
            None => format!("process {pid}"),
        },
        None => "another process".to_owned(),
    };
    let text = format!("PID file '{}' is held by {holder}", path.display());
    Error::new(ErrorCode::OperationFailed, text)
        .hint("this daemon runs already; stop that one first, or give this one another --pid-file")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::{Run, find_program};

    #[tokio::test]
    async fn a_second_process_is_refused_and_told_by_whom() {
        let path = std::env::temp_dir().join(format!("virtus-pid-{}.pid", std::process::id()));
        let held = PidFile::acquire(&path).unwrap();
        assert_eq!(PidFile::read(&path), Some(std::process::id()));
        assert!(PidFile::acquire(&path).is_err());
        if let Some(python) = find_program("/usr/bin/python3") {
            let script = "import fcntl,sys\nf=open(sys.argv[1],'r+')\ntry:\n \
                          fcntl.lockf(f,fcntl.LOCK_EX|fcntl.LOCK_NB)\n print('got it')\n\
                          except OSError: print('refused')";
            let run = Run::new(python).args(["-c", script]).arg(&path);
            let said = run.succeed(Duration::from_secs(60)).await.unwrap();
            assert_eq!(String::from_utf8(said).unwrap(), "refused\n");
        }
        assert!(
            super::held(&path).to_string().contains(&format!("process {}", std::process::id()))
        );
        drop(held);
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_was_left_behind_locks_nobody_out() {
        let path = std::env::temp_dir().join(format!("virtus-old-{}.pid", std::process::id()));
        File::create(&path).unwrap().write_all(b"123456789\n").unwrap();
        drop(PidFile::acquire(&path).unwrap());
    }
}
