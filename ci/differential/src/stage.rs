//! A display, what a client of it is sent, and the gallery on it.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use base64::{Engine, prelude::BASE64_STANDARD};
use caraway_differential::{
    gallery::{Gallery, disturbance},
    round::{PRIMARY, significant},
};
use caraway_display::{Display, Encoder, EncoderConfig, ImageSettings, Item, Viewer, ViewerCaps};
use caraway_ports::{
    display::{DisplayCommand, DisplaySink, Head, Pixels},
    drawing::Drawable,
    geometry::Rect,
};
use caraway_protocol::display::{DrawOp, ImageData, ServerMessage};
use serde::Serialize;

/// A thousand times what a client needs to take up a step.
const TAKEN_UP: Duration = Duration::from_secs(60);

#[derive(Serialize)]
pub(super) struct Done {
    pub(super) cell: String,
    /// Operation, format and sampling.
    pub(super) sampled: Option<String>,
    pub(super) changed: usize,
    /// Whether a client is sent the command, the picture, or nothing.
    pub(super) sent: &'static str,
}

#[derive(Default, Serialize)]
pub(super) struct Answer {
    barrier: u32,
    pub(super) commands: Vec<Done>,
    width: u32,
    height: u32,
    format: u32,
    /// The significant bits of each byte of a pixel, repeated.
    significant: Vec<u8>,
    /// Rows without padding, in base 64.
    pixels: String,
    /// Where the last photograph or disturbance is: left, top, right, bottom.
    #[serde(skip_serializing_if = "Option::is_none")]
    area: Option<[i32; 4]>,
    /// The JPEG stream that a client was sent for it, in base 64.
    #[serde(skip_serializing_if = "Option::is_none")]
    jpeg: Option<String>,
    /// Whether alpha came beside it.
    has_alpha: bool,
}

/// One of the server's displays.
pub(super) struct Stage {
    pub(super) display: Arc<Display>,
    /// Sees what a client is sent, and makes the same of it.
    viewer: Viewer,
    encoder: Encoder,
    gallery: Option<Gallery>,
    /// Alpha or not, and the stream.
    photo: Option<(bool, Vec<u8>)>,
    barrier: u32,
}

impl Stage {
    pub(super) fn new(display: Arc<Display>, settings: ImageSettings) -> Self {
        let caps = ViewerCaps {
            composite: true,
            a8_surface: true,
            monitors: true,
            ..ViewerCaps::default()
        };
        let viewer = display.attach(caps, Arc::new(|| ()));
        let encoder = Encoder::new(
            EncoderConfig {
                settings,
                ..EncoderConfig::default()
            },
            None,
        );
        viewer.set_lossy(encoder.may_lose());
        Self {
            display,
            viewer,
            encoder,
            gallery: None,
            photo: None,
            barrier: 0,
        }
    }

    /// Takes a step, and waits until every client's connection has taken it up, so that nothing is left out because
    /// something later hides it. How the client is told.
    pub(super) fn submit(&mut self, command: DisplayCommand) -> Result<&'static str> {
        self.display.submit(command);
        let mut sent = "nothing";
        while let Some(item) = self.viewer.next() {
            match &item {
                Item::Draw(_) | Item::Photo(_) => sent = "command",
                Item::Pixels { .. } => sent = "picture",
                _ => {}
            }
            let messages = self.encoder.encode(&item)?;
            if let Some(photo) = messages.iter().find_map(photo_in) {
                self.photo = Some(photo);
            }
        }
        let limit = Instant::now() + TAKEN_UP;
        while self.display.waiting() > 0 {
            if Instant::now() > limit {
                bail!("a client has not taken up a step within {TAKEN_UP:?}");
            }
            thread::sleep(Duration::from_micros(20));
        }
        Ok(sent)
    }

    /// Begins a gallery.
    pub(super) fn open(&mut self, seed: u64, number: u64) -> Result<Answer> {
        let (gallery, commands) = Gallery::new(seed, number);
        self.gallery = Some(gallery);
        for command in commands {
            self.submit(command)?;
        }
        self.answer(Vec::new())
    }

    /// Hangs so many pictures.
    pub(super) fn hang(&mut self, count: usize) -> Result<Answer> {
        for _ in 0..count {
            let picture = self.gallery.as_mut().context("no gallery was begun")?.hang();
            self.submit(DisplayCommand::Draw(Box::new(picture)))?;
        }
        self.answer(Vec::new())
    }

    /// Hangs a photograph.
    pub(super) fn photo(&mut self, alpha: bool) -> Result<Answer> {
        let gallery = self.gallery.as_mut().context("no gallery was begun")?;
        let picture = gallery.hang_photo(alpha);
        self.draw_one(picture)
    }

    /// Draws what reads the screen.
    pub(super) fn disturb(&mut self, path: u64) -> Result<Answer> {
        self.draw_one(disturbance(path))
    }

    fn draw_one(&mut self, drawable: Drawable) -> Result<Answer> {
        let Rect {
            left,
            top,
            right,
            bottom,
        } = drawable.bbox;
        self.photo = None;
        self.submit(DisplayCommand::Draw(Box::new(drawable)))?;
        let photo = self.photo.take();
        let mut answer = self.answer(Vec::new())?;
        answer.area = Some([left, top, right, bottom]);
        if let Some((has_alpha, stream)) = photo {
            answer.has_alpha = has_alpha;
            answer.jpeg = Some(BASE64_STANDARD.encode(stream));
        }
        Ok(answer)
    }

    /// The screen as the canvas has it.
    pub(super) fn screen(&self) -> Option<Pixels> {
        let (width, height) = self.display.size();
        self.display.read(PRIMARY, Rect::at(0, 0, width, height))
    }

    /// A barrier, and what the screen is to be at it.
    pub(super) fn answer(&mut self, commands: Vec<Done>) -> Result<Answer> {
        self.barrier += 1;
        let (width, height) = self.display.size();
        let area = Rect::at(0, 0, width, height);
        let heads = vec![Head {
            id: self.barrier,
            surface: PRIMARY,
            area,
        }];
        self.submit(DisplayCommand::Monitors { heads, max: 1 })?;
        let pixels = self.screen().context("there is no screen")?;
        Ok(Answer {
            barrier: self.barrier,
            commands,
            width,
            height,
            format: pixels.format as u32,
            significant: significant(pixels.format).to_vec(),
            pixels: BASE64_STANDARD.encode(&pixels.data),
            ..Answer::default()
        })
    }
}

/// The JPEG stream of the source of a copy, and whether alpha comes beside it.
fn photo_in(message: &ServerMessage) -> Option<(bool, Vec<u8>)> {
    let ServerMessage::Draw(draw) = message else {
        return None;
    };
    let DrawOp::Copy { source, .. } = &draw.op else {
        return None;
    };
    match &source.image.data {
        ImageData::Jpeg(stream) => Some((false, stream.to_vec())),
        ImageData::JpegAlpha { jpeg, .. } => Some((true, jpeg.to_vec())),
        _ => None,
    }
}
