//! The SPICE server on tokio.
#![forbid(unsafe_code)]
