//! What a decoder may produce.

/// Bounds on a decoded image, checked against its header before memory is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most pixels across.
    pub max_width: u32,
    /// Most rows.
    pub max_height: u32,
    /// Most pixels in all; a decoded pixel takes at most four bytes.
    pub max_pixels: u64,
}

impl Default for Limits {
    /// 64 Mi pixels in any shape whose sides stay below 2^20.
    fn default() -> Self {
        Self {
            max_width: 1 << 20,
            max_height: 1 << 20,
            max_pixels: 1 << 26,
        }
    }
}

impl Limits {
    /// Whether an image of this size may be decoded.
    #[must_use]
    pub const fn allow(&self, width: u32, height: u32) -> bool {
        width <= self.max_width && height <= self.max_height && width as u64 * height as u64 <= self.max_pixels
    }

    /// Only images of just this size.
    #[must_use]
    pub const fn exactly(width: u32, height: u32) -> Self {
        Self {
            max_width: width,
            max_height: height,
            max_pixels: width as u64 * height as u64,
        }
    }
}
