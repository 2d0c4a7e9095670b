//! What the standard library does not wrap: signals between threads, signals as a descriptor, the terminal.
#![allow(unsafe_code)]

pub(crate) mod kick;
pub(crate) mod signals;
pub(crate) mod terminal;
