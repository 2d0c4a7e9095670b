//! The QXL display device.
#![forbid(unsafe_code)]
