//! PCI: config space, BARs, MSI-X, the host bridge and its bus.
#![forbid(unsafe_code)]

pub mod function;
