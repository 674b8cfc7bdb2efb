// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Monitors played by the test: late, silent, broken, ending.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use virtus_api::{Error, ErrorCode};

use super::*;

const SOON: Duration = Duration::from_secs(60);
const GREETING: &str = r#"{"QMP":{"version":{"qemu":{"micro":2,"minor":0,"major":10},"package":"Debian"},"capabilities":["oob"]}}"#;

/// The QEMU side of a connection, played by the test.
struct Fake(BufReader<UnixStream>);

impl Fake {
    async fn command(&mut self) -> Value {
        let mut line = String::new();
        self.0.read_line(&mut line).await.unwrap();
        serde_json::from_str(&line).unwrap()
    }

    async fn say(&mut self, text: &str) {
        self.0.write_all(format!("{text}\r\n").as_bytes()).await.unwrap();
    }

    async fn answer(&mut self, command: &Value, value: Value) {
        self.say(&json!({ "return": value, "id": command["id"] }).to_string()).await;
    }
}

async fn pair() -> (Monitor, Events, Fake) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut fake = Fake(BufReader::new(theirs));
    let server = async {
        fake.say(GREETING).await;
        let command = fake.command().await;
        assert_eq!(command["execute"], "qmp_capabilities");
        fake.answer(&command, json!({})).await;
    };
    let (connected, ()) = tokio::join!(Monitor::from_stream(ours, "domain 'vm1'", SOON), server);
    let (monitor, events) = connected.unwrap();
    (monitor, events, fake)
}

#[tokio::test]
async fn it_greets_and_learns_the_version() {
    let (monitor, _events, _fake) = pair().await;
    assert_eq!(monitor.greeting().version, 10_000_002);
    assert_eq!(monitor.greeting().package, "Debian");
}

#[tokio::test]
async fn replies_find_their_command_in_any_order() {
    let (monitor, _events, mut fake) = pair().await;
    let server = async {
        let (first, second) = (fake.command().await, fake.command().await);
        fake.answer(&second, json!("second")).await;
        fake.answer(&first, json!("first")).await;
    };
    let (replies, ()) =
        tokio::join!(monitor.execute_all(vec![("a", None), ("b", None)], SOON), server);
    let replies: Vec<Value> = replies.into_iter().map(Result::unwrap).collect();
    assert_eq!(replies, ["first", "second"]);
}

#[tokio::test]
async fn a_refusal_keeps_qemus_words() {
    let (monitor, _events, mut fake) = pair().await;
    let server = async {
        let command = fake.command().await;
        let error = json!({"class": "DeviceNotFound", "desc": "Device 'x' not found"});
        fake.say(&json!({ "error": error, "id": command["id"] }).to_string()).await;
    };
    let (reply, ()) = tokio::join!(monitor.execute("device_del", json!({"id": "x"}), SOON), server);
    let error = reply.unwrap_err();
    assert!(error.is_unknown_device());
    let error = Error::from(error);
    assert_eq!(error.code(), ErrorCode::OperationFailed);
    assert_eq!(error.text(), "unable to execute QEMU command 'device_del': Device 'x' not found");
}

#[tokio::test]
async fn a_late_reply_harms_nobody() {
    let (monitor, _events, mut fake) = pair().await;
    let late = monitor.execute("query-status", None, Duration::from_millis(20)).await;
    let error = Error::from(late.unwrap_err());
    assert_eq!(error.code(), ErrorCode::OperationTimeout);
    assert!(error.text().contains("domain 'vm1' did not answer 'query-status'"), "{error}");
    let server = async {
        let first = fake.command().await;
        fake.answer(&first, json!("late")).await;
        let second = fake.command().await;
        fake.answer(&second, json!("in time")).await;
    };
    let (reply, ()) = tokio::join!(monitor.execute("query-name", None, SOON), server);
    assert_eq!(reply.unwrap(), "in time");
}

