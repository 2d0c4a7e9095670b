//! The reset control register at port 0xcf9, in the middle of the PCI config ports.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use caraway_base::{
    bus::{BusDevice, Outcome},
    lifecycle::Lifecycle,
    state::{Migratable, StateError},
};

/// Port of the register, for the FADT.
pub const RESET_PORT: u16 = 0xcf9;
/// Value that resets, for the FADT: system reset, now.
pub const RESET_VALUE: u8 = 0x06;

const OFFSET: u64 = 1;
/// A reset happens when this bit is written.
const RESET_CPU: u8 = 1 << 2;
/// What reads back: hard or soft, and full reset.
const STORED: u8 = 1 << 1 | 1 << 3;

/// Ports 0xcf8 to 0xcff: byte accesses to 0xcf9 are the reset control register, everything else goes to the PCI config
/// ports.
pub struct ResetControl {
    config_ports: Arc<dyn BusDevice>,
    value: AtomicU8,
}

impl std::fmt::Debug for ResetControl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResetControl")
            .field("value", &self.value)
            .finish_non_exhaustive()
    }
}

impl ResetControl {
    /// Lays the register over the PCI config ports.
    #[must_use]
    pub fn new(config_ports: Arc<dyn BusDevice>) -> Self {
        Self {
            config_ports,
            value: AtomicU8::new(0),
        }
    }
}

impl BusDevice for ResetControl {
    fn read(&self, offset: u64, data: &mut [u8]) {
        match data {
            [byte] if offset == OFFSET => *byte = self.value.load(Ordering::SeqCst),
            _ => self.config_ports.read(offset, data),
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> Outcome {
        match data {
            [byte] if offset == OFFSET => {
                self.value.store(byte & STORED, Ordering::SeqCst);
                if byte & RESET_CPU != 0 {
                    Outcome::Reset
                } else {
                    Outcome::Done
                }
            }
            _ => self.config_ports.write(offset, data),
        }
    }
}

impl Lifecycle for ResetControl {
    fn pause(&self) {}

    fn resume(&self) {}

    fn reset(&self) {
        self.value.store(0, Ordering::SeqCst);
    }
}

impl Migratable for ResetControl {
    type State = u8;
    type Args = Arc<dyn BusDevice>;
    const KIND: &'static str = "reset-control";
    const VERSION: u16 = 1;
    const OLDEST: u16 = 1;

    fn save(&self) -> u8 {
        self.value.load(Ordering::SeqCst)
    }

    fn restore(config_ports: Self::Args, state: u8) -> Result<Self, StateError> {
        let control = Self::new(config_ports);
        control.value.store(state & STORED, Ordering::SeqCst);
        Ok(control)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use caraway_base::migratable_suite;

    use super::*;
    use crate::test_support::{read, write};

    #[derive(Default)]
    struct Ports(Mutex<Vec<(u64, usize)>>);

    impl BusDevice for Ports {
        fn read(&self, _offset: u64, data: &mut [u8]) {
            data.fill(0x11);
        }

        fn write(&self, offset: u64, data: &[u8]) -> Outcome {
            self.0.lock().unwrap().push((offset, data.len()));
            Outcome::Done
        }
    }

    #[test]
    fn the_values_firmware_and_kernels_write_reset() {
        for (value, outcome, stored) in [
            (0x00, Outcome::Done, 0x00),
            (0x02, Outcome::Done, 0x02),
            (0x06, Outcome::Reset, 0x02),
            (0x0a, Outcome::Done, 0x0a),
            (0x0e, Outcome::Reset, 0x0a),
            (0xf4, Outcome::Reset, 0x00),
        ] {
            let control = ResetControl::new(Arc::new(Ports::default()));
            assert_eq!(write(&control, 1, 1, value), outcome, "{value:#x}");
            assert_eq!(read(&control, 1, 1), stored, "{value:#x}");
        }
    }

    #[test]
    fn everything_else_goes_to_the_config_ports() {
        let ports = Arc::new(Ports::default());
        let control = ResetControl::new(ports.clone());
        for (offset, width) in [(0, 4), (1, 2), (0, 1), (2, 1), (4, 4), (5, 1)] {
            assert_eq!(write(&control, offset, width, 0x0606_0606), Outcome::Done);
            assert_eq!(read(&control, offset, width) & 0xff, 0x11);
        }
        assert_eq!(
            *ports.0.lock().unwrap(),
            [(0, 4), (1, 2), (0, 1), (2, 1), (4, 4), (5, 1)]
        );
    }

    migratable_suite!(
        migration,
        ResetControl,
        fresh: ResetControl::new(Arc::new(Ports::default())),
        args: Arc::new(Ports::default()) as Arc<dyn BusDevice>,
        change: |control: &ResetControl| write(control, 1, 1, 2)
    );
}
