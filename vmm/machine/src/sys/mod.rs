//! What the standard library does not wrap: signals between threads, signals as a descriptor, the terminal.
#![allow(unsafe_code)]

pub(crate) mod inherited;
pub(crate) mod kick;
pub(crate) mod signals;
pub(crate) mod terminal;

use std::os::fd::{AsRawFd as _, BorrowedFd};

use vmm_sys_util::eventfd::EventFd;

/// The descriptor of an eventfd, for calls that want a borrowed one.
pub(crate) fn borrow(event: &EventFd) -> BorrowedFd<'_> {
    // SAFETY: the result lives no longer than `event`, which keeps the descriptor open.
    unsafe { BorrowedFd::borrow_raw(event.as_raw_fd()) }
}
