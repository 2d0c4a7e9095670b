//! Machine vocabulary: what devices and the machine say to each other.
//!
//! Devices know this crate and `caraway-ports`, never KVM. The machine implements the traits here.
#![forbid(unsafe_code)]

pub mod address_space;
pub mod bus;
pub mod errors;
pub mod irq;
pub mod lifecycle;
pub mod memory;
pub mod state;
