//! The protocol crate from outside: worked examples, round trips, hostile bytes.
#![allow(clippy::unwrap_used, clippy::panic)] // Helpers and strategies are tests too.

mod agent;
mod examples;
mod hex;
mod hostile;
mod layout;
mod pipes;
mod round_trips;
mod strategies;
mod support;
