//! Images of commands as images of the wire.

use caraway_image::pool::each;
use caraway_ports::{
    drawing::{self, Bitmap, BitmapFormat, ImageData, SurfaceFormat},
    geometry::Rect,
};
use caraway_protocol::display::{self, Image, ImageFlags, ServerMessage};
use twox_hash::XxHash3_128;

use super::{
    EncodeError,
    bitmaps::{drawable, expanded, pack, plain, whole, without_unused_bit},
    codecs::{Ask, Codecs, Looks, Plan, Role},
    counts::Codec,
    palettes::Palettes,
    pixmaps::PixmapCache,
};

/// Images of fewer bytes are not worth a place at the client.
const MIN_CACHED: usize = 64;

/// An image that is to be encoded, unless the client has it.
#[derive(Debug)]
struct Prepared {
    cut: Bitmap,
    flags: ImageFlags,
    ask: Ask,
    /// What tells it apart, if the client can keep it.
    content: Option<u128>,
}

/// Bands that could be one image.
struct Together<'b> {
    bitmap: &'b Bitmap,
    area: Rect,
    flags: ImageFlags,
    content: Option<u128>,
}

/// Makes the images of one connection.
#[derive(Debug)]
pub(super) struct Images {
    /// Names of images on the wire are ours; the guest's never leave the host.
    last: u64,
    /// Format of the surface that is drawn on.
    pub(super) target: Option<SurfaceFormat>,
    /// Whether alpha is calculated with.
    pub(super) blends: bool,
    pub(super) codecs: Codecs,
    cache: Option<PixmapCache>,
    pub(super) palettes: Palettes,
}

impl Images {
    pub(super) fn new(codecs: Codecs, cache: Option<PixmapCache>) -> Self {
        Self {
            last: 0,
            target: None,
            blends: false,
            codecs,
            cache,
            palettes: Palettes::new(),
        }
    }

    /// Begins a message.
    pub(super) fn begin(&mut self) {
        if let Some(cache) = &mut self.cache {
            cache.begin();
        }
    }

    /// Ends a message, or so many in a row; what goes before it, the first of it under this serial.
    pub(super) fn commit(&mut self, serial: u64, messages: usize) -> Vec<ServerMessage> {
        self.cache
            .as_mut()
            .map(|cache| cache.commit(serial, messages))
            .unwrap_or_default()
    }

    /// Whether the unused byte of an image becomes a part of the surface.
    fn copies_raw(&self) -> bool {
        self.target == Some(SurfaceFormat::Argb) && !self.blends
    }

    /// An image, whole.
    pub(super) fn image(&mut self, image: &drawing::Image, role: Role) -> Result<Image, EncodeError> {
        match &image.data {
            ImageData::Bitmap(bitmap) => self.bitmap(bitmap, image_flags(image), None, role),
            ImageData::Quic(data) => {
                let data = display::ImageData::Quic(data.clone());
                Ok(self.wrap(image.width, image.height, image_flags(image), data))
            }
            ImageData::Surface(id) => Ok(self.wrap(
                image.width,
                image.height,
                ImageFlags::empty(),
                display::ImageData::Surface(*id),
            )),
        }
    }

    /// The part `area` of an image that is a bitmap, and where it is in the image of the wire.
    pub(super) fn part(
        &mut self,
        image: &drawing::Image,
        bitmap: &Bitmap,
        area: &Rect,
        role: Role,
    ) -> Result<(Image, Rect), EncodeError> {
        let image = self.bitmap(bitmap, image_flags(image), Some(area), role)?;
        let area = Rect::at(0, 0, image.width, image.height);
        Ok((image, area))
    }

    /// Masks go uncompressed, as the protocol demands.
    pub(super) fn mask(&mut self, image: &drawing::Image) -> Result<Image, EncodeError> {
        let ImageData::Bitmap(bitmap) = &image.data else {
            return self.image(image, Role::Other);
        };
        let (data, stride) = pack(bitmap, &whole(bitmap))?;
        let data = plain(bitmap, data, stride);
        Ok(self.wrap(bitmap.width, bitmap.height, ImageFlags::empty(), data))
    }

