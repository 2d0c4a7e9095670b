//! The 2D raster behind SPICE: surfaces and every drawing operation on them.
#![forbid(unsafe_code)]
