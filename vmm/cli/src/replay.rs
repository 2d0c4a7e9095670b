//! `caraway replay`: a recorded command stream into a display and its SPICE server, without a VM.

pub(crate) mod pace;

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, bail};
use caraway_canvas::Limits;
use caraway_config::Listen;
use caraway_control::Screenshot;
use caraway_display::Display;
use caraway_machine::Signals;
use caraway_ports::{
    display::{DisplayCommand, DisplaySink as _},
    input::{InputEvent, InputSink, LedListener, Leds},
};
use caraway_server::{Accepts, Channel, Observer, Peer, Server, ServerConfig};
use caraway_trace::{Player, TraceError, TraceReader};
use tokio::runtime::Runtime;

use self::pace::{Pace, Waiter};
use crate::{
    args::ReplayArgs,
    media,
    output::{self, UsageError, one_line},
    run::{random_uuid, runtime, serve_spice, sockets},
};

/// Type of the SPICE channel that shows a screen.
const DISPLAY_CHANNEL: u8 = 2;
/// How often a client is looked for.
const LOOK: Duration = Duration::from_millis(20);
/// How long connections may take to end.
const FAREWELL: Duration = Duration::from_millis(200);

/// What is served while a recording plays.
struct Serving {
    runtime: Runtime,
    shown: Arc<Shown>,
    _socket: sockets::SpiceSocket,
}

/// What one playing came to.
#[derive(Default)]
struct Played {
    events: u64,
    player: Player,
    nanoseconds: u64,
}

/// Plays a recording.
pub(crate) fn replay(args: &ReplayArgs) -> anyhow::Result<u8> {
    // First of all: threads that are started later must not be hit by these signals.
    let signals = Signals::take().context("cannot take over the termination signals")?;
    let waiter = Waiter::new(&signals);
    let display = Display::new(Limits::default());
    display.set_video(media::video(args.video));
    // A file that is none ends this before anybody is let in.
    let mut reader = open(&args.trace)?;
    let serving = if args.headless {
        None
    } else {
        Some(serve(args, &display)?)
    };
    if let Some(serving) = serving.as_ref().filter(|_| args.wait) {
        while !serving.shown.0.load(Ordering::Acquire) {
            if waiter.wait(Some(LOOK))? {
                return interrupted(args);
            }
        }
    }
    let played = loop {
        let Some(played) = play(args, reader, &display, &waiter)? else {
            end(serving);
            return interrupted(args);
        };
        if !args.repeat {
            break played;
        }
        display.submit(DisplayCommand::Reset);
        reader = open(&args.trace)?;
    };
    show(args, &display, &played)?;
    if serving.is_some() && !args.exit {
        waiter.wait(None)?;
    }
    end(serving);
    Ok(0)
}

/// Ended by a signal, which is fine unless the last picture was asked for.
fn interrupted(args: &ReplayArgs) -> anyhow::Result<u8> {
    if args.hash || args.png.is_some() {
        bail!("ended before the end of the recording");
    }
    Ok(0)
}

fn end(serving: Option<Serving>) {
    if let Some(serving) = serving {
        serving.runtime.shutdown_timeout(FAREWELL);
    }
}

fn open(path: &Path) -> anyhow::Result<TraceReader<caraway_trace::Input>> {
    let input = caraway_trace::open(path)
        .map_err(|error| UsageError(format!("{}: cannot open the recording: {error}", path.display())))?;
    TraceReader::new(input, caraway_trace::Limits::default()).map_err(|error| wrong(path, &error).into())
}

fn wrong(path: &Path, error: &TraceError) -> UsageError {
    UsageError(format!("{}: {error}", path.display()))
}

/// Plays to the end; `None` when a signal came before.
fn play(
    args: &ReplayArgs,
    mut reader: TraceReader<caraway_trace::Input>,
    display: &Display,
    waiter: &Waiter<'_>,
) -> anyhow::Result<Option<Played>> {
    let mut pace = if args.fast || args.headless {
        Pace::fast()
    } else {
        Pace::timed(args.max_gap)
    };
    let mut played = Played::default();
    let mut first = None;
    for event in &mut reader {
        let event = event.map_err(|error| wrong(&args.trace, &error))?;
        if waiter.wait_until(&mut pace, event.time)? {
            return Ok(None);
        }
        played.events += 1;
        played.nanoseconds = event.time.saturating_sub(*first.get_or_insert(event.time));
        played.player.play(event.what, display);
    }
    if reader.is_cut() {
        tracing::warn!(
            file = %args.trace.display(),
            "the recording ends in the middle of a record; everything before was played"
        );
    }
    Ok(Some(played))
}

