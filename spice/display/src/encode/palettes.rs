//! The palettes a client keeps.

use std::sync::Arc;

use caraway_ports::drawing::Palette;
use caraway_protocol::display::{Bitmap, ImageData, PALETTE_CACHE_ENTRIES, PaletteRef, ServerMessage};

use super::kept::{Kept, Place};

/// Colours from which on a palette is worth a place at the client: to have one forgotten takes as much as few colours.
const MIN_COLOURS: usize = 16;

/// What the server knows of the palettes of one display channel's client.
#[derive(Debug)]
pub(super) struct Palettes {
    kept: Kept,
    /// To be forgotten after the message.
    evicted: Vec<u64>,
}

impl Palettes {
    pub(super) fn new() -> Self {
        Self {
            kept: Kept::new(PALETTE_CACHE_ENTRIES),
            evicted: Vec::new(),
        }
    }

    /// Names the palette of an image, if it has one, or has the client keep it. Only for images that the client certainly
    /// decodes: it looks at a palette when it does.
    pub(super) fn refer(&mut self, data: &mut ImageData) {
        let (ImageData::LzPalette { palette: reference, .. }
        | ImageData::Bitmap(Bitmap {
            palette: Some(reference),
            ..
        })) = data
        else {
            return;
        };
        let PaletteRef::Inline { palette, .. } = &*reference else {
            return;
        };
        if palette.entries.len() < MIN_COLOURS {
            return;
        }
        let place = self.kept.place(|hash| {
            for entry in &palette.entries {
                hash.write(&entry.to_le_bytes());
            }
        });
        *reference = match place {
            Place::Kept(key) => PaletteRef::Cached(key),
            Place::New { key, evicted } => {
                self.evicted.extend(evicted);
                PaletteRef::Inline {
                    palette: Arc::new(Palette {
                        unique: key,
                        entries: palette.entries.clone(),
                    }),
                    cache: true,
                }
            }
        };
    }

    /// What goes after the message.
    pub(super) fn commit(&mut self) -> impl Iterator<Item = ServerMessage> {
        std::mem::take(&mut self.evicted)
            .into_iter()
            .map(ServerMessage::InvalPalette)
    }
}

#[cfg(test)]
#[path = "palettes_tests.rs"]
mod tests;
