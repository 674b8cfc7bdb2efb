// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Bits of CPUID leaves and model-specific registers, as a set.

use virtus_api::Result;
use virtus_xml::cpu_map::{CpuData, Cpuid, Msr};
use virtus_xml::value::Hex;
use virtus_xml::{Document, FormatFlags, ParseFlags};

use crate::cpu::failed;

/// Where bits stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Register {
    /// What CPUID answers for `eax` and `ecx`.
    Leaf { eax: u32, ecx: u32 },
    /// A model-specific register.
    Msr(u32),
}

/// Registers and their values: `eax`, `ebx`, `ecx`, `edx`; a model-specific register uses the outer two.
///
/// Invariant: no register without a bit is kept, and they are in order, so two sets are equal when their bits are.
/// Each takes what it needs and no more: there are hundreds of them, most with a single register.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Registers(Vec<(Register, [u32; 4])>);

/// The leaf that carries the maker.
const VENDOR: Register = Register::Leaf { eax: 0, ecx: 0 };
/// The leaf that carries family, model and stepping.
const SIGNATURE: Register = Register::Leaf { eax: 1, ecx: 0 };

impl Registers {
    /// Reads a `<cpudata>` document.
    pub fn parse(text: &str) -> Result<Self> {
        let data = CpuData::parse(text, ParseFlags::empty())?.value;
        Ok(Self::of(&data.cpuid, &data.msr))
    }

    /// Writes a `<cpudata>` document.
    #[must_use]
    pub fn format(&self) -> String {
        let hex = |value: u32| Some(Hex(u64::from(value)));
        let mut data = CpuData { arch: Some("x86".to_owned()), ..CpuData::default() };
        for (register, [a, b, c, d]) in &self.0 {
            match *register {
                Register::Leaf { eax, ecx } => data.cpuid.push(Cpuid {
                    eax_in: Hex(eax.into()),
                    ecx_in: hex(ecx),
                    eax: hex(*a),
                    ebx: hex(*b),
                    ecx: hex(*c),
                    edx: hex(*d),
                }),
                Register::Msr(index) => data.msr.push(Msr {
                    index: Hex(index.into()),
                    eax: Hex((*a).into()),
                    edx: Hex((*d).into()),
                }),
            }
        }
        data.format(FormatFlags::empty())
    }

    /// The bits of these elements; of a number that is too large the low 32 bits.
    #[must_use]
    pub(super) fn of(cpuid: &[Cpuid], msr: &[Msr]) -> Self {
        let low = |value: u64| u32::try_from(value & u64::from(u32::MAX)).unwrap_or_default();
        let word = |value: Option<Hex<8>>| low(value.unwrap_or_default().0);
        let mut bits = Self::default();
        for leaf in cpuid {
            let register = Register::Leaf { eax: low(leaf.eax_in.0), ecx: word(leaf.ecx_in) };
            bits.insert(register, [leaf.eax, leaf.ebx, leaf.ecx, leaf.edx].map(word));
        }
        for msr in msr {
            let value = [low(msr.eax.0), 0, 0, low(msr.edx.0)];
            bits.insert(Register::Msr(low(msr.index.0)), value);
        }
        bits
    }

    /// Adds the bits of one register.
    pub fn insert(&mut self, register: Register, value: [u32; 4]) {
        if value == [0; 4] {
            return;
        }
        match self.find(register) {
            Ok(at) => self.0[at].1.iter_mut().zip(value).for_each(|(a, b)| *a |= b),
            Err(at) => {
                self.0.reserve_exact(1);
                self.0.insert(at, (register, value));
            }
        }
    }

    /// Where a register stands, or would.
    fn find(&self, register: Register) -> Result<usize, usize> {
        self.0.binary_search_by_key(&register, |(known, _)| *known)
    }

    /// The value of a register, 0 where it is not known.
    #[must_use]
    pub fn get(&self, register: Register) -> [u32; 4] {
        self.find(register).map(|at| self.0[at].1).unwrap_or_default()
    }

    /// Adds all bits of `other`.
    pub fn add(&mut self, other: &Self) {
        for (register, value) in &other.0 {
            self.insert(*register, *value);
        }
    }

    /// Takes all bits of `other` away.
    pub fn subtract(&mut self, other: &Self) {
        self.keep(|register, bits| bits & !Word::of(other.get(register)));
    }

    /// Leaves the bits that `other` has, too.
    pub fn intersect(&mut self, other: &Self) {
        self.keep(|register, bits| bits & Word::of(other.get(register)));
    }

    fn keep(&mut self, left: impl Fn(Register, Word) -> Word) {
        self.0.retain_mut(|(register, value)| {
            *value = left(*register, Word::of(*value)).words();
            *value != [0; 4]
        });
    }

    /// Whether all bits of `other` are there.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        other.0.iter().all(|(register, value)| {
            self.get(*register).iter().zip(value).all(|(own, wanted)| own & wanted == *wanted)
        })
    }

    /// Whether there is no bit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether bits of model-specific registers are among them.
    #[must_use]
    pub fn uses_msr(&self) -> bool {
        self.0.iter().any(|(register, _)| matches!(register, Register::Msr(_)))
    }

    /// The bits of a maker's twelve letters.
    pub fn of_vendor(letters: &str) -> Result<Self> {
        let Ok(bytes) = <[u8; 12]>::try_from(letters.as_bytes()) else {
            return Err(failed(format!("Invalid CPU vendor string '{letters}'"))
                .hint("it has 12 letters, such as GenuineIntel"));
        };
        let [a, b, c, d, e, f, g, h, i, j, k, l] = bytes;
        let mut bits = Self::default();
        let word = u32::from_le_bytes;
        bits.insert(VENDOR, [0, word([a, b, c, d]), word([i, j, k, l]), word([e, f, g, h])]);
        Ok(bits)
    }

    /// `eax` of the leaf with family, model and stepping.
    #[must_use]
    pub fn signature(&self) -> u32 {
        self.get(SIGNATURE)[0]
    }

    /// Adds family, model and stepping.
    pub fn add_signature(&mut self, signature: u32) {
        self.insert(SIGNATURE, [signature, 0, 0, 0]);
    }
}

/// The four values of a register as one number.
#[derive(Clone, Copy)]
struct Word(u128);

impl Word {
    fn of(words: [u32; 4]) -> Self {
        Self(words.into_iter().fold(0, |all, word| all << 32 | u128::from(word)))
    }

    fn words(self) -> [u32; 4] {
        let bytes = self.0.to_be_bytes();
        let mut words = [0; 4];
        for (word, four) in words.iter_mut().zip(bytes.chunks_exact(4)) {
            *word = four.iter().fold(0, |all, byte| all << 8 | u32::from(*byte));
        }
        words
    }
}

impl std::ops::BitAnd for Word {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl std::ops::Not for Word {
    type Output = Self;
    fn not(self) -> Self {
        Self(!self.0)
    }
}
