//! The mode table of the ROM (ABI 3.2).

/// Width and height, in the order of the ABI's list.
const RESOLUTIONS: [(u16, u16); 37] = [
    (640, 480),
    (800, 480),
    (800, 600),
    (832, 624),
    (960, 640),
    (1024, 600),
    (1024, 768),
    (1152, 864),
    (1152, 870),
    (1280, 720),
    (1280, 760),
    (1280, 768),
    (1280, 800),
    (1280, 960),
    (1280, 1024),
    (1360, 768),
    (1366, 768),
    (1400, 1050),
    (1440, 900),
    (1600, 900),
    (1600, 1200),
    (1680, 1050),
    (1920, 1080),
    (1920, 1200),
    (1920, 1440),
    (2000, 2000),
    (2048, 1536),
    (2048, 2048),
    (2560, 1440),
    (2560, 1600),
    (2560, 2048),
    (2800, 2100),
    (3200, 2400),
    (3840, 2160),
    (4096, 2160),
    (7680, 4320),
    (8192, 4320),
];

/// One entry of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mode {
    /// Position in the full list, so not contiguous where modes do not fit.
    pub(crate) id: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// 16 or 32.
    pub(crate) bits: u32,
    pub(crate) orientation: u32,
}

impl Mode {
    pub(crate) const fn stride(&self) -> u32 {
        self.width * self.bits / 8
    }

    /// The 32 bytes of the entry.
    pub(crate) fn words(&self) -> [u32; 8] {
        [
            self.id,
            self.width,
            self.height,
            self.bits,
            self.stride(),
            millimetres(self.width),
            millimetres(self.height),
            self.orientation,
        ]
    }
}

/// The modes whose pixels fit into `vgamem` bytes.
pub(crate) fn modes(vgamem: u64) -> impl Iterator<Item = Mode> {
    (0..).zip(RESOLUTIONS).flat_map(move |(index, (width, height))| {
        (0..)
            .zip([(16, 0), (32, 0), (16, 1), (32, 1)])
            .map(move |(variant, (bits, orientation))| Mode {
                id: 4 * index + variant,
                width: u32::from(width),
                height: u32::from(height),
                bits,
                orientation,
            })
            .filter(move |mode| u64::from(mode.height) * u64::from(mode.stride()) <= vgamem)
    })
}

/// The listed mode with this id.
pub(crate) fn find(vgamem: u64, id: u32) -> Option<Mode> {
    modes(vgamem).find(|mode| mode.id == id)
}

/// Size of `pixels` at 0.2936875 mm each, rounded down.
fn millimetres(pixels: u32) -> u32 {
    u32::try_from(u64::from(pixels) * 2_936_875 / 10_000_000).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_modes_follows_the_draw_area() {
        let count = |mib: u64| modes(mib << 20).count();
        assert_eq!(count(16), 128);
        assert_eq!(count(256), 148);
        assert!(modes(8 << 20).all(|mode| u64::from(mode.height * mode.stride()) <= 8 << 20));
        let largest = |mib: u64| modes(mib << 20).filter(|mode| mode.bits == 32).last().unwrap();
        assert_eq!((largest(16).width, largest(16).height), (2560, 1600));
        assert_eq!((largest(32).width, largest(32).height), (3840, 2160));
        assert_eq!((largest(64).width, largest(64).height), (4096, 2160));
        assert_eq!((largest(128).width, largest(128).height), (7680, 4320));
    }

    #[test]
    fn skipped_modes_keep_the_ids_of_the_others() {
        let ids: Vec<u32> = modes(16 << 20).map(|mode| mode.id).collect();
        assert_eq!(ids[..120], (0..120).collect::<Vec<_>>());
        assert_eq!(ids[120..], [120, 122, 124, 126, 128, 130, 132, 134]);
    }
}
