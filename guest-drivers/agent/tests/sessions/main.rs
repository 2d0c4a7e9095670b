//! Daemon and session as they are installed, between a server of the test's and a screen: Xvfb with
//! xclip as the other program, or sway with those of wl-clipboard.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // Helpers are tests too.

mod bench;
mod clipboard;
mod files;
mod life;
mod monitors;
mod wayland;
