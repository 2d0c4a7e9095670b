//! Folders that are locked while in use. Whatever somebody else may have put into the run directory is not trusted: every
//! step starts from an open directory, no symbolic link is followed, only what belongs to this user is looked at, and
//! only the files a VM makes are ever removed.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use rustix::{
    fs::{self, AtFlags, FileType, FlockOperation, Mode, OFlags, Stat},
    io::Errno,
    process::{Pid, geteuid, test_kill_process},
};

use super::{
    CONTROL, INFO, NEW_INFO, NEW_VIEWER, PID, RunDirError, SERIAL, VIEWER,
    location::{Kind, Location},
};

const LOCK: &str = "lock";
/// What a VM keeps in its folder besides the lock.
const FILES: [&str; 7] = [PID, INFO, NEW_INFO, CONTROL, SERIAL, VIEWER, NEW_VIEWER];

/// Largest file read.
const READ_LIMIT: u64 = 64 << 10;
/// Entries of the run directory that are looked at.
const NAMES_LIMIT: usize = 65_536;
/// How often a folder may change between two looks before that is an error. Others that look hold the lock for a moment,
/// and a VM that ends removes its folder.
const ATTEMPTS: u32 = 100;
/// How often a folder with files but without a lock is looked at again before it is somebody else's.
const LOOKS: u32 = 3;
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(5);

/// The run directory, open.
#[derive(Debug)]
pub(super) struct Base {
    path: PathBuf,
    fd: OwnedFd,
}

/// A VM's folder, open. Belongs to this user.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    fd: OwnedFd,
}

/// Who uses a name in the run directory.
#[derive(Debug)]
pub(super) enum Use {
    /// A VM that runs.
    Live(Folder),
    /// Nobody; left-overs are removed.
    Gone,
    /// It is not a VM's folder.
    Foreign,
}

impl Base {
    /// Opens the run directory, which is made first if it is not there.
    pub(super) fn create(location: &Location) -> Result<Self, RunDirError> {
        match fs::mkdir(&location.path, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(RunDirError::io("create the run directory", &location.path, errno)),
        }
        Self::open(location)?.ok_or_else(|| RunDirError::io("open the run directory", &location.path, Errno::NOENT))
    }

    /// Opens the run directory; `None` when it is not there.
    pub(super) fn open(location: &Location) -> Result<Option<Self>, RunDirError> {
        let path = &location.path;
        let follow = match location.kind {
            Kind::Named => OFlags::empty(),
            Kind::Private | Kind::Shared => OFlags::NOFOLLOW,
        };
        let fd = match fs::open(path, directory() | follow, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::NOTDIR | Errno::LOOP) => return Err(RunDirError::NotADirectory(path.clone())),
            Err(errno) => return Err(RunDirError::io("open the run directory", path, errno)),
        };
        let stat = fs::fstat(&fd).map_err(|errno| RunDirError::io("look at", path, errno))?;
        check_owner(&stat, path)?;
        let (forbidden, needed) = match location.kind {
            Kind::Named | Kind::Private => (Mode::WGRP | Mode::WOTH, stat.st_mode & 0o755),
            Kind::Shared => (Mode::RWXG | Mode::RWXO, 0o700),
        };
        if Mode::from_raw_mode(stat.st_mode).intersects(forbidden) {
            return Err(RunDirError::Mode {
                path: path.clone(),
                mode: stat.st_mode & 0o7777,
                needed,
            });
        }
        Ok(Some(Self { path: path.clone(), fd }))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a folder could be made in it.
    pub(super) fn check_writable(&self) -> Result<(), RunDirError> {
        use rustix::fs::Access;
        fs::accessat(&self.fd, ".", Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS)
            .map_err(|errno| RunDirError::io("write to the run directory", &self.path, errno))
    }

    /// Names of everything in it that is UTF-8, in no order.
    pub(super) fn names(&self) -> Result<impl Iterator<Item = String> + use<>, RunDirError> {
        let fail = |errno| RunDirError::io("read the run directory", &self.path, errno);
        let entries = fs::Dir::read_from(&self.fd).map_err(fail)?;
        Ok(entries
            .take(NAMES_LIMIT)
            .map_while(Result::ok)
            .filter_map(|entry| Some(entry.file_name().to_str().ok()?.to_owned())))
    }

