// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Consoles: a terminal of the host, joined with one of the container.

use std::cell::RefCell;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use rustix::process::Signal;
use rustix::pty::{OpenptFlags, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

use crate::bed::{Bed, run, until};
use crate::{Case, Outcome, contains};

pub(crate) const CASES: &[Case] = &[
    ("what_is_typed_is_echoed", what_is_typed_is_echoed),
    ("nobody_needs_to_listen", nobody_needs_to_listen),
];

/// A new terminal: its master, and the path of its other end.
fn terminal() -> (OwnedFd, String) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags).unwrap();
    unlockpt(&master).unwrap();
    let path = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    (master, path)
}

/// A person at a terminal.
struct Person(OwnedFd);

impl Person {
    fn at(path: &str) -> Self {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let slave = rustix::fs::open(path, flags, Mode::empty()).unwrap();
        let mut modes = tcgetattr(&slave).unwrap();
        modes.make_raw();
        tcsetattr(&slave, OptionalActions::Now, &modes).unwrap();
        Self(slave)
    }

    fn types(&self, text: &str) {
        rustix::io::write(&self.0, text.as_bytes()).unwrap();
    }

    async fn sees(&self, part: &str) -> Outcome {
        let seen = RefCell::new(String::new());
        let saw = until(|| {
            let mut bytes = [0; 512];
            while let Ok(count @ 1..) = rustix::io::read(&self.0, &mut bytes[..]) {
                seen.borrow_mut().push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
            seen.borrow().contains(part)
        });
        saw.await.map_err(|error| format!("{error}; seen: {:?}", seen.borrow()))
    }
}

fn what_is_typed_is_echoed() -> Outcome {
    let mut bed =
        Bed::new("tty; tty < /dev/tty2; read line; echo you said $line; read end; sleep 1000");
    let (first, path) = terminal();
    let (second, _) = terminal();
    run(async {
        let mut spawn = bed.spawn();
        bed.blueprint.consoles = vec![spawn.inherit(first), spawn.inherit(second)];
        let person = Person::at(&path);
        let process = bed.start_with(spawn).await?;
        person.sees("/dev/pts/0\r\n/dev/pts/1").await?;
        person.types("hello\r");
        person.sees("hello\r\nyou said hello").await?;
        // Another person takes over.
        drop(person);
        let person = Person::at(&path);
        person.types("bye\r");
        person.sees("bye").await?;
        // What is not read when the controller ends is lost.
        process.signal(Signal::TERM).unwrap();
        bed.ended(&process).await?;
        bed.left_nothing()
    })
}

fn nobody_needs_to_listen() -> Outcome {
    // Far more than terminals hold.
    let mut bed = Bed::new(
        "i=0; while [ $i -lt 2000 ]; do echo 0123456789012345678901234567890123456789; i=$((i+1)); done; echo done > /out",
    );
    let (master, _) = terminal();
    let mut spawn = bed.spawn();
    bed.blueprint.consoles = vec![spawn.inherit(master)];
    run(async {
        let process = bed.start_with(spawn).await?;
        bed.ended(&process).await?;
        contains(&bed.out(), "done")
    })
}
