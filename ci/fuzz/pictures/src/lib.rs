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
    seeds: Seeds,
}

/// What a target starts from.
#[derive(Clone, Copy, Debug)]
pub enum Seeds {
    /// Reference streams whose names end like this.
    Streams(&'static str),
    /// The same behind their width and height, which are in their names.
    SizedStreams(&'static str),
    /// Programs made here.
    Made(fn() -> Vec<Vec<u8>>),
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

    /// What the target starts from, by itself.
    #[must_use]
    pub fn made_seeds(&self) -> Vec<Vec<u8>> {
        match self.seeds {
            Seeds::Made(make) => make(),
            Seeds::Streams(_) | Seeds::SizedStreams(_) => Vec::new(),
        }
    }

    /// What the target starts from because there is a reference stream called `name` with this content; `None` when it is
    /// of another format.
    #[must_use]
    pub fn stream_seed(&self, name: &str, content: &[u8]) -> Option<Vec<u8>> {
        let (stem, extension) = name.rsplit_once('.')?;
        match self.seeds {
            Seeds::Streams(wanted) => (wanted == extension).then(|| content.to_vec()),
            Seeds::SizedStreams(wanted) if wanted == extension => {
                let size = stem.split('-').find_map(|part| part.split_once('x'));
                let (width, height) = size?;
                let (width, height): (u16, u16) = (width.parse().ok()?, height.parse().ok()?);
                Some([&width.to_le_bytes()[..], &height.to_le_bytes(), content].concat())
            }
            Seeds::SizedStreams(_) | Seeds::Made(_) => None,
        }
    }
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target {
        name: "quic",
        run: codecs::quic,
        seeds: Seeds::Streams("quic"),
    },
    Target {
        name: "lz",
        run: codecs::lz,
        seeds: Seeds::Streams("lz"),
    },
    Target {
        name: "lz4",
        run: codecs::lz4,
        seeds: Seeds::SizedStreams("lz4img"),
    },
    Target {
        name: "glz",
        run: codecs::glz,
        seeds: Seeds::Made(codecs::glz_seeds),
    },
    Target {
        name: "zlib_glz",
        run: codecs::zlib_glz,
        seeds: Seeds::Made(codecs::zlib_glz_seeds),
    },
    Target {
        name: "jpeg",
        run: codecs::jpeg,
        seeds: Seeds::Streams("jpg"),
    },
    Target {
        name: "jpeg_alpha",
        run: codecs::jpeg_alpha,
        seeds: Seeds::Made(codecs::jpeg_alpha_seeds),
    },
    Target {
        name: "canvas",
        run: canvas::run,
        seeds: Seeds::Made(canvas::seeds),
    },
];

/// The target with this name.
#[must_use]
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().find(|target| target.name == name).copied()
}
