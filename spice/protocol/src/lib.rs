//! The SPICE wire protocol, version 2.2: link stage, data headers, messages and capabilities, in both directions.
//!
//! Bytes in, typed messages out, and the reverse. Nothing here reads a socket, waits, or knows what a message does:
//! a server, a client, a relay or a fuzz target brings its own I/O.
//!
//! - [`link`] and [`caps`]: the handshake of each connection, step by step.
//! - [`header`]: from a byte stream to [`header::Frame`]s and back, full and mini headers.
//! - [`message::Message`]: implemented by the server and the client messages of each channel ([`main_channel`],
//!   [`display`], [`inputs`], [`cursor`], [`spicevmc`], [`smartcard`]); the messages all channels share are in
//!   [`common`].
//! - [`agent`]: what client, server and the guest's agent say to each other through the main channel.
//! - [`ack`] and [`ping`]: bookkeeping of the acknowledgement window and of round trips.
//!
//! Input is hostile. Every read is bounded by the message it comes from, every count is compared with the bytes that
//! are left before memory is taken for it, and nothing here panics on what a peer sends. Bulk data (image payloads,
//! video frames, agent data) comes out as [`bytes::Bytes`] that share the buffer of the message.
#![forbid(unsafe_code)]

pub mod ack;
pub mod agent;
pub mod caps;
pub mod channel;
pub mod common;
pub mod cursor;
pub mod display;
pub mod error;
pub mod header;
pub mod inputs;
pub mod link;
pub mod main_channel;
pub mod message;
pub mod ping;
pub mod smartcard;
pub mod spicevmc;
pub mod sublist;
pub mod wire;

pub use error::{Error, Result};
pub use message::Message;

/// How far a step of an incremental decoder came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress<T> {
    /// At least this many bytes are missing (never 0). A peer that stays within the protocol sends them, so a reader
    /// that asks for exactly this many never reads into the next step.
    Need(usize),
    /// The step is complete; its bytes were taken from the front of the buffer, what follows is left there.
    Done(T),
}

/// The README's code is compiled and run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
