//! A SPICE server without a VM: a square that bounces. `moving_picture [ADDRESS:PORT]`, 127.0.0.1:5930 by default;
//! look at it with `remote-viewer spice://127.0.0.1:5930`. A key gives the square another colour, mouse motion pushes
//! it. Ends with Ctrl-C.

use std::{
    error::Error,
    io::Write,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use caraway_canvas::Limits;
use caraway_display::Display;
use caraway_ports::{
    display::{DisplayCommand, DisplaySink, SurfaceSpec},
    drawing::{Brush, Clip, DrawOp, Drawable, Mask, Rop, SurfaceFormat},
    geometry::{Point, Rect},
    input::{InputEvent, InputSink, LedListener, Leds},
};
use caraway_server::{Listener, Server, ServerConfig};

const SIZE: (u32, u32) = (640, 480);
const SQUARE: u32 = 48;
const BACKGROUND: u32 = 0x0020_3040;
const FRAME: Duration = Duration::from_millis(20);

/// The square, and the keyboard and mouse that act on it.
struct Square {
    state: Mutex<State>,
}

#[derive(Clone, Copy)]
struct State {
    at: Point,
    speed: Point,
    color: u32,
}

impl Square {
    fn new() -> Self {
        let state = State {
            at: Point::new(100, 60),
            speed: Point::new(4, 3),
            color: 0x00f0_a030,
        };
        Self {
            state: Mutex::new(state),
        }
    }

    fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Moves on by one frame; where it was, and how it is now.
    fn step(&self) -> (Point, State) {
        self.change(|state| {
            let before = state.at;
            (state.at.x, state.speed.x) = bounce(state.at.x, state.speed.x, SIZE.0);
            (state.at.y, state.speed.y) = bounce(state.at.y, state.speed.y, SIZE.1);
            (before, *state)
        })
    }
}

impl InputSink for Square {
    fn send(&self, event: InputEvent) {
        self.change(|state| match event {
            InputEvent::Key { down: true, .. } | InputEvent::Button { down: true, .. } => {
                state.color = state.color.rotate_left(8) & 0x00ff_ffff | 0x40;
            }
            InputEvent::Motion { dx, dy } => {
                let push = |speed: i32, by: i32| speed.saturating_add(by.signum()).clamp(-12, 12);
                state.speed = Point::new(push(state.speed.x, dx), push(state.speed.y, dy));
            }
            _ => {}
        });
    }

    fn pending(&self) -> usize {
        0
    }

    fn leds(&self) -> Leds {
        Leds::default()
    }

    fn watch_leds(&self, _listener: Arc<dyn LedListener>) {}
}

/// The next place on one axis, and the speed after it.
fn bounce(at: i32, speed: i32, size: u32) -> (i32, i32) {
    let far = (size - SQUARE) as i32;
    match at + speed {
        next if next < 0 => (0, -speed),
        next if next > far => (far, -speed),
        next => (next, speed),
    }
}

fn fill(bbox: Rect, color: u32) -> DisplayCommand {
    DisplayCommand::Draw(Box::new(Drawable {
        surface: 0,
        bbox,
        clip: Clip::None,
        mm_time: 0,
        op: DrawOp::Fill {
            brush: Brush::Solid(color),
            rop: Rop::PUT,
            mask: Mask::default(),
        },
    }))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address: SocketAddr = std::env::args().nth(1).as_deref().unwrap_or("127.0.0.1:5930").parse()?;
    let display = Display::new(Limits::default());
    display.submit(DisplayCommand::CreateSurface(SurfaceSpec {
        id: 0,
        width: SIZE.0,
        height: SIZE.1,
        format: SurfaceFormat::Xrgb,
        pixels: None,
    }));
    display.submit(fill(Rect::at(0, 0, SIZE.0, SIZE.1), BACKGROUND));
    let square = Arc::new(Square::new());
    let server = Server::new(ServerConfig::new(
        "a moving picture",
        vec![Arc::clone(&display)],
        Arc::clone(&square) as Arc<dyn InputSink>,
    ));
    let listener = Listener::tcp(address).await?;
    writeln!(std::io::stdout(), "{:?}", listener.local())?;
    let serving = tokio::spawn(listener.serve(server));
    let mut frames = tokio::time::interval(FRAME);
    while !serving.is_finished() {
        frames.tick().await;
        let (before, now) = square.step();
        display.submit(fill(Rect::at(before.x, before.y, SQUARE, SQUARE), BACKGROUND));
        display.submit(fill(Rect::at(now.at.x, now.at.y, SQUARE, SQUARE), now.color));
    }
    Ok(serving.await??)
}
