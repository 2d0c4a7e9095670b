//! What can go wrong.

use caraway_image::{bitmap::BitmapError, quic::QuicError};
use caraway_ports::{
    drawing::SurfaceFormat,
    geometry::{Point, Rect},
};
use thiserror::Error;

/// Why a surface was not created. Nothing has changed then.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CreateError {
    /// A side is 0 or too long.
    #[error("surface {id} of {width}x{height} pixels: sides must be 1 to {max}")]
    Size { id: u32, width: u32, height: u32, max: u32 },
    /// The surfaces together would take too much memory.
    #[error("surface {id} needs {needed} bytes, {left} are left")]
    Memory { id: u32, needed: u64, left: u64 },
    /// The host has no memory for it.
    #[error("surface {id} needs {needed} bytes, which the host does not have")]
    HostMemory { id: u32, needed: u64 },
    /// There are too many surfaces.
    #[error("surface {id} is one more than the {max} there may be")]
    Count { id: u32, max: usize },
    /// The first content does not fit the surface.
    #[error("first content of surface {id} has other size or format, or too little data")]
    Content { id: u32 },
}

/// Why a drawable was dropped. Nothing has been drawn then.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DrawError {
    /// The surface drawn on does not exist.
    #[error("no surface {id} to draw on")]
    NoSurface { id: u32 },
    /// The box is inverted or not inside the surface.
    #[error("box {bbox:?} is not inside the surface of {width}x{height} pixels")]
    Box { bbox: Rect, width: u32, height: u32 },
    /// The surface an image names does not exist.
    #[error("no surface {id} to read from")]
    NoSource { id: u32 },
    /// The part of the image is inverted, empty or not inside it.
    #[error("source area {area:?} is not inside the image of {width}x{height} pixels")]
    SourceArea { area: Rect, width: u32, height: u32 },
    /// The box to copy from is not inside the surface.
    #[error("a box of {width}x{height} pixels at {pos:?} is not inside the surface")]
    CopySource { pos: Point, width: u32, height: u32 },
    /// The bitmap is not what it says.
    #[error(transparent)]
    Bitmap(#[from] BitmapError),
    /// The compressed image is not what it says, or too large.
    #[error(transparent)]
    Quic(#[from] QuicError),
    /// The compressed image has another size than its descriptor.
    #[error("QUIC image of {width}x{height} pixels in a descriptor of {expected_width}x{expected_height}")]
    QuicSize {
        width: u32,
        height: u32,
        expected_width: u32,
        expected_height: u32,
    },
    /// The mask is not a 1-bit image.
    #[error("surface of format {format:?} cannot be a mask")]
    MaskFormat { format: SurfaceFormat },
    /// A mask is always sent as it is.
    #[error("a QUIC image cannot be a mask")]
    CompressedMask,
    /// A composite operator that Render does not have, or a disjoint or conjoint one.
    #[error("composite operator {operator} is not supported")]
    Operator { operator: u8 },
    /// The path has more pixels than one drawable may have.
    #[error("path of {pixels} pixels, at most {max} may be drawn at once")]
    Path { pixels: u64, max: u64 },
}
