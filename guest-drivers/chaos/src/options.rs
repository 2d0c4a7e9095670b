//! What the kernel command line asks for.

use core::arch::x86_64::_rdtsc;

/// A kind of nonsense.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// PCI config space, by ports and by ECAM, of functions that are there and of others.
    Config,
    /// The PCI windows: BARs, MSI-X tables, holes.
    Bars,
    /// QXL: RAM header, rings, commands.
    Rings,
    /// QXL: I/O ports with their arguments.
    Ports,
    /// QXL: surface memory and ROM.
    Vram,
    /// Legacy ports.
    Platform,
}

pub(crate) const KINDS: [(Kind, &str); 6] = [
    (Kind::Config, "config"),
    (Kind::Bars, "bars"),
    (Kind::Rings, "rings"),
    (Kind::Ports, "ports"),
    (Kind::Vram, "vram"),
    (Kind::Platform, "platform"),
];

const DEFAULT_COUNT: u64 = 1_000_000;

/// `seed=N count=N only=KIND,KIND`; numbers decimal or with 0x. Other words are ignored: loaders add their own.
pub(crate) struct Options {
    /// Without one on the command line, from the time stamp counter.
    pub(crate) seed: u64,
    /// Random accesses to make.
    pub(crate) count: u64,
    /// Bit i: `KINDS[i]` is wanted.
    pub(crate) kinds: u32,
}

impl Options {
    /// Reads a command line; an error is the word that makes no sense.
    pub(crate) fn parse(line: &str) -> Result<Self, &str> {
        let mut options = Self {
            // SAFETY: reads a counter.
            seed: unsafe { _rdtsc() },
            count: DEFAULT_COUNT,
            kinds: (1 << KINDS.len()) - 1,
        };
        for word in line.split_ascii_whitespace() {
            match word.split_once('=') {
                Some(("seed", value)) => options.seed = number(value).ok_or(word)?,
                Some(("count", value)) => options.count = number(value).ok_or(word)?,
                Some(("only", list)) => options.kinds = kinds(list).ok_or(word)?,
                _ => {}
            }
        }
        Ok(options)
    }
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn kinds(list: &str) -> Option<u32> {
    list.split(',').try_fold(0, |bits, name| {
        let index = KINDS.iter().position(|(_, known)| *known == name)?;
        Some(bits | 1 << index)
    })
}
