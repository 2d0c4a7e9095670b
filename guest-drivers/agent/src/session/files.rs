//! Files from a client: written under a name of our own, given theirs when they are complete.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use caraway_protocol::agent::{AgentMessage, FileStart, FileStatus};
use rustix::fs::{AtFlags, FallocateFlags, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::link::Link;
use crate::log::note;

/// Files that are written at once, and those that wait for their turn.
pub const MOST_AT_ONCE: usize = 16;
/// More are refused.
pub const MOST_WAITING: usize = 1024;
/// Bytes of a name, on every file system of Linux.
const MOST_NAME: usize = 255;
/// Names that are tried when there is a file of a name already.
const MOST_NAMES: u32 = 1000;
/// Room that is left on the disk.
const SPARE: u64 = 16 << 20;

/// What files have as names until they are complete. Hidden, and of nobody else.
const PART: (&str, &str) = (".caraway-", ".part");

/// A file that is being written.
#[derive(Debug)]
struct Part {
    file: File,
    /// Under which it is written.
    part: String,
    /// Which it gets.
    name: String,
    left: u64,
}

/// The files of a client.
#[derive(Debug)]
pub struct Downloads {
    folder: PathBuf,
    /// Open once there is a file.
    at: Option<File>,
    parts: BTreeMap<u32, Part>,
    waiting: VecDeque<FileStart>,
}

impl Downloads {
    /// Those that go to this folder.
    #[must_use]
    pub const fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            at: None,
            parts: BTreeMap::new(),
            waiting: VecDeque::new(),
        }
    }

    /// A client wants to send a file.
    pub fn start(&mut self, start: &FileStart, out: &mut Vec<Link>) {
        let is_known = self.parts.contains_key(&start.id) || self.waiting.iter().any(|waits| waits.id == start.id);
        if is_known || self.waiting.len() >= MOST_WAITING {
            tell(start.id, FileStatus::Error(None), out);
        } else if self.parts.len() >= MOST_AT_ONCE {
            self.waiting.push_back(start.clone());
        } else {
            self.begin(start, out);
        }
    }

    /// A part of a file.
    pub fn data(&mut self, id: u32, data: &[u8], out: &mut Vec<Link>) {
        self.write(id, data, out);
        self.go_on(out);
    }

    fn write(&mut self, id: u32, data: &[u8], out: &mut Vec<Link>) {
        // Of one that is over.
        let Some(part) = self.parts.get_mut(&id) else {
            return;
        };
        let result = match part.left.checked_sub(data.len() as u64) {
            Some(left) => part.file.write_all(data).map(|()| part.left = left),
            None => Err(io::Error::new(io::ErrorKind::InvalidData, "more bytes than announced")),
        };
        let is_complete = part.left == 0;
        let status = match result {
            Ok(()) if !is_complete => return,
            Ok(()) => self.finish(id),
            Err(error) => Err(error),
        };
        self.end(id, status.map(|()| FileStatus::Success), out);
    }

    /// The client wants it no more.
    pub fn cancel(&mut self, id: u32, out: &mut Vec<Link>) {
        self.waiting.retain(|start| start.id != id);
        self.drop_part(id);
        self.go_on(out);
    }

    /// The client is gone: nothing is left of what is not complete.
    pub fn forget(&mut self) {
        self.waiting.clear();
        let ids: Vec<u32> = self.parts.keys().copied().collect();
        ids.into_iter().for_each(|id| self.drop_part(id));
        self.at = None;
    }

    fn begin(&mut self, start: &FileStart, out: &mut Vec<Link>) {
        let id = start.id;
        match self.prepare(start) {
            Ok(part) => {
                self.parts.insert(id, part);
                tell(id, FileStatus::CanSendData, out);
                if start.size == 0 {
                    // Some clients send an empty block for an empty file, some none.
                    self.write(id, &[], out);
                }
            }
            Err(error) => self.end(id, Err(error), out),
        }
    }

    /// A file is over: says so.
    fn end(&mut self, id: u32, result: io::Result<FileStatus>, out: &mut Vec<Link>) {
        let status = match result {
            Ok(status) => status,
            Err(error) => {
                note(&format!("file {id} of the client: {error}"));
                if error.kind() == io::ErrorKind::StorageFull {
                    FileStatus::NotEnoughSpace(self.free().ok())
                } else {
                    FileStatus::Error(None)
                }
            }
        };
        self.drop_part(id);
        tell(id, status, out);
    }

    /// Begins with files that wait, as far as there is room for them.
    fn go_on(&mut self, out: &mut Vec<Link>) {
        while self.parts.len() < MOST_AT_ONCE
            && let Some(start) = self.waiting.pop_front()
        {
            self.begin(&start, out);
        }
    }

    fn drop_part(&mut self, id: u32) {
        if let (Some(part), Some(at)) = (self.parts.remove(&id), &self.at)
            && let Err(error) = rustix::fs::unlinkat(at, &part.part, AtFlags::empty())
            && error != Errno::NOENT
        {
            note(&format!("{}: {error}", part.part));
        }
    }

    fn open(&mut self) -> io::Result<&File> {
        if self.at.is_none() {
            fs::create_dir_all(&self.folder)?;
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let at = File::from(rustix::fs::open(&self.folder, flags, Mode::empty())?);
            remove_left_over(&self.folder, &at);
            self.at = Some(at);
        }
        self.at.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Bytes a user can still write, without what has been promised.
    fn free(&mut self) -> io::Result<u64> {
        let promised: u64 = self.parts.values().map(|part| part.left).fold(0, u64::saturating_add);
        let room = rustix::fs::fstatvfs(self.open()?)?;
        Ok(room
            .f_bavail
            .saturating_mul(room.f_frsize)
            .saturating_sub(promised)
            .saturating_sub(SPARE))
    }

    fn prepare(&mut self, start: &FileStart) -> io::Result<Part> {
        let name = checked(&start.name)?.to_owned();
        if start.size > self.free()? {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let at = self.open()?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let part = format!("{}{}{}", PART.0, random()?, PART.1);
        let file = File::from(rustix::fs::openat(at, &part, flags, Mode::RUSR | Mode::WUSR)?);
        // Says to another agent that this one is not left over.
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        let part = Part {
            file,
            part,
            name,
            left: start.size,
        };
        // Where the file system can, the room is taken now: another program may want it, too.
        match rustix::fs::fallocate(&part.file, FallocateFlags::KEEP_SIZE, 0, start.size.max(1)) {
            Err(Errno::NOSPC) => {
                let _ = rustix::fs::unlinkat(at, &part.part, AtFlags::empty());
                Err(io::ErrorKind::StorageFull.into())
            }
            _ => Ok(part),
        }
    }

    /// Gives a complete file its name; nothing that is there is replaced.
    fn finish(&mut self, id: u32) -> io::Result<()> {
        let (Some(part), Some(at)) = (self.parts.get(&id), &self.at) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        part.file.sync_data()?;
        // What was promised to it and not used, and what others may do with it, are as for any other file.
        let mode = Mode::from_raw_mode(0o666 & !umask());
        rustix::fs::fchmod(&part.file, mode)?;
        for number in 0..MOST_NAMES {
            match publish(at, &part.part, &numbered(&part.name, number)) {
                Err(Errno::EXIST) => {}
                result => return Ok(result?),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }
}

impl Drop for Downloads {
    fn drop(&mut self) {
        self.forget();
    }
}

/// Renames without replacing; where the file system cannot, by a second name.
fn publish(at: &File, from: &str, to: &str) -> rustix::io::Result<()> {
    match rustix::fs::renameat_with(at, from, at, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL) => {
            rustix::fs::linkat(at, from, at, to, AtFlags::empty())?;
            rustix::fs::unlinkat(at, from, AtFlags::empty())
        }
        result => result,
    }
}

/// A name that is one: not a path, not a folder, nothing that a terminal acts on, none of ours.
fn checked(name: &str) -> io::Result<&str> {
    let is_bad = name.is_empty()
        || name.len() > MOST_NAME
        || matches!(name, "." | "..")
        || name.starts_with(PART.0)
        || name.contains(|letter: char| letter == '/' || letter.is_control());
    if is_bad {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{name:?} is not taken as a name"),
        ));
    }
    Ok(name)
}

