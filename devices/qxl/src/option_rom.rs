//! The expansion ROM: a VGA BIOS for guests that boot the way PCs did (ABI 1, VGA 14).

use caraway_base::memory::SharedMemory;

use crate::QxlError;

/// Bytes of the expansion ROM's BAR.
pub(crate) const OPTION_ROM_SIZE: u64 = 64 << 10;
/// The first two bytes of a PC's option ROM.
const SIGNATURE: [u8; 2] = [0x55, 0xaa];
/// Unit of the length in the third byte.
const BLOCK: usize = 512;

/// What the expansion ROM of a device holds.
#[derive(Clone, Debug)]
pub struct OptionRom(SharedMemory);

impl OptionRom {
    /// The ROM with this image.
    ///
    /// # Errors
    /// When it is not an option ROM, is shorter than it says or larger than 64 KiB, or the host has no memory.
    pub fn new(image: &[u8]) -> Result<Self, QxlError> {
        let refuse = |reason| Err(QxlError::OptionRom { reason });
        if image.len() as u64 > OPTION_ROM_SIZE {
            return refuse("it is larger than 64 KiB");
        }
        match image {
            [first, second, blocks, ..] if [*first, *second] == SIGNATURE => {
                if usize::from(*blocks) * BLOCK > image.len() {
                    return refuse("it ends before the length in its third byte");
                }
            }
            _ => return refuse("it does not start with 55 aa"),
        }
        let memory = SharedMemory::allocate("qxl-option-rom", OPTION_ROM_SIZE)?;
        memory.write(0, image)?;
        Ok(Self(memory))
    }

    pub(crate) const fn memory(&self) -> &SharedMemory {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_that_cannot_be_are_refused_with_a_reason() {
        let reason = |image: &[u8]| OptionRom::new(image).unwrap_err().to_string();
        assert!(reason(b"").contains("55 aa"));
        assert!(reason(&[0x55, 0xaa]).contains("55 aa"));
        assert!(reason(&[0x55, 0xaa, 2, 0]).contains("third byte"));
        assert!(reason(&[0; 65537]).contains("64 KiB"));
        let mut image = vec![0; 1024];
        image[..3].copy_from_slice(&[0x55, 0xaa, 2]);
        let rom = OptionRom::new(&image).unwrap();
        assert_eq!(rom.memory().size(), OPTION_ROM_SIZE);
        assert_eq!(rom.memory().read_vec(0, 3).unwrap(), [0x55, 0xaa, 2]);
    }
}
