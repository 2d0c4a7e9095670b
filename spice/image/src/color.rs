//! Pixel values: 0xAARRGGBB in a `u32`, which is B, G, R, A in little-endian memory.

/// Widens a 5-bit component so that 0 and 31 become 0 and 255.
#[must_use]
const fn widen_5(value: u32) -> u32 {
    (value << 3) | (value >> 2)
}

/// 0x00RRGGBB of an x1r5g5b5 value; bit 15 is ignored.
#[must_use]
pub const fn from_555(value: u16) -> u32 {
    let value = value as u32;
    (widen_5((value >> 10) & 31) << 16) | (widen_5((value >> 5) & 31) << 8) | widen_5(value & 31)
}

/// 0x00RRGGBB of an r5g6b5 value.
#[must_use]
pub const fn from_565(value: u16) -> u32 {
    let value = value as u32;
    let green = (value >> 5) & 63;
    (widen_5(value >> 11) << 16) | (((green << 2) | (green >> 4)) << 8) | widen_5(value & 31)
}

/// The x1r5g5b5 value nearest below a 0xxxRRGGBB one; the exact inverse of [`from_555`] on its results.
#[must_use]
pub const fn to_555(value: u32) -> u16 {
    (((value >> 9) & 0x7c00) | ((value >> 6) & 0x03e0) | ((value >> 3) & 0x001f)) as u16
}

/// The r5g6b5 value nearest below a 0xxxRRGGBB one; the exact inverse of [`from_565`] on its results.
#[must_use]
pub const fn to_565(value: u32) -> u16 {
    (((value >> 8) & 0xf800) | ((value >> 5) & 0x07e0) | ((value >> 3) & 0x001f)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrow_formats_survive_widening() {
        for value in 0..=u16::MAX {
            assert_eq!(to_555(from_555(value)), value & 0x7fff);
            assert_eq!(to_565(from_565(value)), value);
        }
        assert_eq!(from_555(0x7fff), 0xff_ffff);
        assert_eq!(from_565(0x07e0), 0x00_ff00);
    }
}