/// The name for the case that others are taken: `name (2).ext`.
fn numbered(name: &str, number: u32) -> String {
    if number == 0 {
        return name.to_owned();
    }
    let (stem, extension) = match name.rfind('.') {
        Some(at) if at > 0 && name.len() - at <= 16 => name.split_at(at),
        _ => (name, ""),
    };
    let suffix = format!(" ({number}){extension}");
    let mut end = stem.len().min(MOST_NAME.saturating_sub(suffix.len()));
    while !stem.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{suffix}", stem.get(..end).unwrap_or_default())
}

fn umask() -> u32 {
    // It can only be asked by setting it.
    let mask = rustix::process::umask(Mode::from_raw_mode(0o077));
    rustix::process::umask(mask);
    mask.as_raw_mode()
}

fn random() -> io::Result<String> {
    let mut bytes = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(format!("{:016x}", u64::from_ne_bytes(bytes)))
}

/// Removes what an agent that was killed has left.
fn remove_left_over(folder: &Path, at: &File) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(text) = name
            .to_str()
            .filter(|name| name.starts_with(PART.0) && name.ends_with(PART.1))
        else {
            continue;
        };
        let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let Ok(file) = rustix::fs::openat(at, text, flags, Mode::empty()) else {
            continue;
        };
        if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let _ = rustix::fs::unlinkat(at, text, AtFlags::empty());
        }
    }
}

fn tell(id: u32, status: FileStatus, out: &mut Vec<Link>) {
    out.push(Link::Agent(AgentMessage::FileXferStatus { id, status }));
}
