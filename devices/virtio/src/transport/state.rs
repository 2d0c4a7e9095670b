//! What the transport saves. The bus saves config space and the MSI-X table; a device type with more state than its queues
//! has a record of its own.

use caraway_base::{
    memory::GuestRam,
    state::{Migratable, StateError},
};
use serde::{Deserialize, Serialize};

use super::{
    Inner, VirtioPci,
    registers::{QueueRegisters, acceptable, status},
};
use crate::{NO_VECTOR, VirtioDevice, interrupt::ISR_BITS};

/// The registers of a virtio function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VirtioPciState {
    /// Device type, to be the same on the other side.
    pub device: u16,
    /// Device status, without DEVICE_NEEDS_RESET.
    pub status: u8,
    /// DEVICE_NEEDS_RESET.
    pub needs_reset: bool,
    /// Half of the device features that is shown.
    pub device_feature_select: u32,
    /// Half of the driver features that is written.
    pub driver_feature_select: u32,
    /// Features the driver accepted.
    pub driver_features: u64,
    /// Queue whose registers are shown.
    pub queue_select: u16,
    /// Configuration generation.
    pub generation: u8,
    /// ISR register.
    pub isr: u8,
    /// MSI-X vector of configuration changes; 0xffff = none.
    pub config_vector: u16,
    /// Of each queue.
    pub queue_vectors: Vec<u16>,
    /// By index.
    pub queues: Vec<QueueRegisters>,
    /// BAR (and padding), offset, length of the access window in config space.
    pub window: [u8; 12],
}

/// Restoring takes a fresh device of the same type.
impl Migratable for VirtioPci {
    type State = VirtioPciState;
    type Args = (Box<dyn VirtioDevice>, GuestRam);
    const KIND: &'static str = "virtio-pci";
    const VERSION: u16 = 1;
    const OLDEST: u16 = 1;

    fn save(&self) -> VirtioPciState {
        let inner = self.lock();
        let registers = &inner.registers;
        VirtioPciState {
            device: inner.device.identity().device,
            status: registers.status,
            needs_reset: self.interrupt.is_broken(),
            device_feature_select: registers.device_feature_select,
            driver_feature_select: registers.driver_feature_select,
            driver_features: registers.driver_features,
            queue_select: registers.queue_select,
            generation: self.interrupt.generation(),
            isr: self.interrupt.isr(),
            config_vector: self.interrupt.config_vector(),
            queue_vectors: (0..)
                .zip(&registers.queues)
                .map(|(index, _)| self.interrupt.queue_vector(index))
                .collect(),
            queues: registers.queues.clone(),
            window: inner.window,
        }
    }

    fn restore((device, ram): Self::Args, state: VirtioPciState) -> Result<Self, StateError> {
        let restored = Self::new(device, ram).map_err(|error| invalid("device", error))?;
        let mut inner = restored.lock();
        check(&state, &inner, &restored.sizes)?;
        inner.paused = true;
        inner.window = state.window;
        let registers = &mut inner.registers;
        registers.status = state.status;
        registers.device_feature_select = state.device_feature_select;
        registers.driver_feature_select = state.driver_feature_select;
        registers.driver_features = state.driver_features;
        registers.queue_select = state.queue_select;
        registers.queues = state.queues;
        let interrupt = &restored.interrupt;
        interrupt.load(state.isr, state.generation, state.needs_reset);
        interrupt.set_config_vector(state.config_vector);
        for (index, vector) in (0..).zip(&state.queue_vectors) {
            interrupt.set_queue_vector(index, *vector);
        }
        drop(inner);
        Ok(restored)
    }
}

fn check(state: &VirtioPciState, inner: &Inner, sizes: &[u16]) -> Result<(), StateError> {
    let here = inner.device.identity().device;
    if state.device != here {
        return Err(invalid("device", format_args!("{}, here is {here}", state.device)));
    }
    if state.status & !status::DRIVERS != 0 {
        return Err(invalid("status", state.status));
    }
    let negotiated = state.status & status::FEATURES_OK != 0;
    if negotiated && !acceptable(state.driver_features, inner.device.as_ref()) {
        return Err(invalid("driver_features", format_args!("{:#x}", state.driver_features)));
    }
    if state.status & status::DRIVER_OK != 0 && !negotiated {
        return Err(invalid("status", state.status));
    }
    if state.isr & !ISR_BITS != 0 {
        return Err(invalid("isr", state.isr));
    }
    if state.queues.len() != sizes.len() || state.queue_vectors.len() != sizes.len() {
        return Err(invalid("queues", state.queues.len()));
    }
    for (queue, most) in state.queues.iter().zip(sizes) {
        if !queue.size.is_power_of_two() || queue.size > *most {
            return Err(invalid("queues.size", queue.size));
        }
    }
    let vectors = [&state.config_vector];
    for vector in state.queue_vectors.iter().chain(vectors) {
        if *vector != NO_VECTOR && usize::from(*vector) > sizes.len() {
            return Err(invalid("vector", vector));
        }
    }
    Ok(())
}

fn invalid(field: &'static str, value: impl std::fmt::Display) -> StateError {
    StateError::Invalid {
        kind: VirtioPci::KIND,
        field,
        value: value.to_string(),
    }
}
