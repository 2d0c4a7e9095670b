//! Disk images behind one trait.
//!
//! [`BlockBackend`] is what a disk device reads and writes; [`RawFile`] is an image or a block device as it is. Opening
//! takes a lock, so that no two virtual machines write the same disk.
#![forbid(unsafe_code)]

mod backend;
mod error;
mod raw;

#[cfg(test)]
mod raw_tests;

pub use self::{
    backend::{BlockBackend, SECTOR},
    error::StorageError,
    raw::RawFile,
};
