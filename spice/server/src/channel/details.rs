//! What is counted of a display channel beside bytes and messages.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
};

use caraway_display::{Codec, ImageCounts, Viewer};

use super::feed::Feed;
use crate::figures::Details;

/// The counts of a channel. They end with its viewer.
pub(super) fn details(viewer: Weak<Viewer>, feed: Arc<Feed>, images: Arc<ImageCounts>) -> Details {
    Box::new(move || {
        let mut figures: BTreeMap<_, _> = Codec::ALL
            .into_iter()
            .map(|codec| (image_name(codec), images.get(codec)))
            .filter(|(_, count)| *count > 0)
            .collect();
        let (in_flight, round_trip) = feed.on_its_way();
        figures.insert("in-flight-bytes", in_flight);
        if let Some(rate) = feed.rate(None) {
            figures.insert("delivery", rate);
        }
        if let Some(time) = round_trip {
            figures.insert("round-trip-us", u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
        }
        if let Some(viewer) = viewer.upgrade() {
            let viewer = viewer.figures();
            figures.extend([
                ("waiting-items", viewer.waiting as u64),
                ("waiting-bytes", viewer.waiting_bytes as u64),
                ("waiting-pixels", viewer.waiting_pixels),
                ("hidden-commands", viewer.hidden),
                ("replaced-commands", viewer.replaced),
                ("frames-replaced", viewer.frames_replaced),
                ("fell-behind", viewer.fell_behind),
            ]);
        }
        figures
    })
}

const fn image_name(codec: Codec) -> &'static str {
    match codec {
        Codec::Bitmap => "images-bitmap",
        Codec::Cached => "images-cached",
        Codec::Quic => "images-quic",
        Codec::Lz => "images-lz",
        Codec::LzPalette => "images-lz-palette",
        Codec::Glz => "images-glz",
        Codec::ZlibGlz => "images-zlib-glz",
        Codec::Lz4 => "images-lz4",
        Codec::Jpeg => "images-jpeg",
        Codec::JpegAlpha => "images-jpeg-alpha",
        Codec::Mjpeg => "frames-mjpeg",
        Codec::H264 => "frames-h264",
    }
}
