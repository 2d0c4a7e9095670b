//! One virtual CPU: running it, getting it out again, and why it came out.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

use kvm_bindings::{
    CpuId, KVM_EXIT_FAIL_ENTRY, KVM_EXIT_HLT, KVM_EXIT_INTERNAL_ERROR, KVM_EXIT_INTR, KVM_EXIT_IO, KVM_EXIT_IO_IN,
    KVM_EXIT_MMIO, KVM_EXIT_SHUTDOWN, KVM_EXIT_SYSTEM_EVENT, KVM_INTERNAL_ERROR_EMULATION, kvm_cpuid_entry2, kvm_regs,
    kvm_sregs,
};
use kvm_ioctls::VcpuFd;

use super::{KvmError, vm::lock};

/// Set in an emulation failure's flags when KVM reports the instruction's bytes.
const HAS_INSTRUCTION_BYTES: u64 = 1;

/// Why a vCPU came out of the guest.
#[derive(Debug)]
pub(crate) enum Exit<'a> {
    /// `in`: elements of `width` bytes, all from the same port.
    PortIn {
        port: u16,
        width: usize,
        data: &'a mut [u8],
    },
    /// `out`: elements of `width` bytes, all to the same port.
    PortOut { port: u16, width: usize, data: &'a [u8] },
    /// A read where no memory is.
    MemoryRead { address: u64, data: &'a mut [u8] },
    /// A write where no writable memory is.
    MemoryWrite { address: u64, data: &'a [u8] },
    /// `hlt` that the kernel did not wait out.
    Halted,
    /// Triple fault.
    TripleFault,
    /// The paravirtual interface asks for something (`KVM_SYSTEM_EVENT_*`).
    SystemEvent(u32),
    /// KVM cannot go on.
    InternalError(InternalError),
    /// The processor refused to enter the guest.
    EntryRefused { reason: u64 },
    /// A kick, a signal or a retry: nothing happened in the guest.
    Interrupted,
    /// An exit that this machine never asked for.
    Unexpected(u32),
}

/// What KVM says about its own failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InternalError {
    /// `KVM_INTERNAL_ERROR_*`.
    pub(crate) suberror: u32,
    /// The bytes of the instruction it could not emulate, if it told.
    pub(crate) instruction: Vec<u8>,
    /// Its other data.
    pub(crate) data: Vec<u64>,
}

impl InternalError {
    /// Whether an instruction could not be emulated.
    #[must_use]
    pub(crate) fn is_emulation(&self) -> bool {
        self.suberror == KVM_INTERNAL_ERROR_EMULATION
    }
}

/// Address of the immediate-exit flag in a vCPU's run page.
#[derive(Clone, Copy, Debug)]
struct Flag(*const AtomicU8);

// SAFETY: the flag is one byte in shared memory that is only accessed atomically.
unsafe impl Send for Flag {}

/// Makes a vCPU leave the guest, from any thread, and at once when it is about to enter it.
#[derive(Clone)]
pub(crate) struct Kicker(Arc<Mutex<Option<Flag>>>);

impl std::fmt::Debug for Kicker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Kicker")
    }
}

impl Kicker {
    /// Sets the flag that makes the next entry return at once. The thread that is inside already needs a signal too.
    pub(crate) fn request_exit(&self) {
        if let Some(flag) = &*lock(&self.0) {
            // SAFETY: the run page is mapped for as long as the flag is here: `Vcpu::drop` takes it out first.
            unsafe { &*flag.0 }.store(1, Ordering::SeqCst);
        }
    }
}

/// A vCPU; belongs to the thread that runs it.
#[derive(Debug)]
pub(crate) struct Vcpu {
    id: u32,
    fd: VcpuFd,
    cpuid: Vec<kvm_cpuid_entry2>,
    flag: Flag,
    kicker: Kicker,
}

