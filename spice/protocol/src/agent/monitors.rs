//! MONITORS_CONFIG.

use crate::error::Result;
use crate::main_channel::AgentMonitor;
use crate::wire::Reader;

/// Monitors a client wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MonitorsConfig {
    /// Whether the places of the monitors mean something.
    pub has_places: bool,
    /// By their number if the agent can have them so; those that are off have no size.
    pub monitors: Vec<AgentMonitor>,
}

/// Places are valid.
const USE_POS: u32 = 1;
/// Sizes on a desk follow.
const PHYSICAL_SIZE: u32 = 2;

impl MonitorsConfig {
    /// What `reader` is at.
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self> {
        let count = reader.u32("num_of_monitors")?;
        let flags = reader.u32("flags")?;
        if count > AgentMonitor::MOST {
            return Err(reader.unexpected("num_of_monitors", "at most 256", count));
        }
        let monitors = reader.items("monitors", count, 20, |reader| {
            // The height comes first.
            let (height, width) = (reader.u32("height")?, reader.u32("width")?);
            Ok(AgentMonitor {
                width,
                height,
                depth: reader.u32("depth")?,
                x: reader.i32("x")?,
                y: reader.i32("y")?,
            })
        })?;
        if flags & PHYSICAL_SIZE != 0 {
            reader.items("physical_size", count, 4, |reader| reader.u32("mm"))?;
        }
        Ok(Self {
            has_places: flags & USE_POS != 0,
            monitors,
        })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let count = u32::try_from(self.monitors.len()).unwrap_or(u32::MAX);
        super::words(out, &[count, if self.has_places { USE_POS } else { 0 }]);
        for monitor in &self.monitors {
            super::words(out, &[monitor.height, monitor.width, monitor.depth]);
            out.extend_from_slice(&monitor.x.to_le_bytes());
            out.extend_from_slice(&monitor.y.to_le_bytes());
        }
    }
}
