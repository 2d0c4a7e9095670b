//! The guest agent for Linux: what a SPICE client has of a guest beyond its picture.
//!
//! One program in two roles. The [`daemon`] runs as root, has the port to the host and the pointer, and gives what is for a
//! user to the part that runs in the user's [`session`]. They meet at a socket and speak [`link`].
// Descriptors are the kernel's; every `unsafe` block is one of its calls.
#![deny(unsafe_code)]

pub mod daemon;
pub mod link;
pub mod log;
mod outputs;
mod plan;
pub mod port;
mod queue;
pub mod session;
mod wayland;
mod x11;

/// Where daemon and sessions meet.
pub const SOCKET: &str = "/run/caraway-agent/socket";
