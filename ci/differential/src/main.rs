//! A SPICE server that draws rounds of random commands when it is told to. It says its port on standard output and reads
//! requests from standard input, a JSON object a line each way:
//!
//! - `{"round": N}` sets up the surfaces of a round;
//! - `{"draw": K}` draws its next K commands, `{"aim": [...], "path": P}` commands of the named cells,
//!   `{"show": true}` the second surface on the screen;
//! - `{"explain": true}` prints the last command;
//! - `{"cells": true}` names all cells of the table;
//! - `{"codecs": true}` counts the images that the client was sent, by codec.
//!
//! What draws is answered with what the commands were, the pixels of the screen, and the number of a barrier: a client that
//! has a monitor of this number has drawn all that came before.
#![forbid(unsafe_code)]

use std::{
    io::{BufRead, Write},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use base64::{Engine, prelude::BASE64_STANDARD};
use caraway_canvas::Limits;
use caraway_differential::{
    cell::{Cell, FORMATS},
    round::{Made, PRIMARY, Round, significant},
};
use caraway_display::{Codec, Display, ImageSettings, Item, Mode, Switch, Viewer, ViewerCaps};
use caraway_ports::{
    display::{DisplayCommand, DisplaySink, Head},
    drawing::{DrawOp, Drawable, ScaleMode},
    geometry::Rect,
    input::{InputEvent, InputSink, LedListener, Leds},
};
use caraway_server::{Listener, Server, ServerConfig};
use clap::Parser;
use serde::{Deserialize, Serialize};

/// A thousand times what a client needs to take up a step.
const TAKEN_UP: Duration = Duration::from_secs(60);

#[derive(Parser)]
struct Options {
    /// What all is made of.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// off, auto_glz, auto_lz, quic, glz, lz or lz4.
    #[arg(long, default_value = "auto_glz", value_parser = mode)]
    compression: Mode,
    /// Put zlib around GLZ.
    #[arg(long)]
    zlib: bool,
}

fn mode(name: &str) -> Result<Mode, String> {
    Ok(match name {
        "off" => Mode::Off,
        "auto_glz" => Mode::AutoGlz,
        "auto_lz" => Mode::AutoLz,
        "quic" => Mode::Quic,
        "glz" => Mode::Glz,
        "lz" => Mode::Lz,
        "lz4" => Mode::Lz4,
        other => return Err(format!("no such mode: {other}")),
    })
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Request {
    round: Option<u64>,
    draw: usize,
    aim: Vec<String>,
    path: u64,
    show: bool,
    explain: bool,
    cells: bool,
    codecs: bool,
}

#[derive(Serialize)]
struct Done {
    cell: String,
    /// Operation, format and sampling.
    sampled: Option<String>,
    changed: usize,
    /// Whether a client is sent the command, the picture, or nothing.
    sent: &'static str,
}

#[derive(Default, Serialize)]
struct Answer {
    barrier: u32,
    commands: Vec<Done>,
    width: u32,
    height: u32,
    format: u32,
    /// The significant bits of each byte of a pixel, repeated.
    significant: Vec<u8>,
    /// Rows without padding, in base 64.
    pixels: String,
}

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

struct Test {
    seed: u64,
    display: Arc<Display>,
    server: Arc<Server>,
    /// Sees what a client is sent.
    viewer: Viewer,
    round: Option<Round>,
    barrier: u32,
    last: Option<Drawable>,
    /// Whether the second surface is on the screen.
    shown: bool,
}

impl Test {
    fn new(seed: u64, display: Arc<Display>, server: Arc<Server>) -> Self {
        let caps = ViewerCaps {
            composite: true,
            a8_surface: true,
            monitors: true,
            ..ViewerCaps::default()
        };
        let viewer = display.attach(caps, Arc::new(|| ()));
        Self {
            seed,
            display,
            server,
            viewer,
            round: None,
            barrier: 0,
            last: None,
            shown: false,
        }
    }

    /// Takes a step, and waits until every client's connection has taken it up, so that nothing is left out because
    /// something later hides it. How the client is told.
    fn submit(&self, command: DisplayCommand) -> Result<&'static str> {
        self.display.submit(command);
        let mut sent = "nothing";
        while let Some(item) = self.viewer.next() {
            match item {
                Item::Draw(_) => sent = "command",
                Item::Pixels { .. } => sent = "picture",
                _ => {}
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

    fn carry_out(&mut self, request: &Request) -> Result<serde_json::Value> {
        if request.cells {
            let cells = FORMATS
                .iter()
                .flat_map(|format| Cell::all(*format).into_iter().map(|cell| cell.name(*format)));
            return Ok(serde_json::to_value(cells.collect::<Vec<_>>())?);
        }
        if request.codecs {
            let sent = self.server.images_sent();
            let counts = Codec::ALL.map(|codec| (codec.name().to_owned(), sent.get(codec).into()));
            return Ok(serde_json::Value::Object(counts.into_iter().collect()));
        }
        if request.explain {
            return Ok(serde_json::to_value(format!("{:?}", self.last))?);
        }
        if let Some(number) = request.round {
            let (round, commands) = Round::new(self.seed, number);
            for command in commands {
                self.submit(command)?;
            }
            self.round = Some(round);
            self.shown = false;
        }
        let mut round = self.round.take().context("no round was begun")?;
        if std::mem::take(&mut self.shown) {
            self.submit(DisplayCommand::Draw(Box::new(round.hide_twin())))?;
        }
        let mut commands = Vec::new();
        for _ in 0..request.draw {
            match round.draw_next() {
                Some(made) => commands.push(self.draw(&round, made)?),
                None => bail!("the round has no more commands"),
            }
        }
        let cells = Cell::all(round.format);
        for (name, path) in request.aim.iter().zip(request.path..) {
            let cell = cells
                .iter()
                .find(|cell| cell.name(round.format) == *name)
                .context("no such cell")?;
            let made = round.command(cell, path);
            commands.push(self.draw(&round, made)?);
        }
        if request.show {
            for drawable in round.show_twin() {
                self.submit(DisplayCommand::Draw(Box::new(drawable)))?;
            }
        }
        let answer = self.answer(&round, commands)?;
        self.shown = request.show;
        self.round = Some(round);
        Ok(serde_json::to_value(answer)?)
    }

    fn draw(&mut self, round: &Round, made: Made) -> Result<Done> {
        let Made {
            cell,
            drawable,
            changed,
        } = made;
        let sampled = sampling(&drawable).map(|how| format!("{:?}/{:?}/{how}", cell.kind, round.format));
        self.last = Some(drawable.clone());
        let sent = self.submit(DisplayCommand::Draw(Box::new(drawable)))?;
        Ok(Done {
            cell: cell.name(round.format),
            sampled,
            changed,
            sent,
        })
    }

    fn answer(&mut self, round: &Round, commands: Vec<Done>) -> Result<Answer> {
        self.barrier += 1;
        let (width, height) = self.display.size();
        let area = Rect::at(0, 0, width, height);
        let heads = vec![Head {
            id: self.barrier,
            surface: PRIMARY,
            area,
        }];
        self.submit(DisplayCommand::Monitors { heads, max: 1 })?;
        let pixels = self.display.read(PRIMARY, area).context("there is no screen")?;
        if Some(&pixels) != round.screen().as_ref() {
            bail!("the display's canvas is not the round's");
        }
        Ok(Answer {
            barrier: self.barrier,
            commands,
            width,
            height,
            format: pixels.format as u32,
            significant: significant(pixels.format).to_vec(),
            pixels: BASE64_STANDARD.encode(&pixels.data),
        })
    }
}

/// How the source of an operation is brought to its size.
fn sampling(drawable: &Drawable) -> Option<&'static str> {
    let (source, scale) = match &drawable.op {
        DrawOp::Opaque { source, .. }
        | DrawOp::Copy { source, .. }
        | DrawOp::Blend { source, .. }
        | DrawOp::Rop3 { source, .. } => (source, source.scale),
        DrawOp::Transparent { source, .. } | DrawOp::AlphaBlend { source, .. } => (source, ScaleMode::Nearest),
        DrawOp::Composite(composite) => {
            return Some(match (composite.src_transform, composite.flags >> 8 & 7) {
                (None, _) => "as it is",
                (Some(_), 0 | 3) => "nearest",
                (Some(_), _) => "interpolated",
            });
        }
        _ => return None,
    };
    let size = |rect: &Rect| (rect.width(), rect.height());
    Some(match scale {
        _ if size(&source.area) == size(&drawable.bbox) => "as it is",
        ScaleMode::Nearest => "nearest",
        ScaleMode::Interpolate => "interpolated",
    })
}

fn main() -> Result<()> {
    let options = Options::parse();
    let runtime = tokio::runtime::Runtime::new()?;
    let display = Display::new(Limits::default());
    let server = Server::new(ServerConfig {
        name: "differential".to_owned(),
        uuid: [0; 16],
        ticket: None,
        displays: vec![Arc::clone(&display)],
        images: ImageSettings {
            mode: options.compression,
            zlib: if options.zlib { Switch::Always } else { Switch::Never },
            ..ImageSettings::default()
        },
        input: Arc::new(NoInput),
        observer: None,
    });
    let listener = runtime.block_on(Listener::tcp(([127, 0, 0, 1], 0).into()))?;
    let port = match listener.local() {
        caraway_server::Peer::Tcp(address) => address.port(),
        other => bail!("listens on {other:?}"),
    };
    runtime.spawn(listener.serve(Arc::clone(&server)));
    let mut out = std::io::stdout();
    writeln!(out, "{}", serde_json::json!({ "port": port }))?;
    out.flush()?;
    let mut test = Test::new(options.seed, display, server);
    for line in std::io::stdin().lock().lines() {
        let answer = test.carry_out(&serde_json::from_str(&line?)?)?;
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}