impl Vcpu {
    pub(super) fn new(id: u32, mut fd: VcpuFd) -> Self {
        let flag = Flag(std::ptr::from_mut(&mut fd.get_kvm_run().immediate_exit).cast::<AtomicU8>());
        Self {
            id,
            fd,
            cpuid: Vec::new(),
            flag,
            kicker: Kicker(Arc::new(Mutex::new(Some(flag)))),
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    pub(crate) fn kicker(&self) -> Kicker {
        self.kicker.clone()
    }

    pub(super) fn fd(&self) -> &VcpuFd {
        &self.fd
    }

    pub(crate) fn set_cpuid(&mut self, entries: &[kvm_cpuid_entry2]) -> Result<(), KvmError> {
        let cpuid = CpuId::from_entries(entries).map_err(|_| KvmError::Capability {
            name: "room for all CPUID leaves",
        })?;
        self.fd.set_cpuid2(&cpuid).map_err(KvmError::ioctl("set the CPUID"))?;
        self.cpuid = entries.to_vec();
        Ok(())
    }

    /// The CPUID as it was set.
    pub(crate) fn cpuid(&self) -> &[kvm_cpuid_entry2] {
        &self.cpuid
    }

    /// Whether the next [`Vcpu::run`] is to come back without entering the guest. It still completes the instruction that
    /// the last exit left half done.
    pub(crate) fn set_immediate_exit(&self, on: bool) {
        // SAFETY: the run page is mapped for as long as `self.fd` is here.
        unsafe { &*self.flag.0 }.store(u8::from(on), Ordering::SeqCst);
    }

    pub(crate) fn registers(&self) -> Result<(kvm_regs, kvm_sregs), KvmError> {
        let regs = self.fd.get_regs().map_err(KvmError::ioctl("read the registers"))?;
        let sregs = self
            .fd
            .get_sregs()
            .map_err(KvmError::ioctl("read the system registers"))?;
        Ok((regs, sregs))
    }

    /// The guest-physical address behind a linear one, by the guest's own page tables.
    pub(crate) fn translate(&self, linear: u64) -> Option<u64> {
        let translation = self.fd.translate_gva(linear).ok()?;
        (translation.valid != 0).then_some(translation.physical_address)
    }

    /// Enters the guest until something happens.
    pub(crate) fn run(&mut self) -> Result<Exit<'_>, KvmError> {
        match self.fd.run() {
            Ok(_) => Ok(self.exit()),
            // Interrupted by a kick, or a vCPU that waits for its INIT: both normal.
            Err(error) if matches!(error.errno(), libc::EINTR | libc::EAGAIN) => Ok(Exit::Interrupted),
            Err(error) => Err(KvmError::ioctl("run a vCPU")(error)),
        }
    }

    /// Decodes the run page after a successful `KVM_RUN`. The crate's own decoding leaves out the width of string I/O and
    /// the details of an internal error.
    fn exit(&mut self) -> Exit<'_> {
        let run = self.fd.get_kvm_run();
        let reason = run.exit_reason;
        let page = std::ptr::from_mut(run).cast::<u8>();
        let exit = &mut run.__bindgen_anon_1;
        match reason {
            KVM_EXIT_IO => {
                // SAFETY: the exit reason says which member of the union is filled.
                let io = unsafe { exit.io };
                let width = usize::from(io.size);
                let length = width * io.count as usize;
                // SAFETY: KVM put `length` bytes at `data_offset` of the run mapping (the page behind the structure); the
                // mapping lives as long as `self.fd`, which the result borrows mutably.
                let data =
                    unsafe { std::slice::from_raw_parts_mut(page.wrapping_add(io.data_offset as usize), length) };
                if u32::from(io.direction) == KVM_EXIT_IO_IN {
                    Exit::PortIn {
                        port: io.port,
                        width,
                        data,
                    }
                } else {
                    Exit::PortOut {
                        port: io.port,
                        width,
                        data,
                    }
                }
            }
            KVM_EXIT_MMIO => {
                // SAFETY: the exit reason says which member of the union is filled.
                let mmio = unsafe { &mut exit.mmio };
                let address = mmio.phys_addr;
                let length = (mmio.len as usize).min(mmio.data.len());
                let (data, _) = mmio.data.split_at_mut(length);
                if mmio.is_write == 0 {
                    Exit::MemoryRead { address, data }
                } else {
                    Exit::MemoryWrite { address, data }
                }
            }
            KVM_EXIT_HLT => Exit::Halted,
            KVM_EXIT_SHUTDOWN => Exit::TripleFault,
            KVM_EXIT_INTR => Exit::Interrupted,
            // SAFETY: the exit reason says which member of the union is filled.
            KVM_EXIT_SYSTEM_EVENT => Exit::SystemEvent(unsafe { exit.system_event }.type_),
            KVM_EXIT_FAIL_ENTRY => {
                // SAFETY: the exit reason says which member of the union is filled.
                let refused = unsafe { exit.fail_entry };
                Exit::EntryRefused {
                    reason: refused.hardware_entry_failure_reason,
                }
            }
            KVM_EXIT_INTERNAL_ERROR => {
                // SAFETY: the exit reason says which member of the union is filled.
                let internal = unsafe { exit.internal };
                let words = internal.data.get(..internal.ndata as usize).unwrap_or(&internal.data);
                Exit::InternalError(decode(internal.suberror, words))
            }
            other => Exit::Unexpected(other),
        }
    }
}

/// The data of an emulation failure: flags, then a length byte and up to 15 instruction bytes.
fn decode(suberror: u32, data: &[u64]) -> InternalError {
    let mut instruction = Vec::new();
    if let [flags, first, second, ..] = data
        && suberror == KVM_INTERNAL_ERROR_EMULATION
        && flags & HAS_INSTRUCTION_BYTES != 0
    {
        let bytes = [first.to_le_bytes(), second.to_le_bytes()].concat();
        if let Some((length, rest)) = bytes.split_first() {
            instruction = rest.iter().copied().take(usize::from(*length)).collect();
        }
    }
    InternalError {
        suberror,
        instruction,
        data: data.to_vec(),
    }
}

impl Drop for Vcpu {
    fn drop(&mut self) {
        // Before the run page is unmapped.
        lock(&self.kicker.0).take();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instruction_bytes_of_an_emulation_failure_are_taken_out() {
        let first = u64::from_le_bytes([3, 0x66, 0x0f, 0x6e, 0xc0, 0, 0, 0]);
        let error = decode(KVM_INTERNAL_ERROR_EMULATION, &[1, first, 0]);
        assert_eq!(error.instruction, [0x66, 0x0f, 0x6e]);
        assert!(
            decode(KVM_INTERNAL_ERROR_EMULATION, &[0, first, 0])
                .instruction
                .is_empty()
        );
        assert!(decode(3, &[1, first, 0]).instruction.is_empty());
        assert!(decode(KVM_INTERNAL_ERROR_EMULATION, &[]).instruction.is_empty());
    }
}
