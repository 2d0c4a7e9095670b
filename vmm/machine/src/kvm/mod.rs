//! KVM: the only module that speaks its ioctls.
//!
//! [`Kvm`] opens the device and checks what the machine relies on, [`Vm`] owns slots, interrupt routes and doorbells,
//! [`vcpu::Vcpu`] runs one virtual CPU. Everything `unsafe` about KVM stays in here.
#![allow(unsafe_code)]

pub(crate) mod cpuid;
pub(crate) mod probe;
pub(crate) mod reset;
pub(crate) mod routing;
pub(crate) mod saved;
pub(crate) mod vcpu;
mod vm;

use std::{io, path::Path};

use kvm_bindings::CpuId;
use kvm_ioctls::Cap;

pub(crate) use vm::{Slot, Vm, dirty_pages};

/// Where the kernel offers KVM.
pub(crate) const DEVICE: &str = "/dev/kvm";

/// The only version of the interface there ever was.
const API_VERSION: i32 = 12;

/// Why this host cannot run the machine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KvmError {
    /// The device node is not there.
    #[error("{path} is not there: load the kvm_intel or kvm_amd module, and enable virtualisation in the firmware")]
    Missing { path: String },
    /// The device node is there, this user may not open it.
    #[error("no right to open {path}: add this user to the group that owns it (usually `kvm`), or change its mode")]
    NoRight { path: String },
    /// Opening failed for another reason.
    #[error("cannot open {path}")]
    Open {
        path: String,
        #[source]
        source: io::Error,
    },
    /// Another device, or a file.
    #[error("{path} is not KVM: it does not tell its interface version")]
    NotKvm { path: String },
    /// Not a KVM that can be used.
    #[error("{path} has interface version {found}, not {API_VERSION}")]
    Version { path: String, found: i32 },
    /// Something the machine relies on is missing.
    #[error("this host's KVM lacks {name}")]
    Capability { name: &'static str },
    /// More vCPUs than the host allows.
    #[error("{asked} CPUs asked for, this host's KVM allows {most}")]
    TooManyCpus { asked: u32, most: u32 },
    /// An ioctl failed.
    #[error("KVM refused to {what}")]
    Ioctl {
        what: &'static str,
        #[source]
        source: io::Error,
    },
}

impl KvmError {
    /// For `map_err` on an ioctl.
    pub(crate) fn ioctl(what: &'static str) -> impl FnOnce(kvm_ioctls::Error) -> Self {
        move |error| Self::Ioctl {
            what,
            source: io::Error::from_raw_os_error(error.errno()),
        }
    }
}

/// The open device, checked.
#[derive(Debug)]
pub(crate) struct Kvm {
    fd: kvm_ioctls::Kvm,
}

impl Kvm {
    /// Opens `/dev/kvm`.
    ///
    /// # Errors
    /// When it is missing, may not be opened, or lacks what the machine relies on.
    pub(crate) fn open() -> Result<Self, KvmError> {
        Self::open_at(DEVICE)
    }

    /// Opens a KVM device at another path.
    ///
    /// # Errors
    /// As [`Kvm::open`].
    pub(crate) fn open_at(path: &str) -> Result<Self, KvmError> {
        // The crate's own open hides the error behind a NUL-terminated path; asking the file system first costs nothing
        // and lets the two common mistakes have messages of their own.
        let named = || path.to_owned();
        match std::fs::OpenOptions::new().read(true).write(true).open(Path::new(path)) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(KvmError::Missing { path: named() }),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Err(KvmError::NoRight { path: named() });
            }
            Err(source) => return Err(KvmError::Open { path: named(), source }),
        }
        let c_path = std::ffi::CString::new(path).map_err(|error| KvmError::Open {
            path: named(),
            source: error.into(),
        })?;
        let fd = kvm_ioctls::Kvm::new_with_path(c_path).map_err(|error| KvmError::Open {
            path: named(),
            source: io::Error::from_raw_os_error(error.errno()),
        })?;
        let kvm = Self { fd };
        let found = kvm.fd.get_api_version();
        if found < 0 {
            return Err(KvmError::NotKvm { path: named() });
        }
        if found != API_VERSION {
            return Err(KvmError::Version { path: named(), found });
        }
        for (capability, name) in [
            (Cap::Irqchip, "an in-kernel interrupt controller"),
            (Cap::Pit2, "an in-kernel PIT"),
            (Cap::UserMemory, "memory slots"),
            (Cap::ReadonlyMem, "read-only memory slots"),
            (Cap::IrqRouting, "interrupt routing"),
            (Cap::Irqfd, "irqfd"),
            (Cap::Ioeventfd, "ioeventfd"),
            (Cap::IoeventfdNoLength, "ioeventfd of any length"),
            (Cap::ImmediateExit, "immediate exit"),
            (Cap::SetTssAddr, "a TSS address"),
            (Cap::SetIdentityMapAddr, "an identity map address"),
            (Cap::ExtCpuid, "CPUID"),
            (Cap::MpState, "the multiprocessing state"),
            (Cap::VcpuEvents, "vCPU events"),
            (Cap::Xsave, "XSAVE"),
            (Cap::Xcrs, "extended control registers"),
            (Cap::Debugregs, "debug registers"),
            (Cap::SignalMsi, "message-signalled interrupts"),
        ] {
            if !kvm.fd.check_extension(capability) {
                return Err(KvmError::Capability { name });
            }
        }
        Ok(kvm)
    }

    /// The CPUID leaves this host can offer.
    ///
    /// # Errors
    /// When the host refuses.
    pub(crate) fn supported_cpuid(&self) -> Result<CpuId, KvmError> {
        self.fd
            .get_supported_cpuid(kvm_bindings::KVM_MAX_CPUID_ENTRIES)
            .map_err(KvmError::ioctl("list its CPUID"))
    }

    /// Most vCPUs of one machine.
    #[must_use]
    pub(crate) fn max_cpus(&self) -> u32 {
        u32::try_from(self.fd.get_max_vcpus()).unwrap_or(u32::MAX)
    }

    /// Indices of the MSRs that make up a vCPU's state.
    pub(crate) fn msr_indices(&self) -> Result<Vec<u32>, KvmError> {
        let list = self.fd.get_msr_index_list().map_err(KvmError::ioctl("list its MSRs"))?;
        Ok(list.as_slice().to_vec())
    }

    pub(crate) fn has(&self, capability: Cap) -> bool {
        self.fd.check_extension(capability)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_device_is_named_with_what_to_do() {
        let error = Kvm::open_at("/nonexistent/kvm").unwrap_err();
        assert!(matches!(error, KvmError::Missing { .. }));
        assert!(error.to_string().contains("/nonexistent/kvm"), "{error}");
    }

    #[test]
    fn a_device_that_is_not_kvm_is_refused() {
        assert!(matches!(Kvm::open_at("/dev/null"), Err(KvmError::NotKvm { .. })));
    }

    #[test]
    fn this_host_offers_what_the_machine_relies_on() {
        let kvm = Kvm::open().unwrap();
        assert!(kvm.max_cpus() >= 4);
        assert!(!kvm.msr_indices().unwrap().is_empty());
    }
}
