//! Times guest code on a tiny virtual machine without devices.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use caraway_base::memory::{GuestRam, allocate_region};
use kvm_bindings::{kvm_regs, kvm_sregs, kvm_userspace_memory_region};
use vm_memory::{Bytes as _, GuestAddress, GuestMemoryBackend as _, GuestMemoryRegion as _, GuestRegionMmap};

use super::{Kvm, KvmError, reset::Start, vcpu::Vcpu};
use crate::sys::kick;

/// `dec rcx; jnz` back to itself; `hlt`.
const LOOP: [u8; 6] = [0x48, 0xff, 0xc9, 0x75, 0xfb, 0xf4];
const MEMORY: u64 = 0x1_0000;
const CODE: u64 = 0x8000;
const PAGE_TABLES: u64 = 0x1000;
/// Present, writable, user.
const TABLE: u64 = 7;
/// The same, and a page of 2 MiB.
const LARGE_PAGE: u64 = 0x87;
const USER_RING: u8 = 3;
/// How often a vCPU that does not come out is kicked again.
const KICK_AGAIN: Duration = Duration::from_millis(5);

/// Iterations of `dec; jnz` a second in 64-bit mode in ring 0, or ring 3 when `user`, measured for `time`.
pub(crate) fn loop_speed(kvm: &Kvm, user: bool, time: Duration) -> Result<f64, KvmError> {
    let ram = memory()?;
    let vm = kvm
        .fd
        .create_vm()
        .map_err(KvmError::ioctl("create a virtual machine"))?;
    for region in ram.iter() {
        let slot = kvm_userspace_memory_region {
            slot: 0,
            flags: 0,
            guest_phys_addr: region.start_addr().0,
            memory_size: region.len(),
            userspace_addr: region.as_ptr() as u64,
        };
        // SAFETY: the range is a live mapping of that size, and `ram` outlives `vm`, declared after it.
        unsafe { vm.set_user_memory_region(slot) }.map_err(KvmError::ioctl("map the RAM"))?;
    }
    let fd = vm.create_vcpu(0).map_err(KvmError::ioctl("create a vCPU"))?;
    let mut vcpu = Vcpu::new(0, fd);
    vcpu.set_cpuid(kvm.supported_cpuid()?.as_slice())?;
    let (mut regs, mut sregs) = vcpu.registers()?;
    Start::Long64 {
        rip: CODE,
        rsi: 0,
        cr3: PAGE_TABLES,
        gdt_base: 0,
        gdt_limit: 0,
    }
    .enter(&mut regs, &mut sregs);
    regs.rcx = u64::MAX;
    if user {
        for segment in [&mut sregs.cs, &mut sregs.ss, &mut sregs.ds, &mut sregs.es] {
            segment.dpl = USER_RING;
            segment.selector |= u16::from(USER_RING);
        }
    }
    run_for(&mut vcpu, &regs, &sregs, time)
}

fn memory() -> Result<GuestRam, KvmError> {
    let fail = |error: &dyn std::fmt::Display| KvmError::Ioctl {
        what: "get memory for a probe",
        source: std::io::Error::other(error.to_string()),
    };
    let region = allocate_region("caraway-probe", MEMORY).map_err(|error| fail(&error))?;
    let region = GuestRegionMmap::new(region, GuestAddress(0)).ok_or_else(|| fail(&"no region"))?;
    let ram = GuestRam::from_regions(vec![region]).map_err(|error| fail(&error))?;
    let tables = [
        (PAGE_TABLES, (PAGE_TABLES + 0x1000) | TABLE),
        (PAGE_TABLES + 0x1000, (PAGE_TABLES + 0x2000) | TABLE),
        (PAGE_TABLES + 0x2000, LARGE_PAGE),
    ];
    for (address, entry) in tables {
        ram.write_obj(entry, GuestAddress(address))
            .map_err(|error| fail(&error))?;
    }
    ram.write_slice(&LOOP, GuestAddress(CODE))
        .map_err(|error| fail(&error))?;
    Ok(ram)
}

fn run_for(vcpu: &mut Vcpu, regs: &kvm_regs, sregs: &kvm_sregs, time: Duration) -> Result<f64, KvmError> {
    vcpu.fd()
        .set_sregs(sregs)
        .map_err(KvmError::ioctl("set the system registers"))?;
    vcpu.fd().set_regs(regs).map_err(KvmError::ioctl("set the registers"))?;
    kick::install().map_err(|source| KvmError::Ioctl {
        what: "be interrupted by a signal",
        source,
    })?;
    let kicker = vcpu.kicker();
    let thread = kick::Thread::current();
    let done = AtomicBool::new(false);
    let (result, elapsed) = std::thread::scope(|scope| {
        let alarm = scope.spawn(|| {
            std::thread::park_timeout(time);
            while !done.load(Ordering::SeqCst) {
                kicker.request_exit();
                thread.kick();
                std::thread::park_timeout(KICK_AGAIN);
            }
        });
        let start = Instant::now();
        let result = vcpu.run().map(drop);
        let elapsed = start.elapsed();
        done.store(true, Ordering::SeqCst);
        alarm.thread().unpark();
        (result, elapsed)
    });
    result?;
    let (after, _) = vcpu.registers()?;
    Ok((regs.rcx - after.rcx) as f64 / elapsed.as_secs_f64().max(1e-6))
}
