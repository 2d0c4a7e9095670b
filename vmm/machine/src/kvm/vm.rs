//! One virtual machine: memory slots, doorbells, interrupt inputs.

use std::{
    collections::BTreeMap,
    io,
    os::fd::{AsRawFd, RawFd},
    sync::{Mutex, MutexGuard, PoisonError},
};

use caraway_base::{
    address_space::{Doorbell, Space},
    memory::SharedMemory,
};
use kvm_bindings::{
    KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_READONLY, KVM_PIT_SPEAKER_DUMMY, KVMIO, kvm_ioeventfd,
    kvm_ioeventfd_flag_nr_datamatch, kvm_ioeventfd_flag_nr_deassign, kvm_ioeventfd_flag_nr_pio, kvm_irq_routing_entry,
    kvm_pit_config, kvm_userspace_memory_region,
};
use kvm_ioctls::{Cap, VmFd};
use vm_memory::{GuestMemoryBackend as _, GuestMemoryRegion as _, bitmap::Bitmap as _};
use vmm_sys_util::{eventfd::EventFd, ioctl::ioctl_with_ref, ioctl_iow_nr};

use caraway_base::memory::{GuestRam, PAGE_SIZE, Region};

use super::{Kvm, KvmError, vcpu::Vcpu};

ioctl_iow_nr!(KVM_IOEVENTFD, KVMIO, 0x79, kvm_ioeventfd);

/// Identity map for real mode without unrestricted guest support, and the TSS behind it: 4 pages in the hole below the
/// firmware area, where no RAM and no device can be.
const IDENTITY_MAP: u64 = 0xfeff_c000;
const TSS: usize = 0xfeff_d000;

/// What a memory slot shows the guest.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    /// Guest-physical address.
    pub(crate) guest: u64,
    /// Bytes, a multiple of 4096.
    pub(crate) size: u64,
    /// Backing.
    pub(crate) memory: SharedMemory,
    /// Start in the backing.
    pub(crate) offset: u64,
    /// Guest writes exit instead of being stored.
    pub(crate) read_only: bool,
    /// Keep the dirty log.
    pub(crate) log_dirty: bool,
}

/// A virtual machine. Shared by every thread; KVM orders concurrent calls.
#[derive(Debug)]
pub(crate) struct Vm {
    fd: VmFd,
    /// Guest RAM: KVM writes to it for as long as the descriptor lives, so the mapping must too.
    ram: GuestRam,
    /// Backings of slots in use, for the same reason.
    slots: Mutex<BTreeMap<u32, SharedMemory>>,
    /// GSI routes of messages, by GSI.
    pub(super) messages: Mutex<BTreeMap<u32, kvm_irq_routing_entry>>,
    most_routes: u32,
    first_slot: u32,
}

impl Vm {
    /// Creates the machine with its interrupt controllers, timer and RAM.
    ///
    /// # Errors
    /// When the host refuses.
    pub(crate) fn new(kvm: &Kvm, ram: GuestRam) -> Result<Self, KvmError> {
        // Creating a VM waits for a grace period and may be interrupted by any signal.
        let fd = loop {
            match kvm.fd.create_vm() {
                Err(error) if error.errno() == libc::EINTR => {}
                other => break other.map_err(KvmError::ioctl("create a virtual machine"))?,
            }
        };
        fd.set_identity_map_address(IDENTITY_MAP)
            .map_err(KvmError::ioctl("place its identity map"))?;
        fd.set_tss_address(TSS).map_err(KvmError::ioctl("place its TSS"))?;
        fd.create_irq_chip()
            .map_err(KvmError::ioctl("create the interrupt controllers"))?;
        fd.create_pit2(kvm_pit_config {
            flags: KVM_PIT_SPEAKER_DUMMY,
            ..kvm_pit_config::default()
        })
        .map_err(KvmError::ioctl("create the PIT"))?;
        let most_routes = u32::try_from(fd.check_extension_int(Cap::IrqRouting)).unwrap_or(0);
        let mut vm = Self {
            fd,
            ram,
            slots: Mutex::new(BTreeMap::new()),
            messages: Mutex::new(BTreeMap::new()),
            most_routes,
            first_slot: 0,
        };
        vm.first_slot = vm.map_ram()?;
        vm.apply_routes(&BTreeMap::new()).map_err(|source| KvmError::Ioctl {
            what: "route interrupts",
            source,
        })?;
        Ok(vm)
    }

    fn map_ram(&self) -> Result<u32, KvmError> {
        self.set_ram_slots(0).map_err(|source| KvmError::Ioctl {
            what: "map the RAM",
            source,
        })
    }

    /// Has KVM keep the dirty log of RAM, or no more.
    ///
    /// # Errors
    /// When the host refuses.
    pub(crate) fn log_ram(&self, log: bool) -> io::Result<()> {
        let flags = if log { KVM_MEM_LOG_DIRTY_PAGES } else { 0 };
        self.set_ram_slots(flags).map(drop)
    }

    /// Takes and clears the dirty log of RAM into the bitmaps of its regions.
    ///
    /// # Errors
    /// When none is kept.
    pub(crate) fn collect_ram_log(&self) -> io::Result<()> {
        for (slot, region) in (0..).zip(self.ram.iter()) {
            let log = self.dirty_log(slot, region.len())?;
            let mapping: &Region = region;
            for page in dirty_pages(&log) {
                let at = usize::try_from(page * PAGE_SIZE).unwrap_or(usize::MAX);
                mapping.bitmap().mark_dirty(at, 1);
            }
        }
        Ok(())
    }

