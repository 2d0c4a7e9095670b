//! Data in chains of chunks (ABI 12.4).

use super::{Fields, Guest, Malformed};
use crate::memory::Location;

/// Bytes of a chunk header: size, previous, next.
const HEADER: u64 = 20;
/// Empty chunks a chain may have.
const EMPTY_MAX: u32 = 1024;

/// How much a chain holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChunkLimit {
    /// This many bytes, neither more nor less.
    Exactly(u64),
    /// At least this many; what follows them is not looked at.
    Prefix(u64),
}

/// Where the bytes of a chain are, every part checked against its slot. They are copied once, in order.
#[derive(Debug)]
pub(crate) struct Chunks {
    parts: std::vec::IntoIter<(Location, u64)>,
    /// The rest of the part being read.
    current: Option<(Location, u64)>,
}

impl Chunks {
    /// Walks the chain whose first chunk is at `first + offset`. The walk ends: it takes no more bytes than the
    /// limit says, a bounded number of chunks for them and a bounded number of empty ones. The list of chunks counts
    /// against the budget of the command as what is copied does.
    pub(crate) fn walk(guest: &mut Guest<'_>, first: u64, offset: u64, limit: ChunkLimit) -> Result<Self, Malformed> {
        let (ChunkLimit::Exactly(wanted) | ChunkLimit::Prefix(wanted)) = limit;
        // Real chains have chunks of a line or of 64 KiB and more; smaller ones are fine while they are few.
        let parts_max = 4096 + wanted / 256;
        let (mut parts, mut total, mut empty) = (Vec::new(), 0_u64, 0);
        let (mut address, mut offset) = (first, offset);
        loop {
            let bytes: [u8; HEADER as usize] = guest.read(address, offset)?;
            let mut header = Fields::new("data chunk", &bytes);
            let size = u64::from(header.u32()?);
            header.skip(8)?;
            let next = header.u64()?;
            if size == 0 {
                empty += 1;
                if empty > EMPTY_MAX {
                    return Err(Malformed::value("empty data chunks", empty));
                }
            } else {
                let room = wanted - total;
                let used = match limit {
                    ChunkLimit::Exactly(_) if size > room => {
                        return Err(Malformed::value("data chunk size", size));
                    }
                    ChunkLimit::Exactly(_) => size,
                    ChunkLimit::Prefix(_) => size.min(room),
                };
                let data = offset + HEADER;
                guest.charge(size_of::<(Location, u64)>() as u64)?;
                parts.push((guest.resolve(address, data + used)?.plus(data), used));
                total += used;
                if parts.len() as u64 > parts_max {
                    return Err(Malformed::value("data chunks", parts_max));
                }
            }
            if next == 0 || (total == wanted && matches!(limit, ChunkLimit::Prefix(_))) {
                break;
            }
            (address, offset) = (next, 0);
        }
        if total != wanted {
            return Err(Malformed::value("data chunk bytes", total));
        }
        Ok(Self::of(parts))
    }

    /// One flat block.
    pub(crate) fn flat(guest: &Guest<'_>, address: u64, length: u64) -> Result<Self, Malformed> {
        Ok(Self::of(vec![(guest.resolve(address, length)?, length)]))
    }

    fn of(parts: Vec<(Location, u64)>) -> Self {
        Self {
            parts: parts.into_iter(),
            current: None,
        }
    }

    /// Copies the next bytes.
    pub(crate) fn read(&mut self, guest: &Guest<'_>, into: &mut [u8]) -> Result<(), Malformed> {
        let mut rest = into;
        while !rest.is_empty() {
            let (place, length) = self.next_part()?;
            let step = usize::try_from(length).unwrap_or(usize::MAX).min(rest.len());
            let (now, later) = rest.split_at_mut(step);
            guest.memory.read(place, now)?;
            self.keep(place, length, step as u64);
            rest = later;
        }
        Ok(())
    }

    /// Passes over the next bytes.
    pub(crate) fn skip(&mut self, length: u64) -> Result<(), Malformed> {
        let mut rest = length;
        while rest > 0 {
            let (place, length) = self.next_part()?;
            let step = length.min(rest);
            self.keep(place, length, step);
            rest -= step;
        }
        Ok(())
    }

    fn next_part(&mut self) -> Result<(Location, u64), Malformed> {
        self.current
            .take()
            .or_else(|| self.parts.next())
            .ok_or(Malformed::Short { field: "data chunks" })
    }

    fn keep(&mut self, place: Location, length: u64, used: u64) {
        self.current = (used < length).then(|| (place.plus(used), length - used));
    }
}

impl Guest<'_> {
    /// Copies `length` bytes of the chain whose first chunk is at `address + offset`.
    pub(super) fn chained(&mut self, address: u64, offset: u64, length: u64) -> Result<Vec<u8>, Malformed> {
        let mut chunks = Chunks::walk(self, address, offset, ChunkLimit::Exactly(length))?;
        let mut bytes = self.allocate(length)?;
        chunks.read(self, &mut bytes)?;
        Ok(bytes)
    }
}
