//! The commands besides `run`, as a person or a script meets them.
#![allow(clippy::unwrap_used, clippy::panic)] // Helpers are tests too.

mod check;
mod ctl;
mod doctor;
mod fake;
mod output;
mod program;
mod ps;
mod replay;
mod snapshot;
mod ticket;
mod user;
mod web;
