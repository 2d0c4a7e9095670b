//! Our server with a display device that draws what it is told: `caraway-bench-latency PORT`, PORT on 127.0.0.1.
//!
//! Prints `ready` when it listens. Commands come as lines on stdin, each is answered by a line.
//!
//! | command | what | answer |
//! |---|---|---|
//! | `picture PATH` | the guest has this picture: rows of 32 bits, the size of the screen | `ok` |
//! | `create` | the primary surface | `ok` |
//! | `draw FROM_X FROM_Y WIDTH HEIGHT X Y` | copies a part of the picture to the screen | `ok NANOSECONDS` |
//! | `storm COUNT SECONDS` | so many commands of `storm.rs`, as soon as they are taken | `ok COUNT NANOSECONDS BYTES` |
//!
//! The time of `draw` is that of the monotonic clock before the command is handed to the server; our device copies
//! bitmaps out of the guest's memory, and so the copy is made after it. `storm` answers how many commands were taken,
//! how long that took, and how many bytes the surfaces had when they were most. The program for the reference's server,
//! `ci/bench/reference_server/latency.c`, takes the same commands.
#![forbid(unsafe_code)]

mod pipe;
mod storm;

use std::{
    env,
    fs::File,
    io::{Read as _, Write as _},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use caraway_canvas::Limits;
use caraway_display::Display;
use caraway_ports::{
    display::{DisplayCommand, DisplaySink, SurfaceSpec},
    drawing::{Bitmap, BitmapFormat, Clip, DrawOp, Drawable, ScaleMode, SurfaceFormat},
    geometry::Rect,
    input::{InputEvent, InputSink, LedListener, Leds},
};
use caraway_server::{Listener, Server, ServerConfig};
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Builder;

use self::storm::Storm;

/// The screen.
const WIDTH: u32 = 1920;
const HEIGHT: u32 = 1080;
const PICTURE_BYTES: usize = (WIDTH * HEIGHT * 4) as usize;

/// As `caraway run` has them.
const SERVER_THREADS: usize = 2;

/// Nobody types.
struct NoInput;

impl InputSink for NoInput {
    fn send(&self, _event: InputEvent) {}

    fn pending(&self) -> usize {
        0
    }

    fn leds(&self) -> Leds {
        Leds::default()
    }

    fn watch_leds(&self, _listener: Arc<dyn LedListener>) {}
}

fn main() -> Result<()> {
    let port: u16 = env::args()
        .nth(1)
        .context("usage: caraway-bench-latency PORT")?
        .parse()?;
    let runtime = Builder::new_multi_thread()
        .worker_threads(SERVER_THREADS)
        .enable_all()
        .build()?;
    let display = Display::new(Limits::default());
    let server = Server::new(ServerConfig::new(
        "latency",
        vec![Arc::clone(&display)],
        Arc::new(NoInput),
    ));
    let listener = runtime.block_on(Listener::tcp(([127, 0, 0, 1], port).into()))?;
    runtime.spawn(listener.serve(server));
    let mut device = Device {
        display,
        // Written, so that all of it counts before anything is measured.
        picture: vec![1; PICTURE_BYTES],
        storm: Storm::new(WIDTH, HEIGHT),
    };
    writeln!(std::io::stdout(), "ready")?;
    pipe::serve(|line| device.command(line))
}

/// The display device, and the picture in its guest's memory.
struct Device {
    display: Arc<Display>,
    picture: Vec<u8>,
    storm: Storm,
}

impl Device {
    fn command(&mut self, line: &str) -> Result<String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["picture", path] => {
                File::open(path)?.read_exact(&mut self.picture)?;
                Ok("ok".to_owned())
            }
            ["create"] => {
                self.display.submit(create(0, WIDTH, HEIGHT));
                Ok("ok".to_owned())
            }
            ["draw", numbers @ ..] => {
                let numbers: Vec<u32> = numbers.iter().map(|word| word.parse()).collect::<Result<_, _>>()?;
                let &[from_x, from_y, width, height, x, y] = numbers.as_slice() else {
                    bail!("six numbers are wanted");
                };
                let now = clock_gettime(ClockId::Monotonic);
                let image = self.part(from_x, from_y, width, height).context("not in the picture")?;
                self.display.submit(copy(0, x as i32, y as i32, width, height, image));
                Ok(format!("ok {}", now.tv_sec * 1_000_000_000 + now.tv_nsec))
            }
            ["storm", count, seconds] => self.storm(count.parse()?, Duration::from_secs(seconds.parse()?)),
            _ => bail!("no such command"),
        }
    }

    /// Copies a part of the picture out of the guest's memory.
    fn part(&self, x: u32, y: u32, width: u32, height: u32) -> Option<Bytes> {
        let mut rows = Vec::with_capacity((width * height * 4) as usize);
        for row in y..y.checked_add(height)? {
            let start = (row as usize * WIDTH as usize + x as usize) * 4;
            rows.extend_from_slice(self.picture.get(start..start + width as usize * 4)?);
        }
        Some(rows.into())
    }

    fn storm(&mut self, count: u64, limit: Duration) -> Result<String> {
        let began = Instant::now();
        let mut done = 0;
        while done < count && began.elapsed() < limit {
            self.display.submit(self.storm.next());
            done += 1;
        }
        Ok(format!(
            "ok {done} {} {}",
            began.elapsed().as_nanos(),
            self.storm.most()
        ))
    }
}

fn create(id: u32, width: u32, height: u32) -> DisplayCommand {
    DisplayCommand::CreateSurface(SurfaceSpec {
        id,
        width,
        height,
        format: SurfaceFormat::Xrgb,
        pixels: None,
    })
}

fn draw(surface: u32, bbox: Rect, op: DrawOp) -> DisplayCommand {
    DisplayCommand::Draw(Box::new(Drawable {
        surface,
        bbox,
        clip: Clip::None,
        mm_time: 0,
        op,
    }))
}

/// A copy of a whole image, `data`, to a place.
fn copy(surface: u32, x: i32, y: i32, width: u32, height: u32, data: Bytes) -> DisplayCommand {
    let bitmap = Bitmap {
        format: BitmapFormat::Bit32,
        width,
        height,
        stride: width * 4,
        top_down: true,
        palette: None,
        data,
    };
    let bbox = Rect::at(x, y, width, height);
    let copy = Drawable::copy(surface, bbox, Arc::new(bitmap), ScaleMode::Interpolate);
    DisplayCommand::Draw(Box::new(copy))
}
