//! The ROM behind BAR 2 (ABI 3).

use caraway_base::memory::SharedMemory;
pub use caraway_ports::display::CLIENT_CAPABILITY_BYTES;

use crate::{
    modes::modes,
    monitors::ClientHead,
    sizes::{QxlSizes, SURFACE_COUNT},
};

/// Bytes of BAR 2.
pub(crate) const ROM_SIZE: u64 = 8192;
/// Where the mode table starts.
const MODES_OFFSET: u32 = 1160;
const UPDATE_ID: u64 = 0x08;
const MODE: u64 = 0x14;
const CLIENT_PRESENT: u64 = 0x45;
const CLIENT_CAPABILITIES: u64 = 0x46;
pub(crate) const CLIENT_MONITORS_CRC: u64 = 0x80;
pub(crate) const CLIENT_MONITORS: u64 = 0x84;
/// Bytes of the client monitors block: count, padding and 64 rectangles.
pub(crate) const CLIENT_MONITORS_SIZE: usize = 1028;

/// What the guest reads, and the master copy it is restored from at a reset. What describes the client survives a
/// reset: it says nothing about the guest.
#[derive(Debug)]
pub(crate) struct Rom {
    memory: SharedMemory,
    index: u32,
    sizes: QxlSizes,
    update_id: u32,
    mode: u32,
    client: ClientBlock,
    #[cfg(feature = "misbehave")]
    pub(crate) lies: Vec<crate::misbehave::Lie>,
}

/// The part of the ROM that follows the connected clients.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct ClientBlock {
    present: bool,
    capabilities: Vec<u8>,
    heads: Vec<ClientHead>,
}

impl Default for ClientBlock {
    fn default() -> Self {
        Self {
            present: false,
            capabilities: vec![0; CLIENT_CAPABILITY_BYTES],
            heads: Vec::new(),
        }
    }
}

impl ClientBlock {
    #[cfg(feature = "misbehave")]
    pub(crate) const fn is_present(&self) -> bool {
        self.present
    }

    /// Count, padding and the rectangles; unused ones are zero.
    fn monitors(&self) -> Vec<u8> {
        let mut block = Vec::with_capacity(CLIENT_MONITORS_SIZE);
        block.extend(u32::try_from(self.heads.len()).unwrap_or(0).to_le_bytes());
        for head in &self.heads {
            let right = head.x.wrapping_add(head.width);
            let bottom = head.y.wrapping_add(head.height);
            for edge in [head.y, head.x, bottom, right] {
                block.extend(edge.to_le_bytes());
            }
        }
        block.resize(CLIENT_MONITORS_SIZE, 0);
        block
    }
}

impl Rom {
    /// Fills `memory` for device number `index`.
    pub(crate) fn new(memory: SharedMemory, index: u32, sizes: QxlSizes) -> Self {
        let rom = Self {
            memory,
            index,
            sizes,
            update_id: 0,
            mode: 0,
            client: ClientBlock::default(),
            #[cfg(feature = "misbehave")]
            lies: Vec::new(),
        };
        rom.write_all();
        rom
    }

    /// Puts every byte back to its master copy, as at a reset.
    pub(crate) fn restore(&mut self) {
        self.update_id = 0;
        self.write_all();
    }

    pub(crate) fn write_all(&self) {
        let mut image = image(self.index, &self.sizes);
        let block = self.client.monitors();
        for (offset, bytes) in [
            (UPDATE_ID, &self.update_id.to_le_bytes()[..]),
            (MODE, &self.mode.to_le_bytes()),
            (CLIENT_PRESENT, &[u8::from(self.client.present)]),
            (CLIENT_CAPABILITIES, &self.client.capabilities),
            (CLIENT_MONITORS_CRC, &crc(&block).to_le_bytes()),
            (CLIENT_MONITORS, &block),
        ] {
            let start = usize::try_from(offset).unwrap_or(0);
            if let Some(place) = image.get_mut(start..start + bytes.len()) {
                place.copy_from_slice(bytes);
            }
        }
        self.write(0, &image);
    }

    pub(crate) const fn update_id(&self) -> u32 {
        self.update_id
    }

    pub(crate) fn set_update_id(&mut self, id: u32) {
        self.update_id = id;
        self.write(UPDATE_ID, &id.to_le_bytes());
    }

    /// The mode SET_MODE stored last.
    pub(crate) const fn mode(&self) -> u32 {
        self.mode
    }

    /// Stores the number of a mode; it stays there until the next one, whatever becomes of the mode.
    pub(crate) fn set_mode(&mut self, id: u32) {
        self.mode = id;
        self.write(MODE, &id.to_le_bytes());
    }

    /// Capabilities first, presence after. Whether anything changed.
    pub(crate) fn set_client(&mut self, present: bool, capabilities: &[u8; CLIENT_CAPABILITY_BYTES]) -> bool {
        if self.client.present == present && self.client.capabilities == capabilities {
            return false;
        }
        self.client.present = present;
        self.client.capabilities = capabilities.to_vec();
        self.write(CLIENT_CAPABILITIES, capabilities);
        self.write(CLIENT_PRESENT, &[u8::from(present)]);
        true
    }

