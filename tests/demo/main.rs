// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `make demo`: a real Linux guest, booted by the stock `virsh` through `virtqemud`, in a place of its own.
//!
//! Shows each command as a person would type it, and what it answers; at the end nothing is left on the machine.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is there to be watched")]
#![expect(
    clippy::disallowed_methods,
    reason = "it starts QEMU itself to see whether KVM runs a guest"
)]

mod kvm;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use virtus_tests::{Backend, DEADLINE, Guest, Options, Outcome, Testbed, obstacle, wait_for};

fn main() -> ExitCode {
    let begin = Instant::now();
    match demo() {
        Ok(()) => {
            println!("\nDone in {:.1} s.", begin.elapsed().as_secs_f32());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("\nThe demo failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn demo() -> Outcome {
    if let Some(obstacle) = obstacle() {
        return Err(format!("{obstacle} (it needs root: `sudo make demo`)").into());
    }
    say("A guest: Debian's cloud kernel with a busybox as its whole system");
    let mut guest = Guest::linux("demo")?;
    let verdict = kvm::runs_guests();
    println!("{verdict}");
    if verdict.runs() {
        guest = guest.on_kvm();
    }

    say("virtqemud, in a folder and namespaces of its own");
    let bed = Testbed::on(Backend::Ours, &Options { kvm: verdict.runs(), ..Options::default() })?;
    let folder = bed.path("");
    println!("folder {}, process {} in there", folder.display(), bed.daemon_pid()?);

    bed.write("demo.xml", &guest.xml())?;
    shown(&bed, &format!("define {}", folder.join("demo.xml").display()))?;
    shown(&bed, "start demo")?;
    println!("\n$ virsh console demo");
    let mut console = bed.terminal("console demo")?;
    console.show();
    console.expect("virtus-guest: up", DEADLINE)?;
    console.expect("guest# ", DEADLINE)?;
    console.ask("uname -a", "GNU/Linux", DEADLINE)?;
    console.expect("guest# ", DEADLINE)?;
    // The escape character: virsh lets go of the console.
    console.keys("\x1d")?;
    console.end(DEADLINE)?;
    println!();
    shown(&bed, "list")?;
    shown(&bed, "dominfo demo")?;
    shown(&bed, "shutdown demo --mode acpi")?;
    wait_for("the guest's end", DEADLINE, || Ok(bed.virsh("domstate demo")? == "shut off"))?;
    shown(&bed, "list --all")?;
    shown(&bed, "undefine demo")?;

    say("The end of virtqemud");
    drop(console);
    let mut bed = bed;
    let code = bed.stop()?;
    println!("exit code {}", code.map_or_else(|| "none".to_owned(), |code| code.to_string()));
    let left = bed.processes()?;
    drop(bed);
    nothing_left(&folder, left.len())
}

fn say(text: &str) {
    println!("\n== {text}");
}

/// Runs `virsh` and shows it.
fn shown(bed: &Testbed, line: &str) -> Outcome {
    println!("\n$ virsh {line}");
    println!("{}", bed.virsh(line)?);
    Ok(())
}

fn nothing_left(folder: &std::path::Path, processes: usize) -> Outcome {
    let name = folder.display().to_string();
    let mounts =
        std::fs::read_to_string("/proc/self/mounts")?.matches(name.trim_end_matches('/')).count();
    wait_for("the folder to go", Duration::from_secs(5), || Ok(!folder.exists()))?;
    println!("left behind: {processes} processes, {mounts} mounts, no folder");
    if processes + mounts == 0 { Ok(()) } else { Err("something was left behind".into()) }
}
