//! ELF kernels with a PVH note: the headers are checked as a whole before anything is loaded.

use caraway_base::memory::GuestRam;
use linux_loader::elf as format;
use vm_memory::{ByteValued, Bytes as _, GuestAddress};

use super::{BootError, LOAD_START, image::Image};

/// More than any kernel has (Linux: 5); bounds the work.
const MAX_PROGRAM_HEADERS: u16 = 64;

/// Linux has about 500 bytes of notes.
const MAX_NOTE_BYTES: u64 = 64 << 10;

/// `XEN_ELFNOTE_PHYS32_ENTRY`: the 32-bit physical entry address.
const PVH_NOTE_TYPE: u32 = 18;

/// Owner of the note, with its NUL.
const PVH_NOTE_OWNER: &[u8] = b"Xen\0";

const ELFCLASS64: u8 = 2;
const EM_X86_64: u16 = 62;

/// What is to be done with a checked file.
#[derive(Debug)]
pub(super) struct Plan {
    /// 32-bit entry, inside one of the segments.
    pub(super) entry: u64,
    /// The address after the last byte of the kernel.
    pub(super) end: u64,
    segments: Vec<Segment>,
}

/// One PT_LOAD, inside low RAM.
#[derive(Debug, Clone, Copy)]
struct Segment {
    offset: u64,
    address: u64,
    /// Bytes in the file; the rest up to `memory_size` is `.bss`.
    file_size: u64,
    memory_size: u64,
}

impl Segment {
    fn end(&self) -> u64 {
        self.address.saturating_add(self.memory_size)
    }
}

/// Checks all headers. `limit` is the end of low RAM.
pub(super) fn plan(image: &Image<'_>, limit: u64) -> Result<Plan, BootError> {
    let headers = program_headers(image)?;
    let mut segments = Vec::new();
    let mut entry = None;
    for header in &headers {
        match header.p_type {
            format::PT_LOAD if header.p_memsz > 0 => segments.push(segment(image, header, limit)?),
            format::PT_NOTE if entry.is_none() => entry = pvh_entry(image, header)?,
            _ => {}
        }
    }
    let entry = u64::from(entry.ok_or_else(|| {
        image.unsupported("it is an ELF file without a PVH note (Linux: CONFIG_PVH; or use the bzImage)")
    })?);
    segments.sort_by_key(|segment| segment.address);
    let pairs = segments.iter().zip(segments.iter().skip(1));
    if let Some((first, second)) = pairs.into_iter().find(|(first, second)| first.end() > second.address) {
        return Err(image.damaged(format!(
            "the segments at {:#x} and {:#x} overlap",
            first.address, second.address
        )));
    }
    if !segments.iter().any(|s| (s.address..s.end()).contains(&entry)) {
        return Err(image.damaged(format!("the PVH entry {entry:#x} is in no segment")));
    }
    let end = segments.iter().map(Segment::end).max().unwrap_or(LOAD_START);
    Ok(Plan { entry, end, segments })
}

impl Plan {
    /// Copies the segments and clears what the file does not hold, so that a reset starts with a clean `.bss`.
    pub(super) fn load(&self, image: &Image<'_>, ram: &GuestRam) -> Result<(), BootError> {
        for segment in &self.segments {
            image.load("a segment", segment.offset, segment.file_size, ram, segment.address)?;
            let bss = segment.address.saturating_add(segment.file_size);
            clear(ram, bss, segment.memory_size.saturating_sub(segment.file_size))?;
        }
        Ok(())
    }
}

/// Zeroes guest memory.
fn clear(ram: &GuestRam, address: u64, length: u64) -> Result<(), BootError> {
    static ZERO: [u8; 0x1_0000] = [0; 0x1_0000];
    let mut done = 0;
    while done < length {
        let at = address.saturating_add(done);
        let step = (length - done).min(ZERO.len() as u64);
        let zero = usize::try_from(step)
            .ok()
            .and_then(|count| ZERO.get(..count))
            .unwrap_or(&ZERO);
        ram.write_slice(zero, GuestAddress(at))
            .map_err(|source| BootError::GuestMemory {
                what: ".bss",
                address: at,
                source,
            })?;
        done += step;
    }
    Ok(())
}

/// Reads a header structure out of the file.
fn read<T: ByteValued + Default>(image: &Image<'_>, what: &'static str, offset: u64) -> Result<T, BootError> {
    let bytes = image.read(what, offset, size_of::<T>())?;
    let mut value = T::default();
    value.as_mut_slice().copy_from_slice(&bytes);
    Ok(value)
}

