//! The file `state`: a header of fixed size, then postcard.

use std::{collections::BTreeSet, path::Path};

use caraway_base::{memory::PAGE_SIZE, state::Record};
use serde::{Deserialize, Serialize};

use crate::{SnapshotError, checksum::Fletcher4, pages::Copied};

/// Name of the file.
pub(crate) const STATE: &str = "state";
/// How every state file begins.
pub(crate) const MAGIC: [u8; 8] = *b"CARAWAYS";
/// Version of the format that is written, and the only one that is read.
pub const FORMAT_VERSION: u32 = 1;
/// Magic, version, length of the body, checksum of the body.
pub(crate) const HEADER: usize = 8 + 4 + 8 + Fletcher4::SIZE;
/// Longest body. The largest records, those of displays, have some MiB.
pub(crate) const MOST_BODY: u64 = 64 << 20;
/// Longest name of a memory.
const MOST_NAME: usize = 64;

/// Something two machines must agree in, for example `cpus` and `2`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// What.
    pub name: String,
    /// Its value, as text for people.
    pub value: String,
}

impl Fact {
    /// A fact.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
        }
    }
}

/// The first difference between a machine that was saved or comes, and the one it is to go on in: its name, what that one
/// has, what this one has; made fit to be printed.
pub(crate) fn difference(coming: &[Fact], here: &[Fact]) -> Option<(String, String, String)> {
    let value = |facts: &[Fact], name: &str| {
        let fact = facts.iter().find(|fact| fact.name == name);
        fact.map_or_else(|| "none".to_owned(), |fact| fact.value.escape_debug().to_string())
    };
    let differs = |fact: &&Fact| value(coming, &fact.name) != value(here, &fact.name);
    let fact = here.iter().chain(coming).find(differs)?;
    Some((
        fact.name.escape_debug().to_string(),
        value(coming, &fact.name),
        value(here, &fact.name),
    ))
}

/// One memory of the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Memory {
    pub(crate) name: String,
    /// Bytes, a multiple of the page size.
    pub(crate) size: u64,
    /// Pages that are not zero.
    pub(crate) pages: u64,
    /// As [`Copied::checksum`].
    pub(crate) checksum: Fletcher4,
}

impl Memory {
    pub(crate) fn copied(&self) -> Copied {
        Copied {
            pages: self.pages,
            checksum: self.checksum,
        }
    }

    /// Name of the file with the contents.
    pub(crate) fn file_name(name: &str) -> String {
        format!("memory-{name}")
    }
}

/// Whether a memory can be called so: the name becomes part of a file's.
pub(crate) fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=MOST_NAME).contains(&name.len()) && name.bytes().all(fits)
}

/// The body.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Contents {
    pub(crate) machine: Vec<Fact>,
    pub(crate) memories: Vec<Memory>,
    pub(crate) records: Vec<Record>,
}

/// Header and body.
pub(crate) fn encode(contents: &Contents, path: &Path) -> Result<Vec<u8>, SnapshotError> {
    let unsaved = |what: String| SnapshotError::Unsaved {
        path: path.to_owned(),
        what,
    };
    let body = postcard::to_stdvec(contents).map_err(|error| unsaved(format!("the state ({error})")))?;
    if body.len() as u64 > MOST_BODY {
        return Err(unsaved(format!("a state of {} bytes", body.len())));
    }
    let mut bytes = Vec::with_capacity(HEADER + body.len());
    bytes.extend(MAGIC);
    bytes.extend(FORMAT_VERSION.to_le_bytes());
    bytes.extend((body.len() as u64).to_le_bytes());
    bytes.extend(Fletcher4::of(&body).to_bytes());
    bytes.extend(body);
    Ok(bytes)
}

/// Reads what [`encode`] wrote. `bytes` is the whole file.
pub(crate) fn decode(bytes: &[u8], path: &Path) -> Result<Contents, SnapshotError> {
    let invalid = |field, value: String, reason: &str| invalid(path, field, value, reason);
    let Some((header, body)) = bytes.split_first_chunk::<HEADER>() else {
        return Err(invalid(
            "size",
            bytes.len().to_string(),
            "too short for a snapshot's state",
        ));
    };
    let mut rest: &[u8] = header;
    let magic: [u8; 8] = take(&mut rest);
    if magic != MAGIC {
        return Err(invalid(
            "magic",
            format!("{}", magic.escape_ascii()),
            "not the state of a snapshot",
        ));
    }
    let version = u32::from_le_bytes(take(&mut rest));
    if version != FORMAT_VERSION {
        return Err(invalid("version", version.to_string(), "this program reads version 1"));
    }
    let length = u64::from_le_bytes(take(&mut rest));
    if length != body.len() as u64 {
        let reason = format!("the file has {} bytes behind its header", body.len());
        return Err(invalid("length", length.to_string(), &reason));
    }
    let checksum: [u8; Fletcher4::SIZE] = take(&mut rest);
    let found = Fletcher4::of(body);
    if found.to_bytes() != checksum {
        return Err(invalid("checksum", found.to_string(), "the file is damaged"));
    }
    let contents = match postcard::take_from_bytes::<Contents>(body) {
        Ok((contents, [])) => contents,
        Ok((_, rest)) => return Err(invalid("body", format!("{} bytes", rest.len()), "left over at its end")),
        Err(error) => return Err(invalid("body", format!("{} bytes", body.len()), &error.to_string())),
    };
    check(&contents.memories, path)?;
    Ok(contents)
}

fn check(memories: &[Memory], path: &Path) -> Result<(), SnapshotError> {
    let mut names = BTreeSet::new();
    for memory in memories {
        if !is_name(&memory.name) || !names.insert(&memory.name) {
            let name = memory.name.escape_debug().to_string();
            return Err(invalid(path, "memory.name", name, "odd, or there twice"));
        }
        if !memory.size.is_multiple_of(PAGE_SIZE) {
            return Err(invalid(path, "memory.size", memory.size.to_string(), "no whole pages"));
        }
        if memory.pages > memory.size / PAGE_SIZE {
            return Err(invalid(
                path,
                "memory.pages",
                memory.pages.to_string(),
                "more than it has",
            ));
        }
    }
    Ok(())
}

pub(crate) fn invalid(path: &Path, field: &'static str, value: String, reason: &str) -> SnapshotError {
    SnapshotError::Invalid {
        path: path.to_owned(),
        field,
        value,
        reason: reason.to_owned(),
    }
}

/// Takes so many bytes off the front; zeros where there are none left.
fn take<const N: usize>(bytes: &mut &[u8]) -> [u8; N] {
    let (taken, rest) = bytes.split_first_chunk::<N>().unwrap_or((&[0; N], &[]));
    *bytes = rest;
    *taken
}
