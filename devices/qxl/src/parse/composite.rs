//! Composite drawables (ABI 11.3).

use caraway_ports::{
    drawing::{Composite, DrawOp, Image, Transform},
    geometry::{Point, Rect},
};

use super::{
    Guest, Malformed,
    drawable::{Frame, SurfaceSizes, check_inside},
    fields::Fields,
};

/// Operator, filters, repeats and component alpha.
const FLAG_BITS: u32 = 0x7_ffff;
/// The repeat mode of the source among the flags.
const SOURCE_REPEAT: u32 = 3 << 14;

pub(super) fn composite(
    guest: &mut Guest<'_>,
    fields: &mut Fields<'_>,
    frame: &Frame<'_, impl SurfaceSizes>,
) -> Result<DrawOp, Malformed> {
    let flags = known_flags(fields.u32()?)?;
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

/// The destination as the source, where that is the same as a copy of the area: the box reads nothing around it. Origins
/// are 16 bits on their way to the viewer too.
fn own_content(
    self_area: &Rect,
    origin: Point,
    frame: &Frame<'_, impl SurfaceSizes>,
) -> Result<(Image, Point), Malformed> {
    let image = frame.own_image(self_area)?;
    let read = Rect::at(origin.x, origin.y, frame.bbox.width(), frame.bbox.height());
    check_inside("composite source", &read, (self_area.width(), self_area.height()))?;
    let moved = read.translate(self_area.left, self_area.top);
    if i16::try_from(moved.left).is_err() || i16::try_from(moved.top).is_err() {
        return Err(Malformed::value("composite origin", i64::from(moved.left)));
    }
    Ok((image, Point::new(moved.left, moved.top)))
}

/// Known operators and filters only (pixman's numbers, 0 to 4); what means nothing is cleared.
fn known_flags(flags: u32) -> Result<u32, Malformed> {
    if !matches!(flags & 0xff, 0x00..=0x0d | 0x30..=0x3e) {
        return Err(Malformed::value("composite operator", flags & 0xff));
    }
    let known_filter = |flags: u32, shift: u32| match flags >> shift & 7 {
        0..=4 => flags,
        _ => flags & !(7 << shift),
    };
    Ok(known_filter(known_filter(flags & FLAG_BITS, 8), 11))
}

fn transform(guest: &Guest<'_>, address: u64) -> Result<Option<Transform>, Malformed> {
    if address == 0 {
        return Ok(None);
    }
    let bytes: [u8; 24] = guest.read(address, 0)?;
    let mut fields = Fields::new("transform", &bytes);
    let mut matrix = [0; 6];
    for element in &mut matrix {
        *element = fields.i32()?;
    }
    let [t00, t01, _, t10, t11, _] = matrix.map(i64::from);
    if t00 * t11 == t01 * t10 {
        return Err(Malformed::value("transform determinant", 0_u8));
    }
    Ok(Some(Transform(matrix)))
}
