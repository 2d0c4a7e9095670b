//! Large pictures in bands of rows: they are encoded at the same time, each by the codec that fits it, and what of them the
//! client has is not sent again.

use caraway_ports::{
    drawing::{Bitmap, BitmapFormat, Clip},
    geometry::Rect,
};

/// Pixels of a band, at least: codecs find enough to do in it, and a few of them keep a few processors busy to the end.
const PIXELS: u64 = 1 << 17;

/// Most parts of a clip of a picture that is cut: every band has those that it shows.
const MOST_PARTS: usize = 16;

/// The bands of a part of a bitmap, from the top; one if it is small, or has pixels of less than two bytes.
pub(super) fn bands(bitmap: &Bitmap, area: &Rect) -> Vec<Rect> {
    let cuts = matches!(
        bitmap.format,
        BitmapFormat::Bit16 | BitmapFormat::Bit24 | BitmapFormat::Bit32 | BitmapFormat::Rgba
    );
    let most = u64::from(area.height());
    let bands = if cuts {
        (area.area() / PIXELS).clamp(1, most.max(1))
    } else {
        1
    };
    // At most the height.
    let rows = u32::try_from(most.div_ceil(bands)).unwrap_or(u32::MAX).max(1);
    (area.top..area.bottom)
        .step_by(rows as usize)
        .map(|top| Rect {
            top,
            bottom: top.saturating_add_unsigned(rows).min(area.bottom),
            ..*area
        })
        .collect()
}

/// Whether what is drawn with a clip may be cut into bands.
pub(super) fn may_cut(clip: &Clip) -> bool {
    match clip {
        Clip::None => true,
        Clip::Rects(rects) => rects.len() <= MOST_PARTS,
    }
}

/// What of a clip a band shows; `None` for nothing.
pub(super) fn clip_of(clip: &Clip, band: &Rect) -> Option<Clip> {
    let Clip::Rects(rects) = clip else {
        return Some(Clip::None);
    };
    let shown = |rect: &&Rect| !rect.intersect(band).is_empty();
    let rects: Vec<Rect> = rects.iter().filter(shown).copied().collect();
    (!rects.is_empty()).then(|| Clip::Rects(rects.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bitmap(format: BitmapFormat, width: u32, height: u32) -> Bitmap {
        Bitmap {
            format,
            width,
            height,
            stride: 0,
            top_down: true,
            palette: None,
            data: bytes::Bytes::new(),
        }
    }

    #[test]
    fn bands_cover_a_picture_once_and_are_none_too_small() {
        for (width, height) in [
            (1920, 1080),
            (1, 1 << 20),
            (1 << 20, 1),
            (640, 409),
            (640, 410),
            (1 << 18, 3),
        ] {
            let area = Rect::at(7, 11, width, height);
            let found = bands(&bitmap(BitmapFormat::Bit32, width, height), &area);
            let mut top = area.top;
            for band in &found {
                assert_eq!((band.top, band.left, band.right), (top, area.left, area.right));
                top = band.bottom;
            }
            assert_eq!(top, area.bottom, "{width}x{height}");
            let most = u64::from(width) * u64::from(height) / PIXELS;
            assert!((1..=most.max(1)).contains(&(found.len() as u64)), "{width}x{height}");
        }
        let count = |format| bands(&bitmap(format, 1920, 1080), &Rect::at(0, 0, 1920, 1080)).len();
        assert_eq!(count(BitmapFormat::Bit16), 15);
        for whole in [BitmapFormat::Bit1Le, BitmapFormat::Bit8, BitmapFormat::Bit8A] {
            assert_eq!(count(whole), 1);
        }
        assert_eq!(bands(&bitmap(BitmapFormat::Bit32, 0, 0), &Rect::default()), []);
    }

    #[test]
    fn a_band_has_what_it_shows_of_the_clip() {
        let band = Rect::at(0, 10, 20, 10);
        let rects = [Rect::at(0, 0, 5, 10), Rect::at(3, 0, 5, 11), Rect::at(9, 19, 1, 30)];
        let shown = clip_of(&Clip::Rects(rects.into()), &band);
        assert_eq!(shown, Some(Clip::Rects(rects[1..].into())));
        assert_eq!(clip_of(&Clip::Rects(rects[..1].into()), &band), None);
        assert_eq!(clip_of(&Clip::None, &band), Some(Clip::None));
        assert!(may_cut(&Clip::Rects(vec![band; 16].into())) && !may_cut(&Clip::Rects(vec![band; 17].into())));
    }
}
