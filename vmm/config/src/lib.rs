//! The VM configuration: a small TOML file in, a typed and validated [`VmSpec`] out.
//!
//! Everything a person can get wrong is reported as one [`ConfigError`] that names the file, the line, the field and
//! what would be accepted. Paths are relative to the file that names them. A key exists when the feature behind it
//! works; unknown keys are errors that name the nearest known one.
#![forbid(unsafe_code)]

mod error;
mod load;
mod ports;
mod raw;
mod resolve;
mod secrecy;
mod spec;
mod units;
mod web;

pub use error::ConfigError;
pub use load::{load, parse, schema};
pub use ports::{Port, PortAddress, PortChannel, PortGuest};
pub use spec::{
    Access, Agent, Boot, Certificate, Channels, Clients, Clipboard, Compression, Control, Disk, Display,
    DisplayAdvanced, Input, Kernel, Listen, Located, OnReboot, Origin, Sasl, Serial, Spice, Ticket, Tls, Use, Video,
    VmSpec, Web,
};

#[cfg(test)]
mod tests;
