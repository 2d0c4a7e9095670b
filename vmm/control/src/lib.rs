//! The control protocol: QMP, the JSON protocol of QEMU, so that existing QMP clients work.
//!
//! [`server`] answers on a Unix socket and drives a [`Backend`]; [`client`] is the other end, which `caraway ctl`
//! uses. Commands, arguments, errors and events have QEMU 7.2's names and shapes; commands QEMU lacks begin with
//! `x-caraway-`.
#![forbid(unsafe_code)]

pub mod backend;
pub mod client;
mod commands;
mod error;
mod framing;
mod input;
pub mod keys;
mod migrate;
mod password;
mod screen;
pub mod server;
mod wire;

#[cfg(feature = "misbehave")]
pub use backend::Misbehaviour;
pub use backend::{
    Backend, ChannelCounts, ChannelInfo, ClientCounts, Connected, Event, Figures, Recording, Role, RunState, Snapshot,
    SpiceInfo, VideoMode,
};
pub use error::{ErrorClass, QmpError};
pub use migrate::{ClientDestination, MigrateParameters, Migration, MigrationStatus};
pub use screen::{Screen, Screenshot, encode_png, encode_ppm};
