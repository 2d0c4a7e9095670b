//! The machine: KVM, vCPUs, memory, buses, boot, ACPI, event loop, pause and endings.
