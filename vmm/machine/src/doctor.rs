//! What this host's KVM can do, measured.

use std::time::Duration;

use crate::kvm::{Kvm, KvmError, probe};

/// How long each measurement runs.
const MEASURE: Duration = Duration::from_millis(100);

/// Ring-0 iterations a second from which on Linux boots: an interpreter is a hundred times slower than this, the slowest
/// virtualisation in hardware ten times faster.
pub const NATIVE_RING0: f64 = 10e6;

/// How guest kernel mode runs here. Figures are iterations of `dec; jnz` a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Ring0 {
    /// On the processor: Linux boots.
    Native { per_second: f64 },
    /// Interpreted: guests made for it run, Linux does not.
    Emulated { per_second: f64 },
}

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speed {
    /// Kernel mode.
    pub ring0: Ring0,
    /// User mode, iterations a second.
    pub ring3: f64,
}

/// Measures kernel and user mode, for about 0.1 s each.
///
/// # Errors
/// When KVM cannot be used; what is printed then says why.
pub fn measure() -> Result<Speed, KvmError> {
    Ok(Speed {
        ring0: measure_ring0()?,
        ring3: probe::loop_speed(&Kvm::open()?, true, MEASURE)?,
    })
}

/// Measures kernel mode only.
///
/// # Errors
/// As [`measure`].
pub fn measure_ring0() -> Result<Ring0, KvmError> {
    let per_second = probe::loop_speed(&Kvm::open()?, false, MEASURE)?;
    Ok(if per_second >= NATIVE_RING0 {
        Ring0::Native { per_second }
    } else {
        Ring0::Emulated { per_second }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_rings_are_measured_within_a_second() {
        let start = std::time::Instant::now();
        let speed = measure().unwrap();
        assert!(start.elapsed() < Duration::from_secs(5));
        let (Ring0::Native { per_second } | Ring0::Emulated { per_second }) = speed.ring0;
        assert!(per_second > 10_000.0, "{speed:?}");
        assert!(speed.ring3 > 1e6, "{speed:?}");
    }
}
