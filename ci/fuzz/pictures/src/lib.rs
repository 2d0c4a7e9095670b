//! What must hold whatever bytes an image decoder is given, and whatever is drawn on a canvas.
//!
//! A decoder's target is given a stream as the wire carries it. It fails when anything panics or overflows, when the
//! picture is not of the announced size, when more memory is taken than [`BUDGET`], or when what the encoder makes of the
//! decoded picture does not decode to the same picture. The canvas' target is given a program of drawings.
#![forbid(unsafe_code)]

mod canvas;
mod codecs;
mod input;

use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Most pixels a decoder may give here.
pub const MAX_PIXELS: u64 = 1 << 16;
/// Most bytes that may be taken meanwhile, beyond what there was: the picture with four bytes a pixel a few times over, for
/// what is decoded and encoded and the tables of both.
pub const BUDGET: usize = 8 << 20;

/// Something that is fuzzed.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and that of its folder in the corpora.
    pub name: &'static str,
    run: fn(&[u8]),
    /// How the names of reference streams end that are good seeds.
    pub extension: Option<&'static str>,
}

impl Target {
    /// Gives `data` to the target. Panics when something that must hold does not.
    pub fn run(&self, data: &[u8]) {
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        (self.run)(data);
        let taken = MEMORY.peak_usage().saturating_sub(before);
        assert!(
            taken <= BUDGET,
            "{}: {taken} bytes were taken, {BUDGET} are allowed",
            self.name
        );
    }

    /// Programs this target starts from, besides reference streams.
    #[must_use]
    pub fn seeds(&self) -> Vec<Vec<u8>> {
        if self.name == "canvas" {
            canvas::seeds()
        } else {
            Vec::new()
        }
    }
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target {
        name: "quic",
        run: codecs::quic,
        extension: Some("quic"),
    },
    Target {
        name: "lz",
        run: codecs::lz,
        extension: Some("lz"),
    },
    Target {
        name: "canvas",
        run: canvas::run,
        extension: None,
    },
];

/// The target with this name.
#[must_use]
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().find(|target| target.name == name).copied()
}
