//! A server with one screen.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use caraway_canvas::Limits;
use caraway_display::Display;
use caraway_ports::{
    display::{DisplayCommand, DisplaySink, SurfaceSpec},
    drawing::{Bitmap, BitmapFormat, Drawable, ScaleMode, SurfaceFormat},
    geometry::Rect,
    input::{InputEvent, InputSink, LedListener, Leds},
};
use caraway_server::{Listener, RateLimits, Server, ServerConfig};

pub(crate) const WIDTH: u32 = 1024;
pub(crate) const HEIGHT: u32 = 768;

/// What a key does.
type OnKey = Box<dyn Fn(&Display) + Send + Sync>;

/// A keyboard whose keys draw.
struct Keyboard {
    display: Arc<Display>,
    on_key: Mutex<Option<OnKey>>,
}

impl InputSink for Keyboard {
    fn send(&self, event: InputEvent) {
        if let InputEvent::Key { down: true, .. } = event
            && let Some(on_key) = &*self.on_key.lock().unwrap_or_else(PoisonError::into_inner)
        {
            on_key(&self.display);
        }
    }

    fn pending(&self) -> usize {
        0
    }

    fn leds(&self) -> Leds {
        Leds::default()
    }

    fn watch_leds(&self, _: Arc<dyn LedListener>) {}
}

pub(crate) struct Screen {
    pub(crate) display: Arc<Display>,
    pub(crate) server: Arc<Server>,
    pub(crate) address: SocketAddr,
    keyboard: Arc<Keyboard>,
}

impl Screen {
    pub(crate) async fn new(rates: RateLimits) -> anyhow::Result<Self> {
        let display = Display::new(Limits::default());
        display.submit(DisplayCommand::CreateSurface(SurfaceSpec {
            id: 0,
            width: WIDTH,
            height: HEIGHT,
            format: SurfaceFormat::Xrgb,
            pixels: None,
        }));
        let keyboard = Arc::new(Keyboard {
            display: Arc::clone(&display),
            on_key: Mutex::new(None),
        });
        let server = Server::new(ServerConfig {
            rates,
            grace: Duration::from_secs(120),
            ..ServerConfig::new(
                "slow-clients",
                vec![Arc::clone(&display)],
                Arc::clone(&keyboard) as Arc<dyn InputSink>,
            )
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        tokio::spawn(Listener::Tcp(listener).serve(Arc::clone(&server)));
        Ok(Self {
            display,
            server,
            address,
            keyboard,
        })
    }

    pub(crate) fn on_key(&self, on_key: OnKey) {
        *self.keyboard.on_key.lock().unwrap_or_else(PoisonError::into_inner) = Some(on_key);
    }
}

/// Copies pixels to the screen.
pub(crate) fn copy(display: &Display, bbox: Rect, data: Bytes) {
    let (width, height) = (bbox.width(), bbox.height());
    let bitmap = Bitmap {
        format: BitmapFormat::Bit32,
        width,
        height,
        stride: width * 4,
        top_down: true,
        palette: None,
        data,
    };
    let copy = Drawable::copy(0, bbox, Arc::new(bitmap), ScaleMode::Nearest);
    display.submit(DisplayCommand::Draw(Box::new(copy)));
}

/// Smooth colours with some noise, as in a photograph.
pub(crate) fn photo(width: u32, height: u32, seed: u32) -> Bytes {
    let mut noise = seed.wrapping_mul(0x9e37_79b9) | 1;
    let mut data = Vec::with_capacity(width as usize * height as usize * 4);
    for y in 0..height {
        for x in 0..width {
            noise ^= noise << 13;
            noise ^= noise >> 17;
            noise ^= noise << 5;
            let smooth = |value: u32, bits: u32| (value.wrapping_add((noise >> bits) & 7)) as u8;
            data.extend([smooth(x / 4 + seed, 3), smooth(y / 3, 9), smooth((x + y) / 8, 15), 0]);
        }
    }
    data.into()
}

/// A small picture of few colours, another for each number.
pub(crate) fn text(width: u32, height: u32, number: u32) -> Bytes {
    let pixel = |x: u32, y: u32| {
        let ink = (x * 7 + y * 3 + number * 11) % 13 < 4;
        if ink {
            [0, 0, (number & 0xff) as u8, 0]
        } else {
            [0xff, 0xff, 0xff, 0]
        }
    };
    (0..height)
        .flat_map(|y| (0..width).flat_map(move |x| pixel(x, y)))
        .collect()
}