#[tokio::test]
async fn a_silent_qemu_gets_no_stale_commands() {
    let (monitor, _events, mut fake) = pair().await;
    // More than the socket and the queue take: QEMU reads nothing at all.
    let big = "x".repeat(300_000);
    let stale = (0..QUEUE_AND_MORE)
        .map(|_| monitor.execute("stale", json!({ "pad": big }), Duration::from_millis(50)));
    for result in futures_util::future::join_all(stale).await {
        assert!(matches!(result, Err(CallError::Timeout { .. })));
    }
    let server = async {
        let mut stale = 0;
        loop {
            let command = fake.command().await;
            if command["execute"] == "fresh" {
                fake.answer(&command, json!(stale)).await;
                break;
            }
            stale += 1;
        }
    };
    let (reply, ()) = tokio::join!(monitor.execute("fresh", None, SOON), server);
    assert!(reply.unwrap().as_u64().unwrap() <= 2);
}
const QUEUE_AND_MORE: usize = 80;

#[tokio::test]
async fn events_come_in_order_and_end_with_the_connection() {
    let (monitor, mut events, mut fake) = pair().await;
    fake.say(r#"{"timestamp":{"seconds":7,"microseconds":8},"event":"STOP"}"#).await;
    fake.say(r#"{"event":"SHUTDOWN","data":{"guest":true}}"#).await;
    let stop = events.next().await.unwrap();
    assert_eq!((stop.name.as_str(), stop.seconds, stop.micros), ("STOP", 7, 8));
    assert_eq!(events.next().await.unwrap().data["guest"], true);
    let (reply, ()) = tokio::join!(monitor.execute("quit", None, SOON), async {
        fake.command().await;
        drop(fake);
    });
    let text = Error::from(reply.unwrap_err()).to_string();
    assert!(text.contains("'quit' for domain 'vm1': QEMU closed the monitor"), "{text}");
    assert_eq!(events.next().await, None);
    assert!(!monitor.is_open());
    assert!(matches!(monitor.execute("x", None, SOON).await, Err(CallError::Closed { .. })));
}

#[tokio::test]
async fn garbage_ends_the_connection_with_a_reason() {
    for garbage in ["this is no JSON", "[1]", r#"{"neither":1}"#, &"[".repeat(100_000)] {
        let (monitor, _events, mut fake) = pair().await;
        let (reply, ()) = tokio::join!(monitor.execute("x", None, SOON), async {
            fake.command().await;
            fake.say(garbage).await;
        });
        assert!(matches!(reply, Err(CallError::Closed { .. })), "{reply:?}");
    }
}

#[tokio::test]
async fn a_command_of_the_user_keeps_its_own_id() {
    let (monitor, _events, mut fake) = pair().await;
    let server = async {
        let command = fake.command().await;
        fake.answer(&command, json!({"running": true})).await;
    };
    let command = json!({"execute": "query-status", "id": "mine"});
    let (reply, ()) = tokio::join!(monitor.pass_through(command, SOON), server);
    assert_eq!(reply.unwrap(), json!({"return": {"running": true}, "id": "mine"}));
}

#[tokio::test]
async fn descriptors_travel_with_their_command() {
    let (monitor, _events, mut fake) = pair().await;
    let file: OwnedFd = std::fs::File::open("/dev/null").unwrap().into();
    let server = async {
        let stream = fake.0.get_ref();
        let (bytes, count) = loop {
            stream.readable().await.unwrap();
            let received = stream.try_io(tokio::io::Interest::READABLE, || {
                let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
                let mut control = RecvAncillaryBuffer::new(&mut space);
                let mut bytes = vec![0; 4096];
                let mut slices = [IoSliceMut::new(&mut bytes)];
                let got = recvmsg(stream, &mut slices, &mut control, RecvFlags::CMSG_CLOEXEC)?;
                let fds = control
                    .drain()
                    .map(|message| match message {
                        RecvAncillaryMessage::ScmRights(fds) => fds.count(),
                        _ => 0,
                    })
                    .sum::<usize>();
                bytes.truncate(got.bytes);
                Ok((bytes, fds))
            });
            if let Ok(received) = received {
                break received;
            }
        };
        let command: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(command["arguments"]["fdname"], "tap0");
        assert_eq!(count, 1);
        fake.answer(&command, json!({})).await;
    };
    let (sent, ()) = tokio::join!(monitor.send_fd("tap0", file, SOON), server);
    sent.unwrap();
}