/// Lets SPICE clients in, and says where.
fn serve(args: &ReplayArgs, display: &Arc<Display>) -> anyhow::Result<Serving> {
    let socket = sockets::spice(args.listen.as_ref().unwrap_or(&Listen::Default))?;
    let runtime = runtime::start()?;
    let shown = Arc::new(Shown::default());
    let name = args.trace.file_name().unwrap_or_default().to_string_lossy();
    let server = Server::new(ServerConfig {
        uuid: random_uuid(),
        images: media::images(args.compression, args.jpeg, args.zlib),
        observer: Some(shown.clone()),
        ..ServerConfig::new(name.clone(), vec![Arc::clone(display)], Arc::new(Nobody))
    });
    serve_spice(&runtime, &socket, server, Accepts::Plain)?;
    let (name, pid) = (one_line(&name), std::process::id());
    output::print(format!("replay {name} (pid {pid})\n  screen   {}\n", socket.uri()))?;
    Ok(Serving {
        runtime,
        shown,
        _socket: socket,
    })
}

/// Says and writes what the screen shows at the end.
fn show(args: &ReplayArgs, display: &Display, played: &Played) -> anyhow::Result<()> {
    let picture = display.picture(None, false).context("there is no picture")?;
    let hash = picture.checksum();
    let (width, height) = (picture.width, picture.height);
    if let Some(path) = &args.png {
        let png = caraway_control::encode_png(&Screenshot {
            width,
            height,
            rgb: picture.rgb,
            hash,
        })?;
        fs::write(path, png).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if args.hash {
        return output::print(format!("{hash:016x}\n"));
    }
    let Played {
        events,
        player,
        nanoseconds,
    } = played;
    let (seconds, tenths) = (nanoseconds / 1_000_000_000, nanoseconds / 100_000_000 % 10);
    let dropped = player.dropped().saturating_add(display.dropped());
    output::print(format!(
        "{events} records of {seconds}.{tenths} s, {dropped} dropped; {width}x{height}, hash {hash:016x}\n"
    ))
}

/// Whether a client has shown the screen.
#[derive(Debug, Default)]
struct Shown(AtomicBool);

impl Observer for Shown {
    fn connected(&self, _server: &Peer, _client: &Peer) {}

    fn initialized(&self, _server: &Peer, _client: &Peer, channel: &Channel) {
        if channel.kind == DISPLAY_CHANNEL {
            self.0.store(true, Ordering::Release);
        }
    }

    fn disconnected(&self, _server: &Peer, _client: &Peer, _channel: Option<&Channel>) {}
}

/// Keyboard and mouse of no machine.
struct Nobody;

impl InputSink for Nobody {
    fn send(&self, _event: InputEvent) {}

    fn pending(&self) -> usize {
        0
    }

    fn leds(&self) -> Leds {
        Leds::default()
    }

    fn watch_leds(&self, _listener: Arc<dyn LedListener>) {}
}

/// Where to listen. Without a ticket, only where nobody else comes by.
pub(crate) fn parse_listen(text: &str) -> Result<Listen, String> {
    parse_local(text, "a replay has no ticket: use 127.0.0.1")
}

/// A socket that only this machine reaches; `why` others must not.
pub(crate) fn parse_local(text: &str, why: &str) -> Result<Listen, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        if path.is_empty() {
            return Err("\"unix:\" needs a path".to_owned());
        }
        return Ok(Listen::Unix(path.into()));
    }
    let address: std::net::SocketAddr = text
        .parse()
        .map_err(|_| "neither \"ADDRESS:PORT\" nor \"unix:PATH\"".to_owned())?;
    if !address.ip().is_loopback() {
        return Err(format!("it can be reached from other machines, and {why}"));
    }
    Ok(Listen::Tcp(address))
}

/// The value that configurations have a name for.
pub(crate) fn parse_name<T: Copy>(names: &[(&str, T)], text: &str) -> Result<T, String> {
    let found = names.iter().find(|(name, _)| *name == text);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
        format!("not one of {}", names.join(", "))
    })
}

/// A time in seconds, with a fraction if need be.
pub(crate) fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map_err(|_| "no number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
