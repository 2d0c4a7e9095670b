//! SPICE image codecs: encoders and decoders without I/O.
#![forbid(unsafe_code)]

pub mod bitmap;
pub mod color;
