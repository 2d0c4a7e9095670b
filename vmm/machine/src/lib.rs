//! The machine: KVM, vCPUs, memory, buses, boot, ACPI, event loop, pause and endings.
//!
//! `unsafe` lives in `kvm` (ioctls, the run page) and in `sys` (signals, descriptors) only.
#![deny(unsafe_code)]

pub mod acpi;
pub mod boot;
mod bus;
pub mod doctor;
mod event_loop;
mod kvm;
pub mod memory;
mod sys;
mod vcpu;

pub use event_loop::{Devices, Handler, Next, Registration, Watchable};
pub use kvm::KvmError;
pub use sys::signals::{Signal, Signals};

/// An error and what caused it, on one line.
fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