    /// Rectangles first, checksum last: the guest reads again until they agree. Whether anything changed.
    pub(crate) fn set_client_heads(&mut self, heads: Vec<ClientHead>) -> bool {
        if self.client.heads == heads {
            return false;
        }
        self.client.heads = heads;
        let block = self.client.monitors();
        self.write(CLIENT_MONITORS, &block);
        self.write(CLIENT_MONITORS_CRC, &crc(&block).to_le_bytes());
        true
    }

    pub(crate) const fn client(&self) -> &ClientBlock {
        &self.client
    }

    /// Takes over what a saved device had there.
    pub(crate) fn set_saved(&mut self, update_id: u32, mode: u32, client: ClientBlock) {
        self.update_id = update_id;
        self.mode = mode;
        self.client = client;
        self.client.capabilities.resize(CLIENT_CAPABILITY_BYTES, 0);
        self.client.heads.truncate(crate::monitors::MAX_HEADS);
        self.write_all();
    }

    fn write(&self, offset: u64, bytes: &[u8]) {
        if let Err(error) = self.memory.write(offset, bytes) {
            tracing::error!(%error, "the ROM is smaller than its contents");
        }
        #[cfg(feature = "misbehave")]
        self.lies.iter().for_each(|lie| lie.tell(&self.memory));
    }
}

/// The ROM without a client.
fn image(index: u32, sizes: &QxlSizes) -> Vec<u8> {
    let word = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    let mut rom = b"QXRO".to_vec();
    let head = [
        index,
        0, // update id
        0, // compression level
        0, // log level
        0, // mode
        MODES_OFFSET,
        word(sizes.pages()),
        word(sizes.vgamem()),
        0, // draw area
        word(sizes.vgamem()),
        word(sizes.ram_header()),
        0, // multimedia clock
        SURFACE_COUNT,
        0, // flags
        0,
    ];
    rom.extend(head.iter().flat_map(|value| value.to_le_bytes()));
    // First and last slot id, generation bits, id bits, generation.
    rom.extend([1, 7, 8, 8, 0]);
    rom.resize(MODES_OFFSET as usize, 0);
    let modes: Vec<_> = modes(sizes.vgamem()).collect();
    rom.extend(u32::try_from(modes.len()).unwrap_or(0).to_le_bytes());
    for mode in modes {
        rom.extend(mode.words().iter().flat_map(|value| value.to_le_bytes()));
    }
    rom.resize(ROM_SIZE as usize, 0);
    rom
}

/// Reflected CRC-32 (0xedb88320) with initial value 0 and no final inversion (ABI 3.1).
pub(crate) fn crc(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 {
                (crc >> 1) ^ 0xedb8_8320
            } else {
                crc >> 1
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rom(index: u32) -> Rom {
        Rom::new(
            SharedMemory::allocate("rom", ROM_SIZE).unwrap(),
            index,
            QxlSizes::default(),
        )
    }

    fn bytes(rom: &Rom, offset: u64, length: u64) -> Vec<u8> {
        rom.memory.read_vec(offset, length).unwrap()
    }

    fn hex(text: &str) -> Vec<u8> {
        let digits: String = text.split_whitespace().collect();
        (0..digits.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
            .collect()
    }

    #[test]
    fn the_rom_equals_the_reference_dump() {
        let rom = rom(0);
        let mut expected = hex(
            "5158524f 00000000 00000000 00000000 00000000 00000000 88040000 fe2f0000 00000001 00000000 00000001
             00e0ff03 00000000 00040000 00000000 00000000 0107080800",
        );
        expected.resize(0x488, 0);
        expected.extend(hex("80000000
            00000000 80020000 e0010000 10000000 00050000 bb000000 8c000000 00000000
            01000000 80020000 e0010000 20000000 000a0000 bb000000 8c000000 00000000"));
        assert_eq!(bytes(&rom, 0, expected.len() as u64), expected);
        let last = bytes(&rom, 0x146c, 32);
        assert_eq!(
            last,
            hex("86000000 000f0000 70080000 10000000 001e0000 67040000 7a020000 01000000")
        );
        assert!(bytes(&rom, 0x148c, 0x2000 - 0x148c).iter().all(|byte| *byte == 0));
    }

    #[test]
    fn a_second_device_differs_in_its_id_only() {
        let (mut first, mut second) = (bytes(&rom(0), 0, ROM_SIZE), bytes(&rom(1), 0, ROM_SIZE));
        assert_eq!((first[4], second[4]), (0, 1));
        first[4] = 0;
        second[4] = 0;
        assert_eq!(first, second);
    }

    #[test]
    fn client_monitors_have_the_known_checksum_and_survive_a_restore() {
        let mut rom = rom(0);
        let head = ClientHead {
            x: 0,
            y: 0,
            width: 1024,
            height: 768,
        };
        assert!(rom.set_client_heads(vec![head]));
        assert!(!rom.set_client_heads(vec![head]), "nothing changed the second time");
        let expected = hex("9c14ec3d 01000000 00000000 00000000 00030000 00040000");
        assert_eq!(bytes(&rom, 0x80, 24), expected);
        rom.set_update_id(7);
        rom.restore();
        assert_eq!(bytes(&rom, 0x80, 24), expected);
        assert_eq!(bytes(&rom, 8, 4), [0; 4]);
        assert!(rom.set_client_heads(Vec::new()));
        assert_eq!(bytes(&rom, 0x80, 24), [0; 24]);
    }
}
