//! SPICE image codecs: encoders and decoders without I/O.
#![forbid(unsafe_code)]

pub mod bitmap;
pub mod color;
mod limits;
pub mod lz;
pub mod quic;

#[cfg(test)]
mod vector_tests;
#[cfg(test)]
mod vectors;

pub use limits::Limits;
