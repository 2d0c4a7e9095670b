//! Why a guest cannot be booted.

use std::io;

/// Why a kernel or an initramfs cannot be loaded. All but [`BootError::GuestMemory`] and [`BootError::MemoryMap`] are
/// mistakes in the configuration: the file that is named, or the amount of memory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BootError {
    /// The host cannot read the file.
    #[error("cannot read {name}")]
    Read {
        /// The file.
        name: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A directory, a pipe, a device.
    #[error("{name} is not a regular file")]
    NotAFile {
        /// What was named.
        name: String,
    },
    /// The file has no bytes.
    #[error("{name} is empty")]
    Empty {
        /// The file.
        name: String,
    },
    /// Some other kind of file.
    #[error("{name} is not a kernel: {what}; expected a bzImage, or an ELF file with a PVH note")]
    NotAKernel {
        /// The file.
        name: String,
        /// What it is instead.
        what: String,
    },
    /// A kernel, but not one that can be started here.
    #[error("kernel {name} cannot be started: {why}")]
    Unsupported {
        /// The file.
        name: String,
        /// What it lacks.
        why: String,
    },
    /// A header holds what cannot be.
    #[error("kernel {name} is damaged: {what}")]
    Damaged {
        /// The file.
        name: String,
        /// The field and its value.
        what: String,
    },
    /// The file ends before its own headers say.
    #[error("kernel {name} is truncated: {what} needs {needed} bytes, the file has {size}")]
    Truncated {
        /// The file.
        name: String,
        /// The part that is cut.
        what: &'static str,
        /// Bytes the file would need to have.
        needed: u64,
        /// Bytes it has.
        size: u64,
    },
    /// The kernel does not fit into the guest's memory.
    #[error(
        "kernel {name} needs memory from {start:#x} to {end:#x}, the guest's ends at {limit:#x}: give it more memory"
    )]
    KernelTooBig {
        /// The file.
        name: String,
        /// First guest address it needs.
        start: u64,
        /// The address after the last.
        end: u64,
        /// End of the RAM below 4 GiB.
        limit: u64,
    },
    /// The initramfs does not fit into what the kernel leaves.
    #[error(
        "initramfs {name} has {size} bytes, the guest has room for {available} beside the kernel: give it more memory"
    )]
    InitramfsTooBig {
        /// The file.
        name: String,
        /// Its bytes.
        size: u64,
        /// Bytes between the kernel's end and the end of usable RAM.
        available: u64,
    },
    /// The kernel takes no command line as long as this.
    #[error("the command line has {length} bytes, this kernel takes at most {limit}")]
    CommandLineTooLong {
        /// Its bytes.
        length: usize,
        /// The most the kernel takes, without the NUL at the end.
        limit: usize,
    },
    /// The kernel would stop reading at the NUL.
    #[error("the command line has a NUL character at byte {position}")]
    CommandLineNul {
        /// Where.
        position: usize,
    },
    /// More memory ranges than the boot protocol can tell.
    #[error("the memory map has {count} ranges, at most {limit} can be told to a kernel")]
    MemoryMap {
        /// Ranges given.
        count: usize,
        /// Ranges possible.
        limit: usize,
    },
    /// The guest's memory is not where the machine said.
    #[error("cannot write {what} to guest memory at {address:#x}")]
    GuestMemory {
        /// What was to be written.
        what: &'static str,
        /// Where.
        address: u64,
        /// Why.
        #[source]
        source: vm_memory::GuestMemoryError,
    },
}
