//! What is in the records.

use caraway_base::{memory::PAGE_SIZE, state::Record};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{LiveError, record::MOST_PAGES};
use crate::{
    Fact,
    state_file::{difference, is_name},
};

const PAGE: usize = PAGE_SIZE as usize;

/// A CPUID leaf: function, index, flags, then the registers from EAX to EDX.
pub type CpuLeaf = [u32; 7];

/// Something that was done to the machine from outside while it stood still: what, and two numbers.
pub type Extra = (u8, i32, i32);

/// Which machine comes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Version of the program it comes from.
    pub program: String,
    /// What the guest could notice, as for a snapshot.
    pub machine: Vec<Fact>,
    /// Its memories, name and size in bytes. Records call them by their place in this list.
    pub memories: Vec<(String, u64)>,
    /// What its first vCPU shows.
    pub cpu: Vec<CpuLeaf>,
}

/// What comes last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Complete {
    /// Whether the guest was paused, and waits for `cont` there, too.
    pub(crate) paused: bool,
    pub(crate) records: Vec<Record>,
}

pub(crate) fn encode<T: Serialize>(what: &'static str, message: &T) -> Result<Vec<u8>, LiveError> {
    postcard::to_stdvec(message).map_err(|error| LiveError::Machine(format!("{what} does not encode: {error}")))
}

pub(crate) fn decode<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T, LiveError> {
    match postcard::take_from_bytes(bytes) {
        Ok((message, [])) => Ok(message),
        Ok((_, rest)) => Err(LiveError::invalid(
            what,
            &format!("{} bytes", bytes.len()),
            format!("{} bytes are left over at its end", rest.len()),
        )),
        Err(error) => Err(LiveError::invalid(
            what,
            &format!("{} bytes", bytes.len()),
            error.to_string(),
        )),
    }
}

impl Hello {
    /// Compares the machine that comes with the one here, whose memories have these names and sizes, in this order.
    pub(crate) fn check(&self, machine: &[Fact], memories: &[(&str, u64)]) -> Result<(), LiveError> {
        if let Some((name, coming, here)) = difference(&self.machine, machine) {
            return Err(LiveError::Differs { name, coming, here });
        }
        for (index, (name, _)) in self.memories.iter().enumerate() {
            let before = self.memories.iter().take(index);
            if !is_name(name) || before.into_iter().any(|(other, _)| other == name) {
                let name = name.escape_debug();
                return Err(LiveError::invalid("memory.name", &name, "odd, or there twice"));
            }
        }
        for (name, size) in memories {
            let coming = self.memories.iter().find(|(other, _)| other == name);
            let coming = coming.map_or_else(|| "none".to_owned(), |(_, size)| format!("{size} bytes"));
            let here = format!("{size} bytes");
            if coming != here {
                return Err(LiveError::Differs {
                    name: format!("memory {name}"),
                    coming,
                    here,
                });
            }
        }
        match self
            .memories
            .iter()
            .find(|(name, _)| !memories.iter().any(|(here, _)| here == name))
        {
            None => Ok(()),
            Some((name, size)) => Err(LiveError::Differs {
                name: format!("memory {name}"),
                coming: format!("{size} bytes"),
                here: "none".to_owned(),
            }),
        }
    }
}

/// The front of a Pages or Zeros record: the memory, how many, then their numbers.
pub(crate) fn page_list(memory: usize, numbers: &[u64]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(8 + numbers.len() * 8);
    // Both are checked where they come from: a list of memories and a batch.
    bytes.extend(u32::try_from(memory).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend(u32::try_from(numbers.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    bytes
}

/// Pages that came: their memory's place in the list, their numbers, and with `contents` their bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PageList<'a> {
    pub(crate) memory: usize,
    pub(crate) numbers: Vec<u64>,
    pub(crate) contents: &'a [u8],
}

impl<'a> PageList<'a> {
    /// Reads a Pages record (`with_contents`) or a Zeros record.
    pub(crate) fn parse(payload: &'a [u8], with_contents: bool) -> Result<Self, LiveError> {
        let short = || LiveError::invalid("length", &payload.len(), "too short for its pages");
        let (memory, rest) = payload.split_first_chunk::<4>().ok_or_else(short)?;
        let (count, rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
        let (memory, count) = (u32::from_le_bytes(*memory), u32::from_le_bytes(*count));
        let pages = usize::try_from(count)
            .ok()
            .filter(|pages| (1..=MOST_PAGES).contains(pages));
        let pages = pages.ok_or_else(|| {
            let reason = format!("a record has 1 to {MOST_PAGES} pages");
            LiveError::invalid("count", &count, reason)
        })?;
        let (numbers, contents) = rest.split_at_checked(pages * 8).ok_or_else(short)?;
        let wanted = if with_contents { pages * PAGE } else { 0 };
        if contents.len() != wanted {
            let reason = format!("{count} pages have {wanted} bytes of contents, not {}", contents.len());
            return Err(LiveError::invalid("length", &payload.len(), reason));
        }
        let numbers = numbers.as_chunks::<8>().0;
        Ok(Self {
            memory: usize::try_from(memory).unwrap_or(usize::MAX),
            numbers: numbers.iter().map(|number| u64::from_le_bytes(*number)).collect(),
            contents,
        })
    }
}
