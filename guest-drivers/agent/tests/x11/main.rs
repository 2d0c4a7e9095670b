//! Daemon and session as they are installed, between a server of the test's and Xvfb, with xclip as the other program.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // Helpers are tests too.

mod bench;
mod clipboard;
mod files;
mod life;
mod monitors;
