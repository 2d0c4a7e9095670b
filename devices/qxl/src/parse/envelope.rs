//! The part of a drawable before its payload (ABI 11.1), and the one it had before there were surfaces (ABI 17).

use caraway_ports::geometry::Rect;

use super::{Fields, Guest, Malformed};

/// Bytes of a drawable, in the larger layout.
pub(super) const SIZE: usize = 191;
/// Bytes of a drawable in the compatibility layout.
const COMPAT_SIZE: usize = 128;
/// In place of the id of a surface that is read.
const NO_SURFACE: i32 = -1;

/// What drawables of every type and layout say.
pub(super) struct Envelope<'a> {
    /// The surface drawn on.
    pub(super) surface: u32,
    /// The type.
    pub(super) kind: u8,
    /// The part of the destination that is the source where the source is absent.
    pub(super) self_area: Option<Rect>,
    pub(super) bbox: Rect,
    /// Type and address.
    pub(super) clip: (u32, u64),
    pub(super) mm_time: u32,
    /// Other surfaces that are read; an id no surface has is as large as possible.
    pub(super) reads: [Option<u32>; 3],
    /// What the type says about the rest.
    pub(super) payload: Fields<'a>,
}

impl<'a> Envelope<'a> {
    /// Copies the drawable at `address` into `bytes`, once, and reads its first part.
    pub(super) fn read(guest: &Guest<'_>, address: u64, bytes: &'a mut [u8; SIZE]) -> Result<Self, Malformed> {
        if guest.layout().is_compat() {
            let copy: [u8; COMPAT_SIZE] = guest.read(address, 0)?;
            let (start, _) = bytes.split_at_mut(COMPAT_SIZE);
            start.copy_from_slice(&copy);
            Self::compat(start)
        } else {
            *bytes = guest.read(address, 0)?;
            Self::native(bytes)
        }
    }

    fn native(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut fields = Fields::new("drawable", bytes);
        fields.skip(8)?; // release info
        let surface = fields.u32()?;
        fields.skip(1)?; // effect, a hint
        let kind = fields.u8()?;
        let self_bitmap = fields.u8()? != 0;
        let self_area = fields.rect()?;
        let bbox = fields.rect()?;
        let clip = (fields.u32()?, fields.u64()?);
        let mm_time = fields.u32()?;
        let mut reads = [None; 3];
        for read in &mut reads {
            *read = match fields.i32()? {
                NO_SURFACE => None,
                id => Some(u32::try_from(id).unwrap_or(u32::MAX)),
            };
        }
        fields.skip(3 * 16)?; // which areas of them
        Ok(Self {
            surface,
            kind,
            self_area: self_bitmap.then_some(self_area),
            bbox,
            clip,
            mm_time,
            reads,
            payload: fields,
        })
    }

    /// There is one surface. Any offset of a self bitmap means that there is one: the source is the only image it can
    /// stand for.
    fn compat(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut fields = Fields::new("compat drawable", bytes);
        fields.skip(8 + 1)?; // release info, effect
        let kind = fields.u8()?;
        let bitmap_offset = fields.u16()?;
        let self_area = fields.rect()?;
        Ok(Self {
            surface: 0,
            kind,
            self_area: (bitmap_offset != 0).then_some(self_area),
            bbox: fields.rect()?,
            clip: (fields.u32()?, fields.u64()?),
            mm_time: fields.u32()?,
            reads: [None; 3],
            payload: fields,
        })
    }
}
