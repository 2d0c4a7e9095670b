//! Between the ring and the wire: surfaces, per-client scene and encoding decisions, a state machine without I/O.
#![forbid(unsafe_code)]
