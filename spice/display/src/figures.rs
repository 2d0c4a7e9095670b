//! What is counted of a viewer.

/// What waits for a viewer now, and what became of commands since it was attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ViewerFigures {
    /// Steps that wait.
    pub waiting: usize,
    /// Bytes they hold.
    pub waiting_bytes: usize,
    /// Pixels that wait to be read from the canvas; those of areas that overlap count for each.
    pub waiting_pixels: u64,
    /// Commands that were not sent because later ones hid what they drew.
    pub hidden: u64,
    /// Commands that were not sent because the viewer was behind: their result was.
    pub replaced: u64,
    /// Frames of streams that were not sent because the next one came.
    pub frames_replaced: u64,
    /// How often it fell behind.
    pub fell_behind: u64,
}
