//! Random drawing commands for a differential test: our canvas against a real SPICE client.
//!
//! A [`Round`](round::Round) is a set of fresh surfaces and a hundred commands, both made of a seed and a number. Every
//! command belongs to a [`Cell`](cell::Cell) of the table that the test reports: operation, format, raster operation,
//! mask and clip.
//!
//! A [`Gallery`](gallery::Gallery) has pictures such as the codecs are made for.
#![forbid(unsafe_code)]

pub mod cell;
pub mod chance;
mod command;
pub mod gallery;
pub mod picture;
pub mod round;
