//! Descriptors this process was started with.

use std::{
    io,
    os::fd::{BorrowedFd, OwnedFd},
};

/// A duplicate of a descriptor, by the number that whoever started this process gave it. Closed when a program is executed.
///
/// # Errors
/// When no descriptor of this number is open.
pub fn inherited(number: u16) -> io::Result<OwnedFd> {
    // SAFETY: the number is not -1, and it is borrowed for one call, which fails when nothing is open by that number.
    let fd = unsafe { BorrowedFd::borrow_raw(i32::from(number)) };
    Ok(rustix::io::fcntl_dupfd_cloexec(fd, 0)?)
}

#[cfg(test)]
mod tests {
    use std::{io::Read as _, os::fd::AsRawFd as _};

    use super::*;

    #[test]
    fn what_is_open_is_duplicated_and_what_is_not_is_an_error() {
        let (mut end, other) = std::os::unix::net::UnixStream::pair().unwrap();
        let number = u16::try_from(other.as_raw_fd()).unwrap();
        let duplicate = inherited(number).unwrap();
        drop(other);
        drop(duplicate);
        // Nothing holds the other end any more.
        assert_eq!(end.read(&mut [0]).unwrap(), 0);
        assert_eq!(inherited(u16::MAX).unwrap_err().raw_os_error(), Some(libc::EBADF));
    }
}
