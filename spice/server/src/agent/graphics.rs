//! Which display of the guest is which of the clients', for agents that want to know: GRAPHICS_DEVICE_INFO.

use std::sync::Arc;

use caraway_display::Display;

/// The displays whose place in the guest is known.
pub(crate) struct Graphics(Vec<(Arc<Display>, String)>);

impl Graphics {
    pub(crate) fn new(displays: &[Arc<Display>], addresses: Vec<String>) -> Self {
        Self(displays.iter().cloned().zip(addresses).collect())
    }

    /// The message's body: each head there can be, with its channel and its number there and on the device, and where that
    /// is. `None` if nothing is known.
    pub(crate) fn body(&self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        let mut count: u32 = 0;
        for (channel, (display, address)) in (0_u32..).zip(&self.0) {
            for head in 0..u32::from(display.max_heads()) {
                // With the NUL behind it.
                let length = u32::try_from(address.len() + 1).ok()?;
                for word in [channel, head, head, length] {
                    body.extend(word.to_le_bytes());
                }
                body.extend(address.as_bytes());
                body.push(0);
                count += 1;
            }
        }
        (count > 0).then(|| [&count.to_le_bytes()[..], &body].concat())
    }
}
