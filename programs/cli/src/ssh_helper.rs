// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `virt-ssh-helper`: the far end of `qemu+ssh://…`. A client's ssh runs it here, and it joins its input and
//! output to the socket at which the URI is answered, so that clients need to know no paths of other hosts. A user's own
//! daemon is started if it does not run.

use std::fs::File;
use std::io::{self, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::thread;

use virtus_client::blocking::Wait;
use virtus_client::connect_local;

const OPTIONS: &str = "\
Internal tool to handle connection proxying for SSH

Options:
  -h, --help      show this help
  -r, --readonly  connect read-only
  -V, --version   show the version
";

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
enum Task {
    Help,
    Version,
    Join { uri: String, read_only: bool },
}

/// Runs the tool with its `words`, of which the first is its own name; answers the exit status. What it carries
/// goes from `input` to the daemon and from the daemon to `output`, until the daemon ends that.
pub fn run(words: &[String], input: File, output: &mut File, err: &mut dyn Write) -> u8 {
    let program = words.first().map_or("virt-ssh-helper", String::as_str);
    let done = match task(words.get(1..).unwrap_or_default()) {
        Ok(Task::Help) => say(output, &format!("Usage: {program} [OPTION…] URI\n\n{OPTIONS}")),
        Ok(Task::Version) => say(output, &format!("{program} (libvirt) 11.3.0\n")),
        Ok(Task::Join { uri, read_only }) => connect(&uri, read_only)
            .and_then(|socket| join(&socket, input, output).map_err(|cause| cause.to_string())),
        Err(text) => Err(text),
    };
    match done {
        Ok(()) => 0,
        Err(text) => {
            // Without a stream for errors the status has to do.
            let _ = writeln!(err, "{program}: {text}");
            1
        }
    }
}

fn task(words: &[String]) -> Result<Task, String> {
    let (mut uri, mut read_only) = (None, false);
    for word in words {
        match word.as_str() {
            "-h" | "--help" => return Ok(Task::Help),
            "-V" | "--version" => return Ok(Task::Version),
            "-r" | "--readonly" => read_only = true,
            option if option.starts_with('-') => return Err(format!("unknown option '{option}'")),
            _ if uri.is_some() => return Err("there is more than one URI".to_owned()),
            _ => uri = Some(word.clone()),
        }
    }
    let uri = uri.ok_or("which URI? An example is qemu:///system")?;
    Ok(Task::Join { uri, read_only })
}

fn say(output: &mut File, text: &str) -> Result<(), String> {
    output.write_all(text.as_bytes()).map_err(|cause| cause.to_string())
}

fn connect(uri: &str, read_only: bool) -> Result<UnixStream, String> {
    connect_local(uri, read_only).wait().map_err(|error| error.to_string())
}

/// Carries bytes both ways until the daemon's end is closed.
fn join(socket: &UnixStream, mut input: File, output: &mut File) -> io::Result<()> {
    let mut to_daemon = socket.try_clone()?;
    // Not waited for: it may stand in a read of which nobody will hear any more.
    thread::Builder::new().spawn(move || {
        // The other direction tells of a daemon that is gone, and of a client that is.
        let _ended = io::copy(&mut input, &mut to_daemon);
        let _closed = to_daemon.shutdown(Shutdown::Write);
    })?;
    io::copy(&mut &*socket, output).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Task, String> {
        task(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn the_command_line_is_that_of_libvirts_tool() {
        let join = |read_only| Ok(Task::Join { uri: "qemu:///system".to_owned(), read_only });
        assert_eq!(read("qemu:///system"), join(false));
        assert_eq!(read("-r qemu:///system"), join(true));
        assert_eq!(read("qemu:///system --readonly"), join(true));
        assert_eq!(read("--help"), Ok(Task::Help));
        assert_eq!(read("-V"), Ok(Task::Version));
        for (line, text) in [("", "which URI"), ("-x", "'-x'"), ("a:///b c:///d", "more than one")]
        {
            assert!(read(line).unwrap_err().contains(text), "{line}");
        }
    }

    #[test]
    fn only_sockets_of_this_host_are_joined() {
        for uri in ["qemu+tcp://far/system", "qemu://far/system", "no uri"] {
            assert!(connect(uri, false).is_err(), "{uri}");
        }
        let missing = connect("qemu+unix:///system?socket=/no/such-socket", false).unwrap_err();
        assert!(missing.contains("Failed to connect socket to '/no/such-socket'"), "{missing}");
    }

    #[test]
    fn bytes_go_both_ways_until_the_daemon_ends() {
        let (daemon, ours) = UnixStream::pair().unwrap();
        let (from_client, mut client_says) = io::pipe().unwrap();
        let (mut client_hears, to_client) = io::pipe().unwrap();
        let as_file = |end: std::os::fd::OwnedFd| File::from(end);
        let (input, mut output) = (as_file(from_client.into()), as_file(to_client.into()));
        let joined = thread::Builder::new()
            .spawn(move || join(&ours, input, &mut output).map_err(|cause| cause.kind()))
            .unwrap();
        client_says.write_all(b"call").unwrap();
        let mut heard = [0; 4];
        io::Read::read_exact(&mut &daemon, &mut heard).unwrap();
        assert_eq!(&heard, b"call");
        (&daemon).write_all(b"reply").unwrap();
        drop(daemon);
        let mut text = String::new();
        assert_eq!(joined.join().unwrap(), Ok(()));
        io::Read::read_to_string(&mut client_hears, &mut text).unwrap();
        assert_eq!(text, "reply");
    }
}
