//! Register blocks on the port and memory buses.

/// What a write asks the machine to do. A device never holds the machine; it returns what it wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing more.
    Done,
    /// Reset the machine.
    Reset,
    /// Power off in the orderly way (ACPI S5).
    PowerOff,
    /// End with this exit code (the debug-exit port).
    Exit(u8),
    /// The guest reported its own panic.
    GuestPanicked,
}

/// A register block. Called on vCPU threads: a short lock at most, no waiting for clients or disks.
///
/// `offset` counts from the start of the block and `data` never reaches past its end. A read leaves bytes it does not
/// answer as it finds them; the bus fills them with ones beforehand.
pub trait BusDevice: Send + Sync {
    /// The guest reads `data.len()` bytes (1, 2, 4 or 8).
    fn read(&self, offset: u64, data: &mut [u8]);

    /// The guest writes.
    fn write(&self, offset: u64, data: &[u8]) -> Outcome;
}

/// The little-endian value of an access of up to eight bytes.
#[must_use]
pub fn value_of(data: &[u8]) -> u64 {
    data.iter()
        .take(8)
        .rev()
        .fold(0, |value, byte| (value << 8) | u64::from(*byte))
}

/// Stores the low bytes of `value`, little-endian; bytes past the eighth are zero.
pub fn store_value(data: &mut [u8], value: u64) {
    let bytes = value.to_le_bytes();
    for (index, slot) in data.iter_mut().enumerate() {
        *slot = bytes.get(index).copied().unwrap_or(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_round_trip_at_every_width() {
        for width in 1..=8 {
            let value = 0x8877_6655_4433_2211_u64 & (u64::MAX >> (64 - 8 * width));
            let mut data = vec![0; width];
            store_value(&mut data, value);
            assert_eq!(value_of(&data), value);
        }
    }
}
