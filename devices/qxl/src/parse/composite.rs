//! Composite drawables (ABI 11.3).

use caraway_ports::{
    drawing::{Composite, DrawOp, Image, Transform},
    geometry::{Point, Rect},
    layout,
};

use super::{
    Fields, Guest, Malformed,
    drawable::{Frame, SurfaceSizes},
};

/// The repeat mode of the source among the flags.
const SOURCE_REPEAT: u32 = 3 << 14;

pub(super) fn composite(
    guest: &mut Guest<'_>,
    fields: &mut Fields<'_>,
    frame: &Frame<'_, impl SurfaceSizes>,
) -> Result<DrawOp, Malformed> {
    let flags = layout::composite_flags(fields.u32()?)?;
    let src = fields.u64()?;
    let src_transform = transform(guest, fields.u64()?)?;
    let mask = match fields.u64()? {
        0 => None,
        address => Some(guest.picture(address, frame.surfaces)?),
    };
    let mask_transform = transform(guest, fields.u64()?)?;
    let (src_origin, mask_origin) = (fields.point16()?, fields.point16()?);
    let plain = src_transform.is_none() && flags & SOURCE_REPEAT == 0;
    let (src, src_origin) = match (src, frame.self_area) {
        (0, Some(self_area)) if plain => own_content(&self_area, src_origin, frame)?,
        (address, _) => (guest.picture(address, frame.surfaces)?, src_origin),
    };
    Ok(DrawOp::Composite(Box::new(Composite {
        flags,
        src,
        src_transform,
        mask,
        mask_transform,
        src_origin,
        mask_origin,
    })))
}

/// The destination as the source, where that is the same as a copy of the area.
fn own_content(
    self_area: &Rect,
    origin: Point,
    frame: &Frame<'_, impl SurfaceSizes>,
) -> Result<(Image, Point), Malformed> {
    let image = frame.own_image(self_area)?;
    Ok((image, layout::own_composite_origin(self_area, origin, &frame.bbox)?))
}

fn transform(guest: &Guest<'_>, address: u64) -> Result<Option<Transform>, Malformed> {
    if address == 0 {
        return Ok(None);
    }
    let bytes: [u8; 24] = guest.read(address, 0)?;
    Ok(Some(layout::transform(&bytes)?))
}
