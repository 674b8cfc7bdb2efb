// SPDX-License-Identifier: Apache-2.0 OR MIT
//! x86: features are bits that CPUID and model-specific registers show; a model is a set of them.

mod decode;
mod live;
mod map;
mod registers;
mod signature;

pub use decode::{Decode, Kind};
pub use map::{Feature, Map, Model};
pub use registers::{Register, Registers};
pub use signature::Signature;