    /// Takes a name: its folder, empty but for the lock, and the lock.
    pub(super) fn take(&self, name: &str) -> Result<(Folder, OwnedFd), RunDirError> {
        let path = self.path.join(name);
        let mut holder = None;
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                thread::sleep(PAUSE);
            }
            match fs::mkdirat(&self.fd, name, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(RunDirError::io("create", &path, errno)),
            }
            let Some(folder) = self.folder(name)? else { continue };
            let Some(lock) = folder.make_lock()? else { continue };
            match fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                // Locked, and still what others find under these names.
                Ok(()) if self.is_current(name, &folder, &lock) => {
                    folder.clear()?;
                    return Ok((folder, lock));
                }
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => {
                    holder = folder.pid();
                    if holder.is_some_and(is_alive) {
                        break;
                    }
                }
                Err(errno) => return Err(RunDirError::io("lock", folder.path.join(LOCK), errno)),
            }
        }
        Err(RunDirError::Taken {
            name: name.to_owned(),
            pid: holder,
        })
    }

    /// Whether a VM of this name runs. What is left of one that does not is removed.
    pub(super) fn look(&self, name: &str) -> Result<Use, RunDirError> {
        let folder = match self.folder(name) {
            Ok(Some(folder)) => folder,
            Ok(None) => return Ok(Use::Gone),
            Err(RunDirError::NotADirectory(_) | RunDirError::Owner { .. }) => return Ok(Use::Foreign),
            Err(error) => return Err(error),
        };
        let Ok(lock) = folder.open_file(LOCK, OFlags::RDWR) else {
            return Ok(Use::Foreign);
        };
        match fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) if self.is_current(name, &folder, &lock) => {
                self.remove(name, &folder)?;
                Ok(Use::Gone)
            }
            Ok(()) => Ok(Use::Gone),
            Err(Errno::WOULDBLOCK) => Ok(Use::Live(folder)),
            Err(errno) => Err(RunDirError::io("lock", folder.path.join(LOCK), errno)),
        }
    }

    /// Removes a folder whose lock the caller holds. What no VM made stays, and the folder with it.
    pub(super) fn remove(&self, name: &str, folder: &Folder) -> Result<(), RunDirError> {
        folder.clear()?;
        folder.unlink(LOCK)?;
        match fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR) {
            // Somebody else found it empty and has begun to use it, or to remove it.
            Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY) => Ok(()),
            Err(errno) => Err(RunDirError::io("remove", &folder.path, errno)),
        }
    }

    /// Opens a folder; `None` when it is not there.
    fn folder(&self, name: &str) -> Result<Option<Folder>, RunDirError> {
        let path = self.path.join(name);
        let fd = match fs::openat(&self.fd, name, directory() | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::NOTDIR | Errno::LOOP) => return Err(RunDirError::NotADirectory(path)),
            Err(errno) => return Err(RunDirError::io("open", path, errno)),
        };
        let stat = fs::fstat(&fd).map_err(|errno| RunDirError::io("look at", &path, errno))?;
        check_owner(&stat, &path)?;
        Ok(Some(Folder { path, fd }))
    }

    /// Whether folder and lock are still what a newcomer would find.
    fn is_current(&self, name: &str, folder: &Folder, lock: &OwnedFd) -> bool {
        let same = |opened: Result<Stat, Errno>, named: Result<Stat, Errno>| match (opened, named) {
            (Ok(a), Ok(b)) => (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino),
            _ => false,
        };
        let named = fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW);
        same(fs::fstat(&folder.fd), named)
            && same(fs::fstat(lock), fs::statat(&folder.fd, LOCK, AtFlags::SYMLINK_NOFOLLOW))
    }
}

