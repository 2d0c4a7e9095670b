//! The PCI function of a virtio device.

mod layout;
mod registers;
mod state;

#[cfg(test)]
mod state_tests;
#[cfg(test)]
mod transport_tests;

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use caraway_base::{
    address_space::Doorbell,
    bus::{Outcome, store_value, value_of},
    lifecycle::Lifecycle,
    memory::GuestRam,
};
use caraway_pci::function::{BarSpec, Capability, PciFunction, PciIdentity, PciInterrupts};
use virtio_queue::QueueState;
use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};

use self::{
    layout::{COMMON, COMMON_SIZE, DEVICE, DEVICE_SIZE, ISR, MAX_QUEUES, NOTIFY, NOTIFY_MULTIPLIER, REGISTER_BAR},
    registers::{Registers, acceptable, status},
};
pub use self::{registers::QueueRegisters, state::VirtioPciState};
use crate::{Activation, DeviceMemory, EVENT_IDX, Interrupt, QueueError, VirtQueue, VirtioDevice};

/// How long a reset may hold up the vCPU that asks for it. What takes longer goes on, and the driver reads a status that
/// is not zero yet.
const RESET_PATIENCE: Duration = Duration::from_millis(50);

const VENDOR: u16 = 0x1af4;
/// PCI device id of device type 0 (virtio 1.2, 4.1.2).
const DEVICE_BASE: u16 = 0x1040;
/// Any id from 0x40 on tells old drivers to keep away.
const SUBSYSTEM: u16 = 0x1100;

const COMMON_STATUS: u64 = 0x14;

/// Why a device cannot be given a PCI function.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// The device type has too many queues, or one of an odd size.
    #[error("a virtio device cannot have queues of the sizes {sizes:?}")]
    Queues {
        /// Its queues.
        sizes: Vec<u16>,
    },
    /// The host has no more event descriptors.
    #[error("cannot make an event for a virtio queue")]
    Event(#[source] io::Error),
}

/// What the device is doing.
#[derive(Debug)]
enum Work {
    /// Nothing; the registers have all there is to know.
    Idle,
    /// It has the queues.
    Active,
    /// A reset was asked for, and it is not done yet.
    Stopping,
}

#[derive(Debug)]
struct Inner {
    device: Box<dyn VirtioDevice>,
    registers: Registers,
    work: Work,
    paused: bool,
    /// BAR, offset and length of the access window in config space.
    window: [u8; 12],
}

/// A virtio device as a PCI function. Starts running.
#[derive(Debug)]
pub struct VirtioPci {
    inner: Mutex<Inner>,
    sizes: Vec<u16>,
    kicks: Vec<Arc<EventFd>>,
    interrupt: Arc<Interrupt>,
    memory: DeviceMemory,
    identity: PciIdentity,
}

