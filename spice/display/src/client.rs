//! What a client can be sent: by its capabilities, and by what the reference client (spice-gtk) does with it. It ends
//! itself at images it has no conversion for, so a guest could end every viewer.

use caraway_canvas::Canvas;
use caraway_ports::drawing::{BitmapFormat, DrawOp, Drawable, GlyphDepth, ImageData, SurfaceFormat};

use crate::{
    core::ViewerCaps,
    item::{images, mask_of},
};

/// Whether a viewer is told of surfaces of this format. The reference client has no conversion of any image to A1.
pub(crate) const fn takes_surface(format: SurfaceFormat, caps: ViewerCaps) -> bool {
    match format {
        SurfaceFormat::A1 => false,
        SurfaceFormat::A8 => caps.a8_surface,
        _ => true,
    }
}

/// Whether a viewer that is told of the surface drawn on can be sent the command itself, and not only its result.
pub(crate) fn takes_command(drawable: &Drawable, canvas: &Canvas, caps: ViewerCaps) -> bool {
    let operation = match &drawable.op {
        DrawOp::Composite(_) => caps.composite,
        // The reference client reads A8 glyphs from the wrong row.
        DrawOp::Text { depth, .. } => *depth != GlyphDepth::A8,
        _ => true,
    };
    let known = |data: &ImageData| match data {
        ImageData::Surface(id) => canvas.format(*id).is_some_and(|format| takes_surface(format, caps)),
        _ => true,
    };
    // There it makes alpha of colours in a way of its own.
    let colours_on_alpha = canvas.format(drawable.surface) == Some(SurfaceFormat::A8)
        && images(&drawable.op).into_iter().any(|data| match data {
            ImageData::Bitmap(bitmap) => !matches!(bitmap.format, BitmapFormat::Bit8A | BitmapFormat::Rgba),
            ImageData::Quic(_) => true,
            ImageData::Surface(_) => false,
        });
    operation && !colours_on_alpha && images(&drawable.op).into_iter().chain(mask_of(&drawable.op)).all(known)
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