impl Folder {
    /// Opens the lock file, which is made if the folder is empty; `None` when the folder has just been removed.
    fn make_lock(&self) -> Result<Option<OwnedFd>, RunDirError> {
        let foreign = || RunDirError::Foreign(self.path.clone());
        let mut looks = 0;
        loop {
            match self.open_file(LOCK, OFlags::RDWR) {
                Ok(lock) => return Ok(Some(lock)),
                Err(Errno::NOENT) if self.is_empty()? => break,
                // Another process may have begun to use it between the two looks; then its lock is there by now.
                Err(Errno::NOENT) if looks < LOOKS => looks += 1,
                Err(Errno::NOENT | Errno::LOOP | Errno::ISDIR | Errno::NXIO) => return Err(foreign()),
                Err(errno) => return Err(RunDirError::io("open", self.path.join(LOCK), errno)),
            }
        }
        // Whatever mode it was made with by somebody's mkdir, from here on it is private.
        fs::fchmod(&self.fd, Mode::RWXU).map_err(|errno| RunDirError::io("change the mode of", &self.path, errno))?;
        match self.open_file(LOCK, OFlags::RDWR | OFlags::CREATE) {
            Ok(lock) => Ok(Some(lock)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(RunDirError::io("create", self.path.join(LOCK), errno)),
        }
    }

    fn is_empty(&self) -> Result<bool, RunDirError> {
        let fail = |errno| RunDirError::io("read", &self.path, errno);
        for entry in fs::Dir::read_from(&self.fd).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            // Another process may have begun to use it in the meantime: its lock does not make it foreign.
            if ![".", "..", LOCK]
                .iter()
                .any(|name| entry.file_name().to_bytes() == name.as_bytes())
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A regular file of this folder: never a link, never a wait for a FIFO's other end.
    fn open_file(&self, name: &str, how: OFlags) -> Result<OwnedFd, Errno> {
        let flags = how | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = fs::openat(&self.fd, name, flags, Mode::RUSR | Mode::WUSR)?;
        match FileType::from_raw_mode(fs::fstat(&fd)?.st_mode) {
            FileType::RegularFile => Ok(fd),
            _ => Err(Errno::NXIO),
        }
    }

    /// Removes what a VM keeps here, except for the lock.
    fn clear(&self) -> Result<(), RunDirError> {
        FILES.iter().try_for_each(|name| self.unlink(name))
    }

    fn unlink(&self, name: &str) -> Result<(), RunDirError> {
        match fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(RunDirError::io("remove", self.path.join(name), errno)),
        }
    }

    /// Writes a file anew, readable by this user only.
    pub(super) fn write_new(&self, name: &str, content: &[u8]) -> Result<(), RunDirError> {
        self.unlink(name)?;
        let fail = |source| RunDirError::io("write", self.path.join(name), source);
        let fd = self
            .open_file(name, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL)
            .map_err(|errno| fail(errno.into()))?;
        File::from(fd).write_all(content).map_err(fail)
    }

    pub(super) fn rename(&self, from: &str, to: &str) -> Result<(), RunDirError> {
        fs::renameat(&self.fd, from, &self.fd, to).map_err(|errno| RunDirError::io("write", self.path.join(to), errno))
    }

    /// A file's content, if it is there and not absurdly long.
    pub(super) fn read(&self, name: &str) -> Option<Vec<u8>> {
        let file = File::from(self.open_file(name, OFlags::RDONLY).ok()?);
        let mut content = Vec::new();
        file.take(READ_LIMIT + 1).read_to_end(&mut content).ok()?;
        (content.len() as u64 <= READ_LIMIT).then_some(content)
    }

    /// The process that said it uses this folder.
    pub(super) fn pid(&self) -> Option<u32> {
        let content = self.read(PID)?;
        std::str::from_utf8(&content).ok()?.trim().parse().ok()
    }
}

fn directory() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC
}

fn check_owner(stat: &Stat, path: &Path) -> Result<(), RunDirError> {
    let user = geteuid().as_raw();
    if stat.st_uid != user {
        return Err(RunDirError::Owner {
            path: path.to_owned(),
            owner: stat.st_uid,
            user,
        });
    }
    Ok(())
}

/// Whether a process of this number exists.
fn is_alive(pid: u32) -> bool {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return false;
    };
    !matches!(test_kill_process(pid), Err(Errno::SRCH))
}