impl VirtioPci {
    /// Wraps a device type.
    ///
    /// # Errors
    /// When its queues cannot be, or the host has no more descriptors.
    pub fn new(device: Box<dyn VirtioDevice>, ram: GuestRam) -> Result<Self, CreateError> {
        let sizes = device.queue_sizes();
        let fits = |size: &u16| size.is_power_of_two() && *size <= 32768;
        if sizes.len() > MAX_QUEUES || !sizes.iter().all(fits) {
            return Err(CreateError::Queues { sizes });
        }
        let event = || EventFd::new(EFD_NONBLOCK | EFD_CLOEXEC).map(Arc::new);
        let kicks: Result<Vec<_>, _> = sizes.iter().map(|_| event()).collect();
        let identity = device.identity();
        Ok(Self {
            kicks: kicks.map_err(CreateError::Event)?,
            interrupt: Arc::new(Interrupt::new(sizes.len())),
            memory: DeviceMemory::new(ram),
            identity: PciIdentity {
                vendor: VENDOR,
                device: DEVICE_BASE.saturating_add(identity.device),
                revision: 1,
                class: identity.class,
                subsystem_vendor: VENDOR,
                subsystem: SUBSYSTEM,
                intx: true,
            },
            inner: Mutex::new(Inner {
                registers: Registers::new(&sizes),
                device,
                work: Work::Idle,
                paused: false,
                window: [0; 12],
            }),
            sizes,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The driver writes the device status.
    fn write_status(&self, inner: &mut Inner, value: u8) {
        if value == 0 {
            self.begin_reset(inner);
            return;
        }
        // A driver that does not wait for its reset is made to wait for it here.
        self.poll_reset(inner, Some(RESET_PATIENCE));
        if matches!(inner.work, Work::Stopping) {
            return;
        }
        let before = inner.registers.status;
        // Only a reset takes bits away.
        let mut now = before | (value & status::DRIVERS);
        if (now & !before) & status::FEATURES_OK != 0
            && !acceptable(inner.registers.driver_features, inner.device.as_ref())
        {
            now &= !status::FEATURES_OK;
        }
        let ready = status::FEATURES_OK | status::DRIVER_OK;
        // A driver that has not agreed on features, or has given up, does not get a device that works.
        if before & status::DRIVER_OK == 0 && (now & status::FEATURES_OK == 0 || now & status::FAILED != 0) {
            now &= !status::DRIVER_OK;
        }
        inner.registers.status = now;
        if now & ready == ready && before & status::DRIVER_OK == 0 {
            self.activate(inner);
        }
    }

    /// Moves the enabled queues into the device, or tells the driver that its rings cannot be.
    fn activate(&self, inner: &mut Inner) {
        match self.queues(&inner.registers) {
            Ok(queues) => {
                inner.device.activate(Activation {
                    queues,
                    memory: self.memory.clone(),
                    interrupt: Arc::clone(&self.interrupt),
                    features: inner.registers.driver_features,
                });
                inner.work = Work::Active;
            }
            Err(error) => {
                tracing::debug!(%error, "virtio device needs a reset");
                self.interrupt.needs_reset();
            }
        }
    }

    fn queues(&self, registers: &Registers) -> Result<Vec<VirtQueue>, QueueError> {
        let event_idx = registers.driver_features & EVENT_IDX != 0;
        let each = (0_u16..).zip(&registers.queues).zip(self.sizes.iter().zip(&self.kicks));
        each.filter(|((_, queue), _)| queue.enabled)
            .map(|((index, queue), (&max_size, kick))| {
                let state = QueueState {
                    max_size,
                    next_avail: queue.next_available,
                    next_used: queue.next_used,
                    event_idx_enabled: event_idx,
                    size: queue.size,
                    ready: true,
                    desc_table: queue.descriptors,
                    avail_ring: queue.available,
                    used_ring: queue.used,
                };
                VirtQueue::new(index, state, self.memory.ram(), Arc::clone(kick))
            })
            .collect()
    }

    fn begin_reset(&self, inner: &mut Inner) {
        match inner.work {
            Work::Idle => self.finish_reset(inner),
            Work::Active => {
                self.interrupt.silence();
                inner.device.deactivate();
                inner.work = Work::Stopping;
                self.poll_reset(inner, Some(RESET_PATIENCE));
            }
            Work::Stopping => {}
        }
    }

    /// Finishes a reset when the device has stopped.
    fn poll_reset(&self, inner: &mut Inner, patience: Option<Duration>) {
        if matches!(inner.work, Work::Stopping) && inner.device.reclaim(patience).is_some() {
            self.finish_reset(inner);
        }
    }

    fn finish_reset(&self, inner: &mut Inner) {
        inner.work = Work::Idle;
        inner.device.reset();
        inner.registers = Registers::new(&self.sizes);
        self.interrupt.reset();
    }

    fn read_registers(&self, offset: u64, data: &mut [u8]) {
        if offset < COMMON + COMMON_SIZE {
            let mut inner = self.lock();
            self.poll_reset(&mut inner, Some(Duration::ZERO));
            let image = inner.registers.image(inner.device.as_ref(), &self.interrupt);
            let start = usize::try_from(offset - COMMON).unwrap_or(usize::MAX);
            for (to, from) in data.iter_mut().zip(image.iter().skip(start)) {
                *to = *from;
            }
        } else if offset == ISR {
            store_value(data, self.interrupt.take_isr().into());
        } else if (DEVICE..DEVICE + DEVICE_SIZE).contains(&offset) {
            data.fill(0);
            self.lock().device.read_config(offset - DEVICE, data);
        }
    }

    fn write_registers(&self, offset: u64, data: &[u8]) {
        if offset == COMMON + COMMON_STATUS {
            if let &[value] = data {
                self.write_status(&mut self.lock(), value);
            }
        } else if offset < COMMON + COMMON_SIZE {
            let mut inner = self.lock();
            self.poll_reset(&mut inner, Some(Duration::ZERO));
            if !matches!(inner.work, Work::Stopping) {
                let value = value_of(data);
                inner
                    .registers
                    .write(offset - COMMON, data.len(), value, &self.sizes, &self.interrupt);
            }
        } else if (DEVICE..DEVICE + DEVICE_SIZE).contains(&offset) {
            self.lock().device.write_config(offset - DEVICE, data);
        } else if offset >= NOTIFY {
            // Where the host cannot turn the write into an event, or it is of an odd width.
            let queue = usize::try_from((offset - NOTIFY) / NOTIFY_MULTIPLIER).ok();
            if let Some(kick) = queue.and_then(|queue| self.kicks.get(queue)) {
                let _ = kick.write(1);
            }
        }
    }

    /// The range of the registers that the window in config space shows: offset and width.
    fn window_target(&self) -> Option<(u64, usize)> {
        let window = self.lock().window;
        let offset = value_of(window.get(4..8)?);
        let width = usize::try_from(value_of(window.get(8..12)?)).ok()?;
        let fits = matches!(width, 1 | 2 | 4) && offset.is_multiple_of(width as u64);
        (fits && window.first() == Some(&REGISTER_BAR) && offset < NOTIFY + 0x1000).then_some((offset, width))
    }

    fn kick_all(&self) {
        for kick in &self.kicks {
            let _ = kick.write(1);
        }
    }
}

/// Bytes of the window capability: BAR at 4, offset at 8, length at 12, data at 16.
const WINDOW_BAR: usize = 4;
const WINDOW_DATA: usize = 16;

impl PciFunction for VirtioPci {
    fn identity(&self) -> PciIdentity {
        self.identity
    }

    fn bars(&self) -> Vec<BarSpec> {
        layout::bars()
    }

    fn capabilities(&self) -> Vec<Capability> {
        layout::capabilities(self.sizes.len())
    }

    fn doorbells(&self, bar: u8) -> Vec<Doorbell> {
        if bar != REGISTER_BAR {
            return Vec::new();
        }
        (0_u64..)
            .zip(&self.kicks)
            .map(|(index, kick)| Doorbell {
                offset: NOTIFY + index * NOTIFY_MULTIPLIER,
                width: 2,
                value: None,
                event: Arc::clone(kick),
            })
            .collect()
    }

    fn plugged(&self, interrupts: PciInterrupts) {
        self.interrupt.connect(interrupts);
    }

    fn bar_read(&self, bar: u8, offset: u64, data: &mut [u8]) {
        if bar == REGISTER_BAR {
            self.read_registers(offset, data);
        }
    }

    fn bar_write(&self, bar: u8, offset: u64, data: &[u8]) -> Outcome {
        if bar == REGISTER_BAR {
            self.write_registers(offset, data);
        }
        Outcome::Done
    }

    fn bus_master(&self, enabled: bool) {
        self.memory.set_bus_master(enabled);
        if enabled {
            // What was left lying while the gate was closed.
            self.kick_all();
        }
    }

    fn config_read(&self, offset: u8, data: &mut [u8]) {
        let Some(start) = usize::from(offset).checked_sub(layout::WINDOW_START) else {
            return;
        };
        let window = self.lock().window;
        for (at, byte) in (start..).zip(data.iter_mut()) {
            if let Some(value) = at.checked_sub(WINDOW_BAR).and_then(|at| window.get(at)) {
                *byte = *value;
            }
        }
        if start == WINDOW_DATA
            && let Some((target, width)) = self.window_target()
            && let Some(shown) = data.get_mut(..width)
        {
            shown.fill(0xff);
            self.read_registers(target, shown);
        }
    }

    fn config_write(&self, offset: u8, data: &[u8]) -> Outcome {
        let Some(start) = usize::from(offset).checked_sub(layout::WINDOW_START) else {
            return Outcome::Done;
        };
        let mut inner = self.lock();
        for (at, byte) in (start..).zip(data) {
            if let Some(slot) = at.checked_sub(WINDOW_BAR).and_then(|at| inner.window.get_mut(at)) {
                *slot = *byte;
            }
        }
        drop(inner);
        if start == WINDOW_DATA
            && let Some((target, width)) = self.window_target()
            && let Some(written) = data.get(..width)
        {
            self.write_registers(target, written);
        }
        Outcome::Done
    }
}

impl Lifecycle for VirtioPci {
    fn pause(&self) {
        let mut inner = self.lock();
        if inner.paused {
            return;
        }
        inner.paused = true;
        // A reset that is under way is over when the device has stopped: there is nothing half done to be saved.
        self.poll_reset(&mut inner, None);
        if matches!(inner.work, Work::Active) {
            inner.device.deactivate();
            for queue in inner.device.reclaim(None).unwrap_or_default() {
                let (next_available, next_used) = queue.position();
                if let Some(registers) = inner.registers.queues.get_mut(usize::from(queue.index())) {
                    registers.next_available = next_available;
                    registers.next_used = next_used;
                }
            }
            inner.work = Work::Idle;
        }
    }

    fn resume(&self) {
        let mut inner = self.lock();
        if !inner.paused {
            return;
        }
        inner.paused = false;
        let working = status::FEATURES_OK | status::DRIVER_OK;
        if inner.registers.status & working == working && !self.interrupt.is_broken() {
            self.activate(&mut inner);
        }
    }

    fn reset(&self) {
        let mut inner = self.lock();
        self.finish_reset(&mut inner);
        inner.window = [0; 12];
        for kick in &self.kicks {
            let _ = kick.read();
        }
        self.memory.set_bus_master(false);
    }
}
