//! The SPICE wire protocol: link stage, messages and capabilities, both directions, without I/O.
#![forbid(unsafe_code)]
