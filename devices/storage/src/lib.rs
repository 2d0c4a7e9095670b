//! Disk images behind one trait.
#![forbid(unsafe_code)]
