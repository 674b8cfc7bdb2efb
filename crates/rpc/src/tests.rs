// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A server with a small driver, and clients that behave well or badly. Time stands still but for
//! what somebody waits for, so deadlines of minutes pass at once and nothing sleeps.

mod abuse;
mod access;
mod authentication;
mod calls;
mod driver;
mod events;
mod peer;
mod remote;
mod streams;
mod transports;
