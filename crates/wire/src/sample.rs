// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Valid messages at random, made from their [`Shape`] alone; for tests and fuzzing.

use crate::xdr::Shape;

/// A small deterministic generator (SplitMix64): the same seed makes the same messages everywhere.
pub struct Random(u64);

impl Random {
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.number() % end.max(1) as u64) as usize
    }

    /// `length` bytes of anything.
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.number() as u8).collect()
    }

    /// A length up to `max`: mostly short, now and then longer.
    fn length(&mut self, max: usize) -> usize {
        let usual = if self.below(8) == 0 { 40 } else { 4 };
        self.below(max.min(usual) + 1)
    }

    /// Bytes of valid UTF-8 without NUL.
    fn text(&mut self, max: usize) -> Vec<u8> {
        const LETTERS: [&str; 8] = ["a", "Z", "0", "/", "-", "é", "‰", "🐧"];
        let mut text = String::new();
        for _ in 0..self.length(max / 4) {
            text.push_str(LETTERS[self.below(LETTERS.len())]);
        }
        text.into_bytes()
    }
}

/// Appends a valid value of this shape, in the only encoding that it has.
pub fn sample(shape: &Shape, random: &mut Random, out: &mut Vec<u8>) {
    match *shape {
        Shape::Void => {}
        Shape::Int | Shape::UInt => word(random.number() as u32, out),
        Shape::Hyper | Shape::UHyper | Shape::Double => {
            out.extend(random.number().to_be_bytes());
        }
        Shape::Char => word(i32::from(random.number() as i8) as u32, out),
        Shape::Short => word(i32::from(random.number() as i16) as u32, out),
        Shape::UChar => word(u32::from(random.number() as u8), out),
        Shape::UShort => word(u32::from(random.number() as u16), out),
        Shape::Bool => word((random.number() & 1) as u32, out),
        Shape::Enum(values) => word(values[random.below(values.len())] as u32, out),
        Shape::Uuid => out.extend(random.bytes(16)),
        Shape::String(max) => opaque(&random.text(max), out),
        Shape::Bytes(max) => {
            let length = random.length(max);
            opaque(&random.bytes(length), out);
        }
        Shape::Optional(of) => {
            let present = random.number() & 1;
            word(present as u32, out);
            if present == 1 {
                sample(of, random, out);
            }
        }
        Shape::Array(of, max) => {
            let length = random.length(max);
            word(length as u32, out);
            (0..length).for_each(|_| sample(of, random, out));
        }
        Shape::Fixed(of, length) => (0..length).for_each(|_| sample(of, random, out)),
        Shape::TypedValue => typed_value(random, out),
        Shape::Struct(_, fields) => {
            fields.iter().for_each(|field| sample(&field.shape, random, out));
        }
    }
}

fn typed_value(random: &mut Random, out: &mut Vec<u8>) {
    let number = 1 + random.below(7);
    word(number as u32, out);
    match number {
        1 | 2 => sample(&Shape::UInt, random, out),
        3..=5 => sample(&Shape::UHyper, random, out),
        6 => sample(&Shape::Bool, random, out),
        _ => sample(&Shape::String(64), random, out),
    }
}

fn word(word: u32, out: &mut Vec<u8>) {
    out.extend(word.to_be_bytes());
}

fn opaque(bytes: &[u8], out: &mut Vec<u8>) {
    word(bytes.len() as u32, out);
    out.extend(bytes);
    out.resize(out.len().next_multiple_of(4), 0);
}
