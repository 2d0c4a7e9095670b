//! GRAPHICS_DEVICE_INFO.

use crate::error::Result;
use crate::wire::Reader;

/// Where a display of the client's is in the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphicsDevice {
    /// The display channel.
    pub channel: u32,
    /// The monitor within the channel.
    pub monitor: u32,
    /// The output of the device.
    pub output: u32,
    /// The device: `pci/DDDD/SS.F`, with more `/SS.F` behind bridges.
    pub address: String,
}

/// Displays in a message; a client has no more.
const MOST: u32 = 256;
/// Bytes of an address.
const MOST_ADDRESS: u32 = 256;

impl GraphicsDevice {
    pub(super) fn decode_all(reader: &mut Reader<'_>) -> Result<Vec<Self>> {
        let count = reader.u32("count")?;
        if count > MOST {
            return Err(reader.unexpected("count", "at most 256", count));
        }
        reader.items("devices", count, 16, |reader| {
            let (channel, monitor, output) = (
                reader.u32("channel_id")?,
                reader.u32("monitor_id")?,
                reader.u32("device_display_id")?,
            );
            let length = reader.u32("device_address_len")?;
            if length > MOST_ADDRESS {
                return Err(reader.unexpected("device_address_len", "at most 256", length));
            }
            let address = reader.text("device_address", length)?;
            Ok(Self {
                channel,
                monitor,
                output,
                address,
            })
        })
    }

    pub(super) fn encode_all(devices: &[Self], out: &mut Vec<u8>) {
        super::words(out, &[u32::try_from(devices.len()).unwrap_or(u32::MAX)]);
        for device in devices {
            let length = u32::try_from(device.address.len() + 1).unwrap_or(u32::MAX);
            super::words(out, &[device.channel, device.monitor, device.output, length]);
            out.extend_from_slice(device.address.as_bytes());
            out.push(0);
        }
    }
}
