//! Faults of the devices, for tests of guests' drivers.

use caraway_control::{Misbehaviour, QmpError};
use caraway_qxl::Qxl;
use caraway_vdiport::VdiPort;

/// A device that can be told to misbehave.
trait Misbehaves {
    /// Arms a fault.
    fn misbehave(&self, fault: &str, value: i64, count: Option<u32>) -> Result<(), String>;

    /// Ends it.
    fn behave(&self);

    /// How often the last one has acted.
    fn misdeeds(&self) -> u64;
}

impl Misbehaves for Qxl {
    fn misbehave(&self, fault: &str, value: i64, count: Option<u32>) -> Result<(), String> {
        Self::misbehave(self, fault, value, count).map_err(|error| error.to_string())
    }

    fn behave(&self) {
        Self::behave(self);
    }

    fn misdeeds(&self) -> u64 {
        Self::misdeeds(self)
    }
}

impl Misbehaves for VdiPort {
    fn misbehave(&self, fault: &str, value: i64, count: Option<u32>) -> Result<(), String> {
        Self::misbehave(self, fault, value, count).map_err(|error| error.to_string())
    }

    fn behave(&self) {
        Self::behave(self);
    }

    fn misdeeds(&self) -> u64 {
        Self::misdeeds(self)
    }
}

/// Has one of the devices misbehave; how often its last fault has acted.
pub(super) fn misbehave(qxl: &Qxl, vdiport: &VdiPort, misbehaviour: &Misbehaviour) -> Result<u64, QmpError> {
    let device: &dyn Misbehaves = match misbehaviour.device.as_str() {
        "qxl" => qxl,
        "vdiport" => vdiport,
        other => {
            return Err(QmpError::generic(format!(
                "Invalid parameter 'device': {other:?} is none of qxl, vdiport"
            )));
        }
    };
    match misbehaviour.fault.as_deref() {
        None => {}
        Some("none") => device.behave(),
        Some(fault) => device
            .misbehave(fault, misbehaviour.value, misbehaviour.count)
            .map_err(|error| QmpError::generic(format!("Invalid parameter 'fault': {error}")))?,
    }
    Ok(device.misdeeds())
}

#[cfg(test)]
#[path = "misbehave_tests.rs"]
mod tests;