fn program_headers(image: &Image<'_>) -> Result<Vec<format::Elf64_Phdr>, BootError> {
    // The class decides how long the header is: a short 32-bit file is not a truncated one.
    let ident = image.read("the ELF header", 0, 6)?;
    if ident.get(4) != Some(&ELFCLASS64) {
        return Err(image.unsupported("it is a 32-bit ELF file, only x86-64 is supported"));
    }
    if ident.get(5) != Some(&1) {
        return Err(image.unsupported("it is a big-endian ELF file, only x86-64 is supported"));
    }
    let header: format::Elf64_Ehdr = read(image, "the ELF header", 0)?;
    if header.e_machine != EM_X86_64 {
        return Err(image.unsupported(format!(
            "it is an ELF file for machine type {}, only x86-64 ({EM_X86_64}) is supported",
            header.e_machine
        )));
    }
    if usize::from(header.e_phentsize) != size_of::<format::Elf64_Phdr>() {
        return Err(image.damaged(format!("e_phentsize is {}, must be 56", header.e_phentsize)));
    }
    if header.e_phnum > MAX_PROGRAM_HEADERS {
        return Err(image.damaged(format!(
            "e_phnum is {}, at most {MAX_PROGRAM_HEADERS} program headers are read",
            header.e_phnum
        )));
    }
    let length = u64::from(header.e_phnum) * size_of::<format::Elf64_Phdr>() as u64;
    if header.e_phoff.checked_add(length).is_none_or(|end| end > image.size()) {
        return Err(image.truncated("the program header table", header.e_phoff, length));
    }
    (0..u64::from(header.e_phnum))
        .map(|index| {
            let offset = header.e_phoff + index * size_of::<format::Elf64_Phdr>() as u64;
            read(image, "the program header table", offset)
        })
        .collect()
}

fn segment(image: &Image<'_>, header: &format::Elf64_Phdr, limit: u64) -> Result<Segment, BootError> {
    let segment = Segment {
        offset: header.p_offset,
        address: header.p_paddr,
        file_size: header.p_filesz,
        memory_size: header.p_memsz,
    };
    if segment.file_size > segment.memory_size {
        return Err(image.damaged(format!(
            "the segment at {:#x} has p_filesz {:#x} above p_memsz {:#x}",
            segment.address, segment.file_size, segment.memory_size
        )));
    }
    if segment
        .offset
        .checked_add(segment.file_size)
        .is_none_or(|end| end > image.size())
    {
        return Err(image.truncated("a segment", segment.offset, segment.file_size));
    }
    if segment.address < LOAD_START {
        return Err(image.unsupported(format!(
            "a segment is at {:#x}, below {LOAD_START:#x}, where the boot information lies",
            segment.address
        )));
    }
    match segment.address.checked_add(segment.memory_size) {
        Some(end) if end <= limit => Ok(segment),
        _ => Err(BootError::KernelTooBig {
            name: image.name(),
            start: segment.address,
            end: segment.end(),
            limit,
        }),
    }
}

/// The entry in a note segment, if it is there.
fn pvh_entry(image: &Image<'_>, header: &format::Elf64_Phdr) -> Result<Option<u32>, BootError> {
    if header.p_filesz > MAX_NOTE_BYTES {
        return Err(image.damaged(format!(
            "the note segment has p_filesz {:#x}, at most {MAX_NOTE_BYTES:#x} are read",
            header.p_filesz
        )));
    }
    let length = usize::try_from(header.p_filesz).unwrap_or(0);
    let notes = image.read("the note segment", header.p_offset, length)?;
    // Notes are in units of four bytes; segments aligned to eight (GNU property notes) pad to eight.
    let unit = if header.p_align == 8 { 8 } else { 4 };
    let mut rest = notes.as_slice();
    while let Some((note, after)) = split_note(rest, unit) {
        if note.kind == PVH_NOTE_TYPE && note.owner == PVH_NOTE_OWNER {
            let Some(address) = note.body.first_chunk::<4>() else {
                return Err(image.damaged(format!("the PVH note has {} bytes, must have 4", note.body.len())));
            };
            return Ok(Some(u32::from_le_bytes(*address)));
        }
        rest = after;
    }
    Ok(None)
}

struct Note<'a> {
    kind: u32,
    owner: &'a [u8],
    body: &'a [u8],
}

/// The first note and what follows it; `None` when no whole note is left.
fn split_note(bytes: &[u8], unit: usize) -> Option<(Note<'_>, &[u8])> {
    let (name_size, bytes) = bytes.split_first_chunk::<4>()?;
    let (body_size, bytes) = bytes.split_first_chunk::<4>()?;
    let (kind, bytes) = bytes.split_first_chunk::<4>()?;
    let name_size = usize::try_from(u32::from_le_bytes(*name_size)).ok()?;
    let body_size = usize::try_from(u32::from_le_bytes(*body_size)).ok()?;
    let owner = bytes.get(..name_size)?;
    // Both start on a multiple of the unit, counted from the 12-byte header's start.
    let body_start = (12 + name_size).next_multiple_of(unit) - 12;
    let body = bytes.get(body_start..)?.get(..body_size)?;
    let next = (12 + body_start + body_size).next_multiple_of(unit) - 12;
    let note = Note {
        kind: u32::from_le_bytes(*kind),
        owner,
        body,
    };
    Some((note, bytes.get(next..).unwrap_or(&[])))
}
