//! Recordings of a QXL device's commands, in the format "SPICE_REPLAY 1" of libspice-server.
//!
//! [`TraceReader`] parses a file strictly and within budgets: files come from anybody. [`Player`] turns what it read
//! into the commands of a [`DisplaySink`](caraway_ports::display::DisplaySink), with the checks a device makes of its
//! guest's structures. [`TraceWriter`] is the way back: what it wrote of a command is read as the same command.
//!
//! ```
//! use caraway_ports::display::DisplayCommand;
//! use caraway_trace::{Limits, Player, TraceReader, TraceWriter};
//!
//! let mut writer = TraceWriter::new(Vec::new())?;
//! writer.write(0, &DisplayCommand::Reset)?;
//! let file = writer.into_inner();
//!
//! let mut player = Player::new();
//! for event in TraceReader::new(file.as_slice(), Limits::default())? {
//!     let commands = player.translate(event?.what);
//!     assert!(matches!(commands.as_slice(), [DisplayCommand::Reset]));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod contents;
mod emit;
mod error;
mod open;
mod player;
mod reader;
pub mod record;
mod scan;
mod writer;

pub use contents::Contents;
pub use error::{ErrorKind, TraceError};
pub use open::{Input, open};
pub use player::Player;
pub use reader::TraceReader;
pub use scan::Limits;
pub use writer::TraceWriter;

/// Numbers of device requests that do something to a picture.
pub(crate) mod request {
    pub(crate) const DESTROY_SURFACES: u32 = 19;
    pub(crate) const CREATE_PRIMARY: u32 = 20;
    pub(crate) const DESTROY_PRIMARY: u32 = 21;
    pub(crate) const RESET_CURSOR: u32 = 22;
    pub(crate) const DESTROY_SURFACES_ASYNC: u32 = 28;
    pub(crate) const CREATE_PRIMARY_ASYNC: u32 = 29;
    pub(crate) const DESTROY_PRIMARY_ASYNC: u32 = 30;
}

/// First line of a recording.
pub(crate) const HEADER: &str = "SPICE_REPLAY 1";
/// The guest has put a picture into a new surface's memory already.
pub(crate) const KEEP_DATA: u32 = 1;
/// The pixels of a bitmap are one block.
pub(crate) const BITMAP_DIRECT: u8 = 1;
/// The first row of a bitmap's data is its top one.
pub(crate) const BITMAP_TOP_DOWN: u8 = 4;

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod reader_tests;
#[cfg(test)]
mod round_trip_tests;
#[cfg(test)]
mod strategies;
