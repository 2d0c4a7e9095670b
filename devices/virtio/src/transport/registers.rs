//! The common configuration as the driver has set it (virtio 1.2, 4.1.4.3).

use serde::{Deserialize, Serialize};

use super::layout::COMMON_SIZE;
use crate::{Interrupt, RING_FEATURES, VERSION_1, VirtioDevice};

/// Device status bits (virtio 1.2, 2.1).
pub(super) mod status {
    pub(in crate::transport) const ACKNOWLEDGE: u8 = 1;
    pub(in crate::transport) const DRIVER: u8 = 2;
    pub(in crate::transport) const DRIVER_OK: u8 = 4;
    pub(in crate::transport) const FEATURES_OK: u8 = 8;
    pub(in crate::transport) const NEEDS_RESET: u8 = 64;
    pub(in crate::transport) const FAILED: u8 = 128;
    /// What a driver may set.
    pub(in crate::transport) const DRIVERS: u8 = ACKNOWLEDGE | DRIVER | DRIVER_OK | FEATURES_OK | FAILED;
}

/// One queue's registers. The two positions are where the rings had got to when the device last stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueRegisters {
    /// Descriptors.
    pub size: u16,
    /// The driver has enabled it.
    pub enabled: bool,
    /// Guest-physical address of the descriptor table.
    pub descriptors: u64,
    /// Of the available ring.
    pub available: u64,
    /// Of the used ring.
    pub used: u64,
    /// Next entry of the available ring to take.
    pub next_available: u16,
    /// Next entry of the used ring to fill.
    pub next_used: u16,
}

/// All but the status, which takes the whole transport to change, and the vectors, which are the interrupt's.
#[derive(Debug)]
pub(super) struct Registers {
    pub(super) status: u8,
    pub(super) device_feature_select: u32,
    pub(super) driver_feature_select: u32,
    pub(super) driver_features: u64,
    pub(super) queue_select: u16,
    pub(super) queues: Vec<QueueRegisters>,
}

impl Registers {
    pub(super) fn new(sizes: &[u16]) -> Self {
        let queues = sizes.iter().map(|&size| QueueRegisters {
            size,
            enabled: false,
            descriptors: 0,
            available: 0,
            used: 0,
            next_available: 0,
            next_used: 0,
        });
        Self {
            status: 0,
            device_feature_select: 0,
            driver_feature_select: 0,
            driver_features: 0,
            queue_select: 0,
            queues: queues.collect(),
        }
    }

    /// The register block as it reads now.
    pub(super) fn image(&self, device: &dyn VirtioDevice, interrupt: &Interrupt) -> Vec<u8> {
        let half = |features: u64, select: u32| -> u32 {
            match select {
                0 => u32::try_from(features & 0xffff_ffff).unwrap_or(0),
                1 => u32::try_from(features >> 32).unwrap_or(0),
                _ => 0,
            }
        };
        let queue = self.queues.get(usize::from(self.queue_select));
        let word = |value: Option<u16>| value.unwrap_or(0).to_le_bytes();
        let address = |value: Option<u64>| value.unwrap_or(0).to_le_bytes();
        let needs_reset = if interrupt.is_broken() { status::NEEDS_RESET } else { 0 };
        let mut image = Vec::with_capacity(usize::try_from(COMMON_SIZE).unwrap_or(0));
        image.extend(self.device_feature_select.to_le_bytes());
        image.extend(half(offered(device), self.device_feature_select).to_le_bytes());
        image.extend(self.driver_feature_select.to_le_bytes());
        image.extend(half(self.driver_features, self.driver_feature_select).to_le_bytes());
        image.extend(interrupt.config_vector().to_le_bytes());
        image.extend(u16::try_from(self.queues.len()).unwrap_or(0).to_le_bytes());
        image.push(self.status | needs_reset);
        image.push(interrupt.generation());
        image.extend(self.queue_select.to_le_bytes());
        // A queue that is not there has size 0.
        image.extend(word(queue.map(|queue| queue.size)));
        image.extend(interrupt.queue_vector(self.queue_select).to_le_bytes());
        image.extend(word(queue.map(|queue| u16::from(queue.enabled))));
        // Doorbells are in the order of the queues.
        image.extend(word(queue.map(|_| self.queue_select)));
        image.extend(address(queue.map(|queue| queue.descriptors)));
        image.extend(address(queue.map(|queue| queue.available)));
        image.extend(address(queue.map(|queue| queue.used)));
        image
    }

    /// The driver writes anything but the status. Only accesses of a register's own width count; an address may be
    /// written in two halves.
    pub(super) fn write(&mut self, offset: u64, width: usize, value: u64, sizes: &[u16], interrupt: &Interrupt) {
        let low = u32::try_from(value & 0xffff_ffff).unwrap_or(0);
        let short = u16::try_from(value & 0xffff).unwrap_or(0);
        match (offset, width) {
            (0x00, 4) => self.device_feature_select = low,
            (0x08, 4) => self.driver_feature_select = low,
            (0x0c, 4) => self.write_features(low),
            (0x10, 2) => interrupt.set_config_vector(short),
            (0x16, 2) => self.queue_select = short,
            (0x1a, 2) => interrupt.set_queue_vector(self.queue_select, short),
            (0x18 | 0x1c, 2) | (0x20..0x38, 4 | 8) => self.write_queue(offset, width, value, sizes),
            _ => {}
        }
    }

    fn write_features(&mut self, value: u32) {
        if self.status & status::FEATURES_OK != 0 {
            return;
        }
        let value = u64::from(value);
        match self.driver_feature_select {
            0 => self.driver_features = self.driver_features & !0xffff_ffff | value,
            1 => self.driver_features = self.driver_features & 0xffff_ffff | value << 32,
            _ => {}
        }
    }

    fn write_queue(&mut self, offset: u64, width: usize, value: u64, sizes: &[u16]) {
        let index = usize::from(self.queue_select);
        let (Some(queue), Some(&most)) = (self.queues.get_mut(index), sizes.get(index)) else {
            return;
        };
        // A queue that works is not changed under the device's feet.
        if queue.enabled || self.status & status::DRIVER_OK != 0 {
            return;
        }
        match offset {
            0x18 => {
                let size = u16::try_from(value).unwrap_or(0);
                if size.is_power_of_two() && size <= most {
                    queue.size = size;
                }
            }
            0x1c => queue.enabled = value == 1,
            _ => {
                let register = match offset & !7 {
                    0x20 => &mut queue.descriptors,
                    0x28 => &mut queue.available,
                    _ => &mut queue.used,
                };
                match (offset & 7, width) {
                    (0, 8) => *register = value,
                    (0, 4) => *register = *register & !0xffff_ffff | value,
                    (4, 4) => *register = *register & 0xffff_ffff | value << 32,
                    _ => {}
                }
            }
        }
    }
}

/// Whether the features a driver chose can be had. virtio 1 is not a choice.
pub(super) fn acceptable(features: u64, device: &dyn VirtioDevice) -> bool {
    features & !offered(device) == 0 && features & VERSION_1 != 0
}

fn offered(device: &dyn VirtioDevice) -> u64 {
    device.features() | RING_FEATURES
}
