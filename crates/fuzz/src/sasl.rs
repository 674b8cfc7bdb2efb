// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a daemon says to a client that proves its password by SCRAM: a challenge, and on the next line its own proof.
//!
//! A daemon that does not know the user is never believed.

use virtus_rpc::sasl::scram::ScramClient;
use virtus_wire::sample::Random;

use super::Target;

pub(crate) const TARGET: Target = Target { name: "sasl", run, seed };

/// Stands in an input for the client's part of the nonce, which is another every time.
const NONCE: &str = "NONCE";

const SEEDS: &[&str] = &[
    "r=NONCEand-more,s=c2FsdA==,i=1\nv=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    "r=NONCE3rfcNHYJY1ZVvWVs7j,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=7,x=more\nv=rmF9pqV8S7suAoZWja4dJRkFsKQ=,y=z",
    "r=NONCE,s=,i=0\ne=unknown-user",
];

fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok((mut client, first)) = ScramClient::new("fr,e=d", "secret") else { return };
    let first = String::from_utf8_lossy(&first);
    let nonce = first.rsplit_once("r=").map_or("", |(_, nonce)| nonce);
    let text = text.replace(NONCE, nonce);
    let (challenge, last) = text.split_once('\n').unwrap_or((&text, ""));
    if let Ok(answer) = client.answer(challenge.as_bytes()) {
        assert!(!answer.windows(6).any(|part| part == b"secret"), "the password is shown");
    }
    assert!(client.check(last.as_bytes()).is_err(), "a stranger is believed: {text:?}");
}

fn seed(random: &mut Random) -> Vec<u8> {
    SEEDS[random.below(SEEDS.len())].as_bytes().to_vec()
}
