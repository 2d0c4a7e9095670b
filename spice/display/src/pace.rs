//! How much a viewer is given at a time.

use std::time::Duration;

use caraway_image::choice::is_slow;

/// Pixels of an item that is read from the canvas, at most: small enough that what follows is never far behind.
const MOST_PIXELS: u64 = 64 * 1024;

/// Pixels of such an item on the slowest link: with fewer, codecs find little to do.
const LEAST_PIXELS: u64 = 1024;

/// How long such an item keeps the link busy: a few of them, on their way and in between, are below what a person who types
/// notices.
const ITEM: Duration = Duration::from_millis(20);

/// How long the images of queued commands may keep the link busy. More than that is sent in parts, as areas of the
/// canvas, so that nothing waits for all of it.
const IMAGES: Duration = Duration::from_millis(100);

/// Bytes of pixels that a queue may have on any link: sending them as areas would be no sooner.
const LEAST_IMAGES: u64 = 16 << 10;

/// Bytes of a message that draws, without images, about.
const COMMAND: u64 = 128;

/// How long queued commands without images may keep the link busy: areas of the canvas in their place take longer.
const COMMANDS: Duration = Duration::from_secs(1);

/// Commands that a queue may have on any link.
const LEAST_COMMANDS: u64 = 64;

/// What a link lets a viewer have at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Pixels in one item that is read from the canvas.
    pub(crate) pixels: u64,
    /// The first picture goes out in one piece.
    pub(crate) whole: bool,
    /// Bytes of pixels in queued commands.
    pub(crate) images: usize,
    /// Queued commands.
    pub(crate) commands: usize,
}

impl Default for Pace {
    /// For a link that is not the slowest part of the way.
    fn default() -> Self {
        Self {
            pixels: MOST_PIXELS,
            whole: true,
            images: usize::MAX,
            commands: usize::MAX,
        }
    }
}

impl Pace {
    /// The same for a link of which nothing is known yet: it may be slow.
    #[must_use]
    pub fn unknown() -> Self {
        Self {
            whole: false,
            ..Self::default()
        }
    }

    /// For a link that delivers so many bits a second, where a thousand bytes of pixels are `permille` bytes of messages.
    #[must_use]
    pub fn of_link(bits_per_second: u64, permille: u32) -> Self {
        let wire = |time: Duration| {
            let bytes = u128::from(bits_per_second) / 8 * time.as_millis() / 1000;
            u64::try_from(bytes).unwrap_or(u64::MAX)
        };
        let pixel_bytes = |wire: u64| wire.saturating_mul(1000) / u64::from(permille.max(1));
        let bounded = |value: u64, least: u64| usize::try_from(value.max(least)).unwrap_or(usize::MAX);
        Self {
            pixels: (pixel_bytes(wire(ITEM)) / 4).clamp(LEAST_PIXELS, MOST_PIXELS),
            whole: !is_slow(bits_per_second),
            images: bounded(pixel_bytes(wire(IMAGES)), LEAST_IMAGES),
            commands: bounded(wire(COMMANDS) / COMMAND, LEAST_COMMANDS),
        }
    }

    /// Pixels of an area that does not wait for larger ones.
    pub(crate) const fn small(&self) -> u64 {
        let half = self.pixels / 2;
        if half > LEAST_PIXELS { half } else { LEAST_PIXELS }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_follows_the_link() {
        // 1 Mbit/s, a third: 20 ms are 2500 bytes of the wire, 7500 of pixels.
        let slow = Pace::of_link(1_000_000, 333);
        assert_eq!((slow.pixels, slow.whole), (1876, false));
        assert_eq!((slow.images, slow.commands), (37_537, 976));
        let fast = Pace::of_link(1_000_000_000, 333);
        assert_eq!((fast.pixels, fast.whole), (MOST_PIXELS, true));
        for link in [0, 1, 8000] {
            let least = Pace::of_link(link, 1000);
            assert_eq!(
                (least.pixels, least.images, least.commands),
                (1024, 16 << 10, 64),
                "{link}"
            );
        }
        assert_eq!(Pace::of_link(u64::MAX, 0).pixels, MOST_PIXELS);
        assert!(slow.small() <= slow.pixels && Pace::of_link(0, 1000).small() == 1024);
    }
}
