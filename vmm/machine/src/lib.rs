//! The machine: KVM, vCPUs, memory, buses, boot, ACPI, event loop, pause and endings.
//!
//! [`MachineBuilder`] sets up KVM, RAM, the PCI bus and the devices every PC has, and lets the caller plug in more;
//! [`Machine::run`] runs the guest until it ends and says how. [`MachineHandle`] talks to it from other threads meanwhile.
//!
//! | thread | does |
//! |---|---|
//! | the caller of [`Machine::run`] | state driver: commands, pause, reset, signals, endings |
//! | `vcpu-N` | one virtual CPU each: enters the guest, dispatches accesses on the buses |
//! | `devices` | one event loop for everything that needs no thread of its own |
//! | `serial` | carries the serial console's bytes to and from terminal, socket and log |
//!
//! `unsafe` lives in `kvm` (ioctls, the run page) and in `sys` (signals, descriptors) only.
#![deny(unsafe_code)]

pub mod acpi;
pub mod boot;
mod builder;
mod bus;
pub mod doctor;
mod driver;
mod event_loop;
mod firmware;
mod kvm;
mod machine;
pub mod memory;
mod memory_log;
mod serial;
mod spec;
mod sys;
mod vcpu;

#[cfg(test)]
mod guest_tests;

pub use builder::{BuildError, MachineBuilder, Prepared};
pub use driver::{
    Command, CommandError, CpuLeaf, Ending, Event, Flush, HeldMachine, MachineHandle, Onward, Reply, RunState,
    STOP_TIMEOUT, Saved, Status, Subscriber,
};
pub use event_loop::{Devices, Handler, Next, Registration, Watchable};
pub use event_manager::EventSet;
pub use firmware::BootFailure;
pub use kvm::KvmError;
pub use machine::Machine;
pub use memory_log::MemoryLog;
pub use spec::{BootFile, Kernel, MachineSpec, OnReboot, SerialSpec};
pub use sys::inherited::inherited;
pub use sys::signals::{Signal, Signals, reap_if_init};
pub use vcpu::CpusError;

/// Puts the terminal back, if the serial console made it raw. For a panic hook: every other way out does it by itself.
pub fn restore_terminal() {
    sys::terminal::restore();
}