    /// A bitmap, or the part `area` of it, in the form the client gets it in.
    pub(super) fn bitmap(
        &mut self,
        bitmap: &Bitmap,
        flags: ImageFlags,
        area: Option<&Rect>,
        role: Role,
    ) -> Result<Image, EncodeError> {
        let area = area.copied().unwrap_or_else(|| whole(bitmap));
        let prepared = self.prepared(bitmap, flags, &area, role)?;
        let mut images = self.images(&[prepared], None)?;
        images.pop().ok_or(EncodeError::Bitmap {
            width: bitmap.width,
            height: bitmap.height,
        })
    }

    /// A part of a bitmap as [`Self::bitmap`], in its bands: an image for each, or one for all of them. They belong to one
    /// message, or to several in a row.
    pub(super) fn bands(
        &mut self,
        bitmap: &Bitmap,
        flags: ImageFlags,
        bands: &[Rect],
        role: Role,
    ) -> Result<Vec<Image>, EncodeError> {
        let this = &*self;
        let prepared = each(bands.iter().collect(), |band| this.prepared(bitmap, flags, band, role));
        let prepared: Vec<Prepared> = prepared.into_iter().collect::<Result<_, _>>()?;
        let together = self.together(bitmap, bands, &prepared);
        if let Some(together) = &together
            && let Some(id) = together.content.and_then(|content| self.find(content))
        {
            let around = (together.area.width(), together.area.height());
            return Ok(vec![self.kept(id, together.flags, around)]);
        }
        self.images(&prepared, together.as_ref())
    }

