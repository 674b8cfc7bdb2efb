// SPDX-License-Identifier: Apache-2.0 OR MIT
//! From a start to an end, by whatever cause, and what daemons hear of it.

use std::time::Instant;

use rustix::process::Signal;
use virtus_host::process::Exit;
use virtus_lxc::blueprint::OnReboot;
use virtus_lxc::launch::Starting;
use virtus_lxc::monitor::{Ending, News};

use crate::bed::{Bed, run, until, within};
use crate::{Case, Outcome, contains, equal};

pub(crate) const CASES: &[Case] = &[
    ("daemons_hear_who_is_init_and_how_it_ended", daemons_hear_who_is_init_and_how_it_ended),
    ("a_reboot_starts_it_again", a_reboot_starts_it_again),
    ("a_reboot_can_be_the_end", a_reboot_can_be_the_end),
    ("a_signal_ends_all_of_it_at_once", a_signal_ends_all_of_it_at_once),
    ("it_runs_only_when_the_daemon_says_so", it_runs_only_when_the_daemon_says_so),
    ("a_killed_controller_takes_it_along", a_killed_controller_takes_it_along),
    ("many_start_side_by_side", many_start_side_by_side),
];

const SHUT_DOWN: Option<News> = Some(News::Ended(Ending::ShutDown));

fn daemons_hear_who_is_init_and_how_it_ended() -> Outcome {
    let bed = Bed::new("echo up > /out; while [ ! -e /stop ]; do usleep 10000; done; exit 3");
    run(async {
        let process = bed.start().await?;
        let (mut one, mut other) = (bed.monitor().await?, bed.monitor().await?);
        let Some(News::Init(init)) = Bed::next(&mut one).await? else {
            return Err("no word of init".to_owned());
        };
        equal("what the second hears", Bed::next(&mut other).await?, Some(News::Init(init)))?;
        equal("the group", bed.group().processes().contains(&(init as u32)), true)?;
        drop(other);
        std::fs::create_dir(bed.root("stop")).unwrap();
        equal("the end", Bed::next(&mut one).await?, SHUT_DOWN)?;
        equal("the group at its end", bed.group().exists(), false)?;
        contains(&bed.log(), "init ended: exit status 3")?;
        equal("what follows", Bed::next(&mut one).await?, None)?;
        bed.ended(&process).await?;
        bed.left_nothing()
    })
}

/// Boots twice: the first time it asks for a reboot.
const REBOOTING: &str = "echo boot >> /out; until [ -e /go ]; do usleep 10000; done; \
                         [ -e /again ] && exit; : > /again; reboot -f; sleep 1000";

fn a_reboot_starts_it_again() -> Outcome {
    let bed = Bed::new(REBOOTING);
    run(async {
        let process = bed.start().await?;
        let mut monitor = bed.monitor().await?;
        let first = Bed::next(&mut monitor).await?;
        std::fs::create_dir(bed.root("go")).unwrap();
        let second = Bed::next(&mut monitor).await?;
        match (first, second) {
            (Some(News::Init(first)), Some(News::Init(second))) if first != second => {}
            other => return Err(format!("instead of two inits: {other:?}")),
        }
        equal("the end", Bed::next(&mut monitor).await?, SHUT_DOWN)?;
        bed.ended(&process).await?;
        equal("boots", bed.out().as_str(), "boot\nboot\n")?;
        bed.left_nothing()
    })
}

fn a_reboot_can_be_the_end() -> Outcome {
    let mut bed = Bed::new(REBOOTING);
    bed.blueprint.on_reboot = OnReboot::End;
    run(async {
        let process = bed.start().await?;
        let mut monitor = bed.monitor().await?;
        Bed::next(&mut monitor).await?;
        std::fs::create_dir(bed.root("go")).unwrap();
        let ended = Bed::next(&mut monitor).await?;
        equal("the end", ended, Some(News::Ended(Ending::Reboot)))?;
        bed.ended(&process).await?;
        bed.left_nothing()
    })
}

