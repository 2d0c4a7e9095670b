//! Machines that go on elsewhere: saved to a directory and read into a new one, or moved while they run ([`live`]).
//!
//! A snapshot is a directory, written while the machine is held still:
//!
//! ```text
//! DIRECTORY/state          what machine it was, the list of memories, the records of all devices
//! DIRECTORY/memory-NAME    contents of one memory, a sparse file
//! ```
//!
//! `docs/snapshot.md` has every byte. A snapshot comes from outside: nothing in it is believed before it was checked, and
//! errors name the file, the field and its value.
#![forbid(unsafe_code)]

mod checksum;
mod error;
pub mod live;
mod pages;
mod reader;
mod state_file;
mod writer;

pub use error::SnapshotError;
pub use reader::Snapshot;
pub use state_file::{FORMAT_VERSION, Fact};
pub use writer::{Written, write};

#[cfg(test)]
mod tests;
