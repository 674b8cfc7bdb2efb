// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A QEMU that says anything on its monitor to a client with commands under way.
//!
//! Every command comes to an end when the connection does.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use virtus_qemu::qmp::{Events, Monitor};
use virtus_wire::sample::Random;

use super::Target;

pub(crate) const TARGET: Target = Target { name: "monitor", run, seed };

/// The connection ends long before.
const DEADLINE: Duration = Duration::from_secs(60);

const LINES: &[&str] = &[
    r#"{"QMP": {"version": {"qemu": {"micro": 1, "minor": 2, "major": 7}, "package": "p"}, "capabilities": ["oob"]}}"#,
    r#"{"return": {}, "id": 1}"#,
    r#"{"return": {"running": true, "status": "running"}, "id": 2}"#,
    r#"{"id": 2, "error": {"class": "GenericError", "desc": "no"}}"#,
    r#"{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "SHUTDOWN", "data": {"guest": true}}"#,
];

fn run(input: &[u8]) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return;
    };
    runtime.block_on(async {
        let Ok((ours, mut qemus)) = UnixStream::pair() else { return };
        // The socket holds more than a fuzzer sends.
        if qemus.write_all(input).await.is_err() || qemus.shutdown().await.is_err() {
            return;
        }
        let connected = Monitor::from_stream(ours, "domain 'vm'", DEADLINE).await;
        if let Ok((monitor, events)) = connected {
            let _ = monitor.execute("query-status", None, DEADLINE).await;
            drop(monitor);
            drain(events).await;
        }
    });
}

async fn drain(mut events: Events) {
    while events.next().await.is_some() {}
}

/// A greeting and a few lines after it.
fn seed(random: &mut Random) -> Vec<u8> {
    let mut said = format!("{}\n{}\n", LINES[0], LINES[1]);
    for _ in 0..random.below(4) {
        said.push_str(LINES[random.below(LINES.len())]);
        said.push('\n');
    }
    said.into_bytes()
}