fn a_signal_ends_all_of_it_at_once() -> Outcome {
    // Its processes ignore every request.
    let bed = Bed::new(
        "trap '' TERM HUP INT; (trap '' TERM; sleep 1000) & echo up > /out; while :; do sleep 1; done",
    );
    run(async {
        let process = bed.start().await?;
        bed.says("up").await?;
        process.signal(Signal::TERM).unwrap();
        bed.ended(&process).await?;
        bed.left_nothing()
    })
}

fn it_runs_only_when_the_daemon_says_so() -> Outcome {
    let bed = Bed::new("echo ran > /out; sleep 1000");
    run(async {
        let starting =
            Starting::begin(bed.spawn(), &bed.blueprint).await.map_err(|e| e.to_string())?;
        equal("its init", bed.group().processes().contains(&starting.init), true)?;
        let controller = starting.process().pid();
        // The daemon goes away.
        drop(starting);
        until(|| !bed.group().exists() && !bed.blueprint.socket.exists()).await?;
        equal("what it did", bed.out().as_str(), "")?;
        contains(&bed.log(), "the daemon went away")?;
        // As a zombie, where nobody waits for it, it has no command line.
        let line = format!("/proc/{controller}/cmdline");
        until(|| std::fs::read(&line).map_or(true, |line| line.is_empty())).await?;
        bed.left_nothing()
    })
}

fn a_killed_controller_takes_it_along() -> Outcome {
    let bed = Bed::new("trap '' TERM; (sleep 1000) & echo up > /out; while :; do sleep 1; done");
    run(async {
        let process = bed.start().await?;
        bed.says("up").await?;
        let mut monitor = bed.monitor().await?;
        Bed::next(&mut monitor).await?;
        process.signal(Signal::KILL).unwrap();
        equal("the end", Bed::next(&mut monitor).await?, None)?;
        equal("the controller's end", within(process.exited()).await?, Exit::Signal(9))?;
        until(|| bed.group().processes().is_empty()).await?;
        // What a daemon sees and cleans.
        equal("its group is left", bed.group().exists(), true)?;
        bed.group().remove().map_err(|error| error.to_string())?;
        std::fs::remove_file(&bed.blueprint.socket).unwrap();
        bed.left_nothing()
    })
}

#[expect(clippy::print_stdout, reason = "with `--nocapture` it says how long it took")]
fn many_start_side_by_side() -> Outcome {
    let count = std::env::var("VIRTUS_MANY").ok().and_then(|n| n.parse().ok()).unwrap_or(12);
    let beds: Vec<Bed> = (0..count).map(|_| Bed::new("echo up > /out; exec sleep 1000")).collect();
    run(async {
        let begun = Instant::now();
        let starts = beds.iter().map(Bed::start);
        let mut controllers = Vec::new();
        for start in all(starts).await {
            controllers.push(start?);
        }
        let started = begun.elapsed();
        let memory: u64 = controllers.iter().map(|c| proportional_memory(c.pid())).sum();
        let begun = Instant::now();
        for (bed, controller) in beds.iter().zip(&controllers) {
            bed.says("up").await?;
            controller.signal(Signal::TERM).unwrap();
        }
        for (bed, controller) in beds.iter().zip(&controllers) {
            bed.ended(controller).await?;
            bed.left_nothing()?;
        }
        let ended = begun.elapsed();
        println!(
            "{count} containers: started in {started:?}, ended in {ended:?}, {} KiB for each controller",
            memory / count as u64
        );
        Ok(())
    })
}

/// Drives all of them together.
async fn all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(move |cx| {
        for (future, done) in futures.iter_mut().zip(&mut done) {
            if done.is_none()
                && let std::task::Poll::Ready(output) = future.as_mut().poll(cx)
            {
                *done = Some(output);
            }
        }
        if done.iter().all(Option::is_some) {
            std::task::Poll::Ready(done.drain(..).flatten().collect())
        } else {
            std::task::Poll::Pending
        }
    })
    .await
}

/// In KiB, with its share of what is shared.
fn proportional_memory(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or_default()
}
