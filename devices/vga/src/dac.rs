//! The DAC: 256 colours, written and read three components at a time.

use serde::{Deserialize, Serialize};

/// Bytes of the palette: red, green, blue of each colour.
pub(crate) const PALETTE_BYTES: usize = 3 * 256;

/// What 0x3c7 reads after a read index was set, and after a write index was.
const READING: u8 = 3;
const WRITING: u8 = 0;

/// Registers 0x3c6 to 0x3c9.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Dac {
    #[serde(with = "crate::array")]
    palette: [u8; PALETTE_BYTES],
    mask: u8,
    state: u8,
    component: u8,
    read_index: u8,
    write_index: u8,
    collected: [u8; 3],
}

impl Dac {
    pub(crate) const fn new() -> Self {
        Self {
            palette: [0; PALETTE_BYTES],
            mask: 0xff,
            state: WRITING,
            component: 0,
            read_index: 0,
            write_index: 0,
            collected: [0; 3],
        }
    }

    pub(crate) fn read(&mut self, port: u16) -> u8 {
        match port {
            0x3c6 => self.mask,
            0x3c7 => self.state,
            0x3c8 => self.write_index,
            _ => {
                let at = usize::from(self.read_index) * 3 + usize::from(self.component);
                let value = self.palette.get(at).copied().unwrap_or(0);
                if self.next_component() {
                    self.read_index = self.read_index.wrapping_add(1);
                }
                value
            }
        }
    }

    pub(crate) fn write(&mut self, port: u16, value: u8) {
        match port {
            0x3c6 => self.mask = value,
            0x3c7 => {
                self.read_index = value;
                self.component = 0;
                self.state = READING;
            }
            0x3c8 => {
                self.write_index = value;
                self.component = 0;
                self.state = WRITING;
            }
            _ => {
                if let Some(slot) = self.collected.get_mut(usize::from(self.component)) {
                    *slot = value;
                }
                if self.next_component() {
                    let at = usize::from(self.write_index) * 3;
                    if let Some(colour) = self.palette.get_mut(at..at + 3) {
                        colour.copy_from_slice(&self.collected);
                    }
                    self.write_index = self.write_index.wrapping_add(1);
                }
            }
        }
    }

    /// Goes on to the next component; true when that was the last one.
    const fn next_component(&mut self) -> bool {
        self.component = (self.component + 1) % 3;
        self.component == 0
    }

    /// Colour `index` as 0x00rrggbb, after the PEL mask. Components are of 6 bits unless `eight_bit`.
    pub(crate) fn colour(&self, index: u8, eight_bit: bool) -> u32 {
        let at = usize::from(index & self.mask) * 3;
        let component = |offset| {
            let value = self.palette.get(at + offset).copied().unwrap_or(0);
            if eight_bit { value } else { expand(value) }
        };
        u32::from_be_bytes([0, component(0), component(1), component(2)])
    }

    /// A field that no guest can have made so.
    pub(crate) fn impossible(&self) -> Option<(&'static str, u8)> {
        if !matches!(self.state, READING | WRITING) {
            return Some(("DAC state", self.state));
        }
        (self.component > 2).then_some(("DAC component", self.component))
    }
}

/// Six bits to eight: the upper two are repeated below, so that 0 stays 0 and 0x3f becomes 0xff.
const fn expand(value: u8) -> u8 {
    let value = value & 0x3f;
    value << 2 | value >> 4
}