    /// Fills the slots of RAM, the first ones; how many there are.
    fn set_ram_slots(&self, flags: u32) -> io::Result<u32> {
        let mut slot = 0;
        for region in self.ram.iter() {
            let host = region.as_ptr() as u64;
            let region = kvm_userspace_memory_region {
                slot,
                flags,
                guest_phys_addr: region.start_addr().0,
                memory_size: region.len(),
                userspace_addr: host,
            };
            // SAFETY: the range is a live mapping of that size, owned by `self.ram`, which outlives `self.fd`'s use of it.
            unsafe { self.fd.set_user_memory_region(region) }.map_err(os)?;
            slot += 1;
        }
        Ok(slot)
    }

    /// Number of the first slot that is not RAM.
    #[must_use]
    pub(crate) fn first_free_slot(&self) -> u32 {
        self.first_slot
    }

    /// Fills slot `number`, or empties it.
    ///
    /// # Errors
    /// When the range is not inside the backing, or the host refuses.
    pub(crate) fn set_slot(&self, number: u32, slot: Option<&Slot>) -> io::Result<()> {
        let mut used = lock(&self.slots);
        let region = match slot {
            None => kvm_userspace_memory_region {
                slot: number,
                ..kvm_userspace_memory_region::default()
            },
            Some(slot) => {
                if !slot.memory.contains(slot.offset, slot.size) {
                    return Err(io::ErrorKind::InvalidInput.into());
                }
                let mut flags = 0;
                if slot.read_only {
                    flags |= KVM_MEM_READONLY;
                }
                if slot.log_dirty {
                    flags |= KVM_MEM_LOG_DIRTY_PAGES;
                }
                kvm_userspace_memory_region {
                    slot: number,
                    flags,
                    guest_phys_addr: slot.guest,
                    memory_size: slot.size,
                    userspace_addr: slot.memory.host_address() + slot.offset,
                }
            }
        };
        // SAFETY: the range was checked to be inside a live mapping, and `slots` keeps that mapping until KVM has let go.
        unsafe { self.fd.set_user_memory_region(region) }.map_err(os)?;
        match slot {
            Some(slot) => used.insert(number, slot.memory.clone()),
            None => used.remove(&number),
        };
        Ok(())
    }

    /// Takes and clears the dirty log of a slot, one bit per 4 KiB page.
    ///
    /// # Errors
    /// When the slot keeps none.
    pub(crate) fn dirty_log(&self, number: u32, size: u64) -> io::Result<Vec<u64>> {
        let size = usize::try_from(size).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.fd.get_dirty_log(number, size).map_err(os)
    }

    /// Makes (`attach`) or removes a doorbell at `address`.
    ///
    /// # Errors
    /// When the host refuses.
    pub(crate) fn set_doorbell(&self, attach: bool, space: Space, address: u64, doorbell: &Doorbell) -> io::Result<()> {
        let mut flags = 0;
        if space == Space::Ports {
            flags |= 1 << kvm_ioeventfd_flag_nr_pio;
        }
        if doorbell.value.is_some() {
            flags |= 1 << kvm_ioeventfd_flag_nr_datamatch;
        }
        if !attach {
            flags |= 1 << kvm_ioeventfd_flag_nr_deassign;
        }
        let request = kvm_ioeventfd {
            datamatch: doorbell.value.unwrap_or(0),
            addr: address,
            len: doorbell.width,
            fd: doorbell.event.as_raw_fd(),
            flags,
            ..kvm_ioeventfd::default()
        };
        // SAFETY: the descriptor is a VM and the argument is the structure this ioctl reads; KVM keeps a reference of its
        // own to the eventfd.
        let result = unsafe { ioctl_with_ref(&self.fd, KVM_IOEVENTFD(), &request) };
        if result == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// Sets the level of an interrupt controller input.
    ///
    /// # Errors
    /// When the host refuses.
    pub(crate) fn set_irq(&self, gsi: u32, asserted: bool) -> io::Result<()> {
        self.fd.set_irq_line(gsi, asserted).map_err(os)
    }

    pub(super) fn attach_irqfd(&self, event: &EventFd, gsi: u32) -> io::Result<()> {
        self.fd.register_irqfd(event, gsi).map_err(os)
    }

    pub(super) fn detach_irqfd(&self, event: &EventFd, gsi: u32) -> io::Result<()> {
        self.fd.unregister_irqfd(event, gsi).map_err(os)
    }

    pub(super) fn most_routes(&self) -> u32 {
        self.most_routes
    }

    pub(super) fn fd(&self) -> &VmFd {
        &self.fd
    }

    /// The RAM of this machine.
    #[must_use]
    pub(crate) fn ram(&self) -> &GuestRam {
        &self.ram
    }

    /// Creates a vCPU. Its id is its APIC id.
    ///
    /// # Errors
    /// When the host refuses.
    pub(crate) fn create_vcpu(&self, id: u32) -> Result<Vcpu, KvmError> {
        let fd = self
            .fd
            .create_vcpu(u64::from(id))
            .map_err(KvmError::ioctl("create a vCPU"))?;
        Ok(Vcpu::new(id, fd))
    }
}

impl AsRawFd for Vm {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// The pages whose bits are set in a dirty log.
pub(crate) fn dirty_pages(log: &[u64]) -> impl Iterator<Item = u64> {
    (0_u64..)
        .zip(log)
        .filter(|(_, bits)| **bits != 0)
        .flat_map(|(word, bits)| {
            (0..64)
                .filter(move |bit| bits >> bit & 1 != 0)
                .map(move |bit| word * 64 + bit)
        })
}

/// A poisoned lock here means that a thread panicked between two ioctls; the tables are updated after them, so they
/// still say what KVM has.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn os(error: kvm_ioctls::Error) -> io::Error {
    io::Error::from_raw_os_error(error.errno())
}
