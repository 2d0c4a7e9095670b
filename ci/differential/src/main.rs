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
//! - `{"gallery": N, "display": D}` begins a gallery, `{"hang": K, "display": D}` hangs K pictures of it, `{"photo": A,
//!   "display": D}` one that may go as JPEG, with alpha or without, `{"disturb": P, "display": D}` draws what reads the screen.
//!
//! What draws is answered with what the commands were, the pixels of the screen, and the number of a barrier: a client that
//! has a monitor of this number has drawn all that came before.
#![forbid(unsafe_code)]

mod stage;

use std::{
    io::{BufRead, Write},
    sync::Arc,
};

use anyhow::{Context, Result, bail};
use caraway_canvas::Limits;
use caraway_differential::{
    cell::{Cell, FORMATS},
    round::{Made, Round},
};
use caraway_display::{Codec, Display, ImageSettings, Mode, Switch};
use caraway_ports::{
    display::DisplayCommand,
    drawing::{DrawOp, Drawable, ScaleMode},
    geometry::Rect,
    input::{InputEvent, InputSink, LedListener, Leds},
};
use caraway_server::{Listener, Server, ServerConfig};
use clap::Parser;
use serde::Deserialize;

use self::stage::{Done, Stage};

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
    /// Send photographs as JPEG.
    #[arg(long)]
    jpeg: bool,
    /// How many there are.
    #[arg(long, default_value_t = 1)]
    displays: usize,
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
    gallery: Option<u64>,
    hang: usize,
    photo: Option<bool>,
    disturb: Option<u64>,
    display: usize,
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
    stages: Vec<Stage>,
    server: Arc<Server>,
    round: Option<Round>,
    last: Option<Drawable>,
    /// Whether the second surface is on the screen.
    shown: bool,
}

impl Test {
    fn carry_out(&mut self, request: &Request) -> Result<serde_json::Value> {
        if request.cells {
            let cells = FORMATS
                .iter()
                .flat_map(|format| Cell::all(*format).into_iter().map(|cell| cell.name(*format)));
            return Ok(serde_json::to_value(cells.collect::<Vec<_>>())?);
        }
        if request.codecs {
            let sent = self.server.images_sent();
            // Its displays make no video of what they are given.
            let codecs = Codec::ALL.into_iter().filter(|codec| !codec.is_video());
            let counts = codecs.map(|codec| (codec.name().to_owned(), sent.get(codec).into()));
            return Ok(serde_json::Value::Object(counts.into_iter().collect()));
        }
        if request.explain {
            return Ok(serde_json::to_value(format!("{:?}", self.last))?);
        }
        let seed = self.seed;
        let stage = self.stages.get_mut(request.display).context("no such display")?;
        let answer = match (request.gallery, request.photo, request.disturb) {
            (Some(number), ..) => stage.open(seed, number)?,
            (_, Some(alpha), _) => stage.photo(alpha)?,
            (.., Some(path)) => stage.disturb(path)?,
            _ if request.hang > 0 => stage.hang(request.hang)?,
            _ => return self.draw_round(request),
        };
        Ok(serde_json::to_value(answer)?)
    }

    fn draw_round(&mut self, request: &Request) -> Result<serde_json::Value> {
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
        let stage = self.stages.first_mut().context("there is no display")?;
        let answer = stage.answer(commands)?;
        if stage.screen() != round.screen() {
            bail!("the display's canvas is not the round's");
        }
        self.shown = request.show;
        self.round = Some(round);
        Ok(serde_json::to_value(answer)?)
    }

    fn submit(&mut self, command: DisplayCommand) -> Result<&'static str> {
        let stage = self.stages.first_mut().context("there is no display")?;
        stage.submit(command)
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
    let displays: Vec<_> = (0..options.displays.max(1))
        .map(|_| Display::new(Limits::default()))
        .collect();
    let images = ImageSettings {
        mode: options.compression,
        zlib: if options.zlib { Switch::Always } else { Switch::Never },
        jpeg: if options.jpeg { Switch::Always } else { Switch::Never },
    };
    let server = Server::new(ServerConfig {
        images,
        ..ServerConfig::new("differential", displays.clone(), Arc::new(NoInput))
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
    let mut test = Test {
        seed: options.seed,
        stages: displays
            .into_iter()
            .map(|display| Stage::new(display, images))
            .collect(),
        server,
        round: None,
        last: None,
        shown: false,
    };
    for line in std::io::stdin().lock().lines() {
        let answer = test.carry_out(&serde_json::from_str(&line?)?)?;
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}
