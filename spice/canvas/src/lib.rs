//! The 2D raster behind SPICE: surfaces and every drawing operation on them.
//!
//! A [`Canvas`] holds the surfaces of one display device and executes [`Drawable`](caraway_ports::drawing::Drawable)s
//! on them, pixel by pixel as the SPICE protocol defines them. It does no I/O and knows neither guests nor clients.
#![forbid(unsafe_code)]

mod blend;
mod canvas;
mod color;
mod composite;
mod error;
mod float;
mod lanes;
mod mix;
mod operator;
mod ops;
mod paint;
mod parts;
mod path;
mod picture;
mod region;
mod rop;
mod sample;
mod scale;
mod scaler;
mod stroke;
mod surface;
mod text;

#[cfg(test)]
mod tests;

pub use canvas::{Canvas, Drawn, Limits, View};
pub use error::{CreateError, DrawError};
pub use parts::{clip_parts, stroke_lines};
