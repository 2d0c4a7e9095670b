//! The leaf vocabulary both sides of a screen know.
//!
//! A display device (QXL) and a display server (SPICE) never see each other. They meet here: the device turns guest
//! commands into owned [`display::DisplayCommand`]s and hands them to a [`display::DisplaySink`]; the server turns
//! what a person does into [`input::InputEvent`]s and hands them to an [`input::InputSink`]. Nothing in this crate
//! knows guest memory, KVM, sockets or the SPICE wire.
#![forbid(unsafe_code)]

pub mod display;
pub mod drawing;
pub mod geometry;
pub mod input;
pub mod layout;
pub mod port;
pub mod tablet;
