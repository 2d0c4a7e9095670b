//! SPICE image codecs: encoders and decoders without I/O.
#![forbid(unsafe_code)]

mod bands;
pub mod bitmap;
pub mod choice;
pub mod color;
pub mod glz;
#[cfg(feature = "h264")]
pub mod h264;
pub mod jpeg;
mod limits;
pub mod lz;
pub mod lz4;
pub mod pool;
pub mod quic;
mod rows;
pub mod zlib_glz;

#[cfg(test)]
mod bad_input_tests;
#[cfg(test)]
mod vector_tests;
#[cfg(test)]
mod vectors;

pub use limits::Limits;
pub use rows::SourceError;
