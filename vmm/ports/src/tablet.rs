//! Viewer to device: where a person points, on a device that takes places instead of motion.

use std::sync::Arc;

use crate::input::Button;

/// The farthest place on either axis: right or bottom edge. The nearest is 0.
pub const FARTHEST: u16 = 0x7fff;

/// One event. Those that are sent together belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TabletEvent {
    /// From the left edge, 0 to [`FARTHEST`].
    X(u16),
    /// From the top edge, 0 to [`FARTHEST`].
    Y(u16),
    /// A button goes down or up.
    Button { button: Button, down: bool },
    /// Wheel steps, positive = towards the person (down).
    Wheel(i32),
}

/// Told when the guest begins or ceases to use the tablet. Called on any thread; must not block.
pub trait TabletListener: Send + Sync {
    /// [`TabletSink::is_present`] may say something else now.
    fn presence_changed(&self);
}

/// The tablet of one machine. Never blocks; any thread may call.
pub trait TabletSink: Send + Sync {
    /// Whether the guest has a driver for it. Without one, what is sent is dropped.
    fn is_present(&self) -> bool;

    /// Queues what happened at once. When the guest is slow, places are merged into the last one; presses and releases
    /// are not, as long as the queue has room, and in the end the guest knows which buttons are down.
    fn send(&self, events: &[TabletEvent]);

    /// Asks to be told about changes of presence for as long as the `Arc` is alive elsewhere.
    fn watch_presence(&self, listener: Arc<dyn TabletListener>);
}

/// The place of pixel `at` on an axis of `size` pixels, the first pixel at 0 and the last at [`FARTHEST`]; what lies behind
/// the last is there.
///
/// As QEMU's `at * 0x7fff / (size - 1)`, but rounded up: so a guest gets the same pixel back up to a size of 16384, whether
/// it takes the axis for 32767 steps between the first and the last pixel, rounding down or to the nearest, or for 32768
/// places on all pixels, as libinput and the X server do.
#[must_use]
pub fn place(at: u32, size: u32) -> u16 {
    let last = u64::from(size.saturating_sub(1));
    let at = u64::from(at).min(last);
    let place = (at * u64::from(FARTHEST)).div_ceil(last.max(1));
    u16::try_from(place).unwrap_or(FARTHEST)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every way a guest may take to a pixel.
    fn assert_gives_back(at: u32, size: u32) {
        let place = u32::from(place(at, size));
        assert!(place <= FARTHEST.into());
        // libinput and the X server.
        assert_eq!(place * size / 0x8000, at, "pixel {at} of {size}, 32768 places");
        let steps = place * (size - 1);
        assert_eq!(steps / 0x7fff, at, "pixel {at} of {size}, 32767 steps");
        assert_eq!(
            (2 * steps + 0x7fff) / 0xfffe,
            at,
            "pixel {at} of {size}, to the nearest"
        );
    }

    #[test]
    fn edges_are_the_ends_of_the_axis_and_what_lies_beyond_is_at_the_end() {
        for size in [2, 3, 640, 1000, 1366, 8192] {
            assert_eq!((place(0, size), place(size - 1, size)), (0, FARTHEST));
            assert_eq!((place(size, size), place(u32::MAX, size)), (FARTHEST, FARTHEST));
        }
        assert_eq!(place(512, 1024), 0x4010);
        for size in [0, 1] {
            assert_eq!((place(0, size), place(7, size)), (0, 0));
        }
        assert_eq!((place(0, u32::MAX), place(u32::MAX, u32::MAX)), (0, FARTHEST));
    }

    #[test]
    fn every_pixel_of_common_sizes_is_given_back() {
        for size in [
            1, 2, 3, 600, 720, 768, 800, 900, 1000, 1050, 1080, 1366, 1920, 2160, 3840, 8191, 8192,
        ] {
            for at in 0..size {
                assert_gives_back(at, size);
            }
        }
    }

    proptest! {
        #[test]
        fn every_pixel_of_every_size_is_given_back(size in 1_u32..=8192, part in 0.0..1.0) {
            assert_gives_back((f64::from(size) * part) as u32, size);
        }
    }
}
