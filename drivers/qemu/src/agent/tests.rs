// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Agents played by the test: slow, stale, refusing, gone.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

const SOON: Duration = Duration::from_secs(60);

fn pair() -> (Agent, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    (Agent::from_stream(ours, "domain 'vm1'"), theirs)
}

async fn command(guest: &mut UnixStream) -> Value {
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        line.push(guest.read_u8().await.unwrap());
    }
    line.retain(|byte| *byte != MARK);
    serde_json::from_slice(&line).unwrap()
}

async fn sync(guest: &mut UnixStream) {
    let sync = command(guest).await;
    assert_eq!(sync["execute"], "guest-sync-delimited");
    let mut reply = vec![MARK];
    reply.extend_from_slice(json!({ "return": sync["arguments"]["id"] }).to_string().as_bytes());
    reply.push(b'\n');
    guest.write_all(&reply).await.unwrap();
}

#[tokio::test]
async fn leftovers_are_thrown_away() {
    let (agent, mut guest) = pair();
    let server = async {
        guest.write_all(b"{\"return\": \"of a command long ago\"}\nhalf a li").await.unwrap();
        sync(&mut guest).await;
        assert_eq!(command(&mut guest).await["execute"], "guest-get-host-name");
        guest.write_all(b"{\"return\": {\"host-name\": \"g\"}}\n").await.unwrap();
    };
    let (reply, ()) = tokio::join!(agent.execute("guest-get-host-name", None, SOON), server);
    assert_eq!(reply.unwrap()["host-name"], "g");
}

#[tokio::test]
async fn a_guest_without_agent_is_unresponsive() {
    let (agent, _guest) = pair();
    let error = agent.execute("guest-ping", None, Duration::from_millis(30)).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::AgentUnresponsive);
    assert!(error.hint_text().is_some());
}

#[tokio::test(start_paused = true)]
async fn slow_refused_and_gone_are_told_apart() {
    let (agent, mut guest) = pair();
    let (slow, ()) = tokio::join!(
        agent.execute("guest-exec", None, Duration::from_millis(50)),
        sync(&mut guest)
    );
    assert_eq!(slow.unwrap_err().code(), ErrorCode::AgentCommandTimeout);
    let _ = command(&mut guest).await;

    let (refused, ()) = tokio::join!(agent.execute("guest-exec", None, SOON), async {
        guest.write_all(b"{\"return\": \"late\"}\n").await.unwrap();
        sync(&mut guest).await;
        command(&mut guest).await;
        guest
            .write_all(b"{\"error\": {\"class\": \"GenericError\", \"desc\": \"no\"}}\n")
            .await
            .unwrap();
    });
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::AgentCommandFailed);
    assert!(refused.text().contains("'guest-exec': no"), "{refused}");

    drop(guest);
    let gone = agent.execute("guest-ping", None, SOON).await.unwrap_err();
    assert_eq!(gone.code(), ErrorCode::AgentUnresponsive);
}

#[tokio::test]
async fn a_guest_that_leaves_has_obeyed() {
    let (agent, mut guest) = pair();
    let (done, ()) = tokio::join!(
        agent.execute_until("guest-shutdown", None, SOON, std::future::ready(())),
        async {
            let _ = guest.write_all(b"").await;
        }
    );
    done.unwrap();
}
