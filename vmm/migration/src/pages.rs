//! Copies the contents of memories page by page, leaving out pages of zeros, in both directions.

use std::{fs::File, io, os::unix::fs::FileExt as _};

use caraway_base::memory::PAGE_SIZE;
use rustix::{
    fs::{SeekFrom, seek},
    io::Errno,
};

use crate::checksum::Fletcher4;

const PAGE: usize = PAGE_SIZE as usize;
/// Bytes read at a time, a multiple of the page size.
const STEP: usize = 256 * PAGE;

/// What was copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Copied {
    /// Pages that are not all zeros.
    pub(crate) pages: u64,
    /// Over each such page in order: its number (64 bits, little-endian), then its bytes.
    pub(crate) checksum: Fletcher4,
}

/// Which side failed.
#[derive(Debug)]
pub(crate) enum CopyError {
    Read(io::Error),
    Write(io::Error),
}

/// Copies `size` bytes, a multiple of the page size, from the start of a file to the same places of one that has only
/// zeros. What the files are in between, and how `from` changes meanwhile, harms nobody else.
pub(crate) fn copy(from: &File, to: &File, size: u64) -> Result<Copied, CopyError> {
    let mut copied = Copied::default();
    let mut buffer = vec![0; STEP];
    let mut at = 0;
    while let Some(range) = next_data(from, at, size).map_err(CopyError::Read)? {
        at = range.start;
        while at < range.end {
            let length = usize::try_from(range.end - at).unwrap_or(STEP).min(STEP);
            let Some(part) = buffer.get_mut(..length) else { break };
            from.read_exact_at(part, at).map_err(CopyError::Read)?;
            copy_part(part, at, to, &mut copied).map_err(CopyError::Write)?;
            at += length as u64;
        }
    }
    Ok(copied)
}

/// Writes the pages of `part` that are not zero, neighbours together.
fn copy_part(part: &[u8], at: u64, to: &File, copied: &mut Copied) -> io::Result<()> {
    const ZERO: [u8; PAGE] = [0; PAGE];
    let mut run: Option<(usize, usize)> = None;
    let write = |run: Option<(usize, usize)>| match run {
        Some((start, end)) => to.write_all_at(part.get(start..end).unwrap_or_default(), at + start as u64),
        None => Ok(()),
    };
    let (pages, _) = part.as_chunks::<PAGE>();
    for (index, page) in pages.iter().enumerate() {
        let start = index * PAGE;
        if *page == ZERO {
            write(run.take())?;
            continue;
        }
        let number = (at + start as u64) / PAGE_SIZE;
        copied.pages += 1;
        copied.checksum.update(&number.to_le_bytes());
        copied.checksum.update(page);
        run = Some((run.map_or(start, |(first, _)| first), start + PAGE));
    }
    write(run)
}

/// The next pages from `at` on that are no hole, up to `size`; all of them on a file system that does not tell.
pub(crate) fn next_data(file: &File, at: u64, size: u64) -> io::Result<Option<std::ops::Range<u64>>> {
    if at >= size {
        return Ok(None);
    }
    let start = match seek(file, SeekFrom::Data(at)) {
        Ok(start) if start < size => start.max(at) / PAGE_SIZE * PAGE_SIZE,
        Ok(_) | Err(Errno::NXIO) => return Ok(None),
        Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(Some(at..size)),
        Err(error) => return Err(error.into()),
    };
    let end = seek(file, SeekFrom::Hole(start))?;
    // At least a page further, whatever another process does to the file.
    let end = end.max(start + 1).div_ceil(PAGE_SIZE).saturating_mul(PAGE_SIZE);
    Ok(Some(start..end.min(size)))
}