    /// Bands that could be one image: they are below each other, and alike.
    fn together<'b>(&self, bitmap: &'b Bitmap, bands: &[Rect], prepared: &[Prepared]) -> Option<Together<'b>> {
        let first = prepared.first().filter(|_| prepared.len() > 1)?;
        let alike = prepared
            .iter()
            .all(|one| (one.flags, one.ask) == (first.flags, first.ask));
        let below = bands
            .iter()
            .zip(bands.iter().skip(1))
            .all(|(band, next)| band.bottom == next.top);
        let contents: Option<Vec<[u8; 16]>> = prepared.iter().map(|one| Some(one.content?.to_le_bytes())).collect();
        let key = self.cache.as_ref().map_or(0, PixmapCache::key);
        (alike && below).then(|| Together {
            bitmap,
            area: bands.iter().fold(Rect::default(), |all, band| all.union(band)),
            flags: first.flags,
            content: contents.map(|contents| XxHash3_128::oneshot_with_seed(key, contents.as_flattened())),
        })
    }

    /// A part of a bitmap as it is to be encoded.
    fn prepared(
        &self,
        bitmap: &Bitmap,
        mut flags: ImageFlags,
        area: &Rect,
        role: Role,
    ) -> Result<Prepared, EncodeError> {
        let cut = self.cut(bitmap, area)?;
        let mut dropping = true;
        if self.copies_raw() && cut.format == BitmapFormat::Bit32 && !flags.contains(ImageFlags::HIGH_BITS_SET) {
            // Most codecs have no place for the unused byte, and the client makes 0 or 0xff of it.
            let mut unused = cut.data.iter().skip(3).step_by(4);
            if unused.clone().all(|byte| *byte == 0xff) {
                flags |= ImageFlags::HIGH_BITS_SET;
            } else {
                dropping = unused.all(|byte| *byte == 0);
            }
        }
        // What JPEG has in the unused byte is not what is meant.
        let role = match role {
            Role::Photo if self.copies_raw() && cut.format != BitmapFormat::Rgba => Role::Source,
            role => role,
        };
        let ask = Ask {
            role,
            // The client makes full alpha of what 24 bits do not have, but only there.
            lz4: !(self.copies_raw() && cut.format == BitmapFormat::Bit24),
            // It sets the bits in the image that later ones copy from.
            glz: !flags.contains(ImageFlags::HIGH_BITS_SET),
            dropping,
        };
        Ok(Prepared {
            content: self.content(&cut, flags, role),
            cut,
            flags,
            ask,
        })
    }

    /// The pixels of a part of a bitmap, in a format that the client takes for what they are.
    fn cut(&self, bitmap: &Bitmap, area: &Rect) -> Result<Bitmap, EncodeError> {
        let area = area.intersect(&whole(bitmap));
        let (data, stride) = pack(bitmap, &area)?;
        let cut = Bitmap {
            format: bitmap.format,
            width: area.width(),
            height: area.height(),
            stride,
            top_down: true,
            palette: bitmap.palette.clone(),
            data,
        };
        let cut = match self.conversion(cut.format) {
            Some(format) => expanded(&cut, format)?,
            None => cut,
        };
        Ok(if cut.format == BitmapFormat::Bit16 {
            without_unused_bit(cut)
        } else {
            cut
        })
    }

    /// What was prepared as images of the wire: those that the client has are named, the others encoded. If GLZ is for all of
    /// them, and they could be one image, they are.
    fn images(&mut self, prepared: &[Prepared], together: Option<&Together<'_>>) -> Result<Vec<Image>, EncodeError> {
        let mut known = Vec::with_capacity(prepared.len());
        for prepared in prepared {
            known.push(prepared.content.and_then(|content| self.find(content)));
        }
        let missing = prepared.iter().zip(&known).filter(|(_, known)| known.is_none());
        let missing: Vec<&Prepared> = missing.map(|(prepared, _)| prepared).collect();
        if let Some(cache) = self.cache.as_mut().filter(|_| !missing.is_empty()) {
            cache.encodes();
        }
        let codecs = &self.codecs;
        let looks = each(missing.clone(), |prepared| codecs.looks(&prepared.cut));
        let codecs = &mut self.codecs;
        let plan = |(prepared, looks): (&&Prepared, Looks)| codecs.plan(&prepared.cut, looks, prepared.ask);
        let plans: Vec<Plan> = missing.iter().zip(looks).map(plan).collect();
        if let (Some(together), Some(first), Some(plan)) = (together, missing.first(), plans.first())
            && missing.len() == prepared.len()
            && plans.iter().all(Plan::is_glz)
            && self.codecs.has_room(together.area.area())
        {
            // GLZ has threads of its own, and finds more in one image than in several.
            let whole = Prepared {
                cut: self.cut(together.bitmap, &together.area)?,
                flags: together.flags,
                ask: first.ask,
                content: together.content,
            };
            let stream = self.codecs.encode(vec![(&whole.cut, *plan)]).pop().flatten();
            return Ok(vec![self.encoded(&whole, stream)]);
        }
        let asked = missing.iter().zip(plans).map(|(prepared, plan)| (&prepared.cut, plan));
        let mut streams = self.codecs.encode(asked.collect()).into_iter();
        let mut images = Vec::with_capacity(prepared.len());
        for (prepared, known) in prepared.iter().zip(known) {
            images.push(match known {
                Some(id) => self.kept(id, prepared.flags, (prepared.cut.width, prepared.cut.height)),
                None => self.encoded(prepared, streams.next().flatten()),
            });
        }
        Ok(images)
    }

    /// The name of what the client has, to be used now.
    fn find(&mut self, content: u128) -> Option<u64> {
        self.cache.as_mut()?.find(content)
    }

    /// An image that the client has.
    fn kept(&self, id: u64, flags: ImageFlags, (width, height): (u32, u32)) -> Image {
        self.codecs.sent.add(Codec::Cached);
        Image {
            id,
            flags,
            width,
            height,
            data: display::ImageData::FromCache,
        }
    }

    /// An image that is sent with its pixels: their stream, if there is one.
    fn encoded(&mut self, prepared: &Prepared, stream: Option<display::ImageData>) -> Image {
        let Prepared {
            cut,
            flags,
            ask,
            content,
            ..
        } = prepared;
        let mut data = stream.unwrap_or_else(|| drawable(cut));
        if is_decoded(ask.role) {
            self.palettes.refer(&mut data);
        }
        let mut image = self.wrap(cut.width, cut.height, *flags, data);
        if let (Some(content), Some(cache)) = (*content, &mut self.cache)
            && let Some(id) = cache.add(content, u64::from(cut.width) * u64::from(cut.height))
        {
            image.id = id;
            image.flags |= ImageFlags::CACHE_ME;
        }
        image
    }

    /// What the client makes of an image, in short; `None` for one that it need not keep. It depends on the surface and on
    /// what it is drawn with as well: the client has formats of its own.
    fn content(&self, bitmap: &Bitmap, flags: ImageFlags, role: Role) -> Option<u128> {
        let cache = self.cache.as_ref()?;
        // What a photograph has lost is lost for those that must not lose anything, too.
        if role == Role::Photo || !is_decoded(role) || bitmap.data.len() < MIN_CACHED {
            return None;
        }
        let mut hash = XxHash3_128::with_seed(cache.key());
        let target = self.target.map_or(0, |target| target as u8);
        hash.write(&[bitmap.format as u8, flags.bits(), target, u8::from(self.blends)]);
        for word in [bitmap.width, bitmap.height] {
            hash.write(&word.to_le_bytes());
        }
        for entry in bitmap.palette.iter().flat_map(|palette| &palette.entries) {
            hash.write(&entry.to_le_bytes());
        }
        hash.write(&bitmap.data);
        Some(hash.finish_128())
    }

    /// What an image has to become so that the reference client draws what the guest meant. Colours of a palette are
    /// colours for us; it takes them as pixel values of a 555 surface, for ARGB as values with alpha, and for other
    /// surfaces but xRGB not at all. What 16 bits leave of the alpha of an ARGB surface depends on how they are sent. Alpha
    /// alone it takes for alpha surfaces.
    fn conversion(&self, format: BitmapFormat) -> Option<BitmapFormat> {
        let narrow_on_alpha = format == BitmapFormat::Bit16 && self.target == Some(SurfaceFormat::Argb);
        if narrow_on_alpha || format.has_palette() && self.target != Some(SurfaceFormat::Xrgb) {
            return Some(BitmapFormat::Bit32);
        }
        let alpha = format == BitmapFormat::Bit8A && self.target != Some(SurfaceFormat::A8);
        alpha.then_some(BitmapFormat::Rgba)
    }

    fn wrap(&mut self, width: u32, height: u32, flags: ImageFlags, data: display::ImageData) -> Image {
        self.last += 1;
        Image {
            id: self.last,
            flags,
            width,
            height,
            data,
        }
    }
}

/// Whether the client certainly decodes an image, whatever it draws of it: only then it keeps what comes with it. The
/// reference client never decodes some of the others: the tile behind a string whose background is empty.
const fn is_decoded(role: Role) -> bool {
    match role {
        Role::Source | Role::Photo | Role::Operand | Role::Area => true,
        Role::Other => false,
    }
}

/// The high bits count where the guest's image has some: elsewhere the reference client would make them up.
pub(super) fn image_flags(image: &drawing::Image) -> ImageFlags {
    let has_some = match &image.data {
        ImageData::Bitmap(bitmap) => bitmap.format == BitmapFormat::Bit32,
        ImageData::Quic(_) => true,
        ImageData::Surface(_) => false,
    };
    if image.high_bits_set && has_some {
        ImageFlags::HIGH_BITS_SET
    } else {
        ImageFlags::empty()
    }
}
