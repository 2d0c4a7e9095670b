//! A client that draws what it is sent.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use caraway_ports::{display::Pixels, geometry::Rect};
use caraway_protocol::{
    channel::ChannelType,
    display::{self, Init, KnownSurface, Resume, SurfaceFormat, TILE, tile_hash},
    header::Frame,
    inputs, main_channel as main,
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};

use crate::{connection::Connection, picture};

/// Something was drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drawn {
    pub(crate) area: Rect,
    pub(crate) at: Instant,
}

/// A client with a main and a display channel, which draws on tasks of its own.
pub(crate) struct Client {
    pub(crate) session: u32,
    server: SocketAddr,
    picture: Arc<Mutex<picture::Client>>,
    received: Arc<AtomicU64>,
    pub(crate) drawn: mpsc::UnboundedReceiver<Drawn>,
    /// From then on its channels do nothing.
    silent: watch::Sender<bool>,
    channels: Vec<JoinHandle<Option<Connection>>>,
    inputs: Vec<JoinHandle<()>>,
    /// Those of before, which are open and say nothing.
    before: Vec<Connection>,
}

/// What a client keeps of images, in pixels: as much as spice-gtk.
const KEPT_PIXELS: i64 = 20 << 20;

/// How a client reads its display channel.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reads {
    /// As soon as something comes.
    Always,
    /// A thousand bytes a second.
    Slowly,
    /// Not at all, once it has been let in.
    Never,
}

/// What a client begins with.
#[derive(Clone, Copy)]
struct Start {
    session: u32,
    reads: Reads,
    /// Pixels of images that it keeps.
    pixels: i64,
}

impl Client {
    pub(crate) async fn new(server: SocketAddr, reads: Reads) -> anyhow::Result<Self> {
        let start = Start {
            session: 0,
            reads,
            pixels: 0,
        };
        let picture = picture::Client::new(picture::window());
        Self::open(server, start, Arc::new(Mutex::new(picture)), None).await
    }

    /// One that keeps images.
    pub(crate) async fn keeping(server: SocketAddr) -> anyhow::Result<Self> {
        let start = Start {
            session: 0,
            reads: Reads::Always,
            pixels: KEPT_PIXELS,
        };
        let picture = picture::Client::new(picture::window());
        Self::open(server, start, Arc::new(Mutex::new(picture)), None).await
    }

    /// The cable is pulled: nothing is read or said any more, and nothing is closed.
    pub(crate) async fn cut(&mut self) -> anyhow::Result<()> {
        self.silent.send_replace(true);
        for channel in self.channels.drain(..) {
            self.before.extend(channel.await?);
        }
        Ok(())
    }

    /// It comes back with what it has, by a way that works.
    pub(crate) async fn again(&self, server: SocketAddr) -> anyhow::Result<Self> {
        let start = Start {
            session: self.session,
            reads: Reads::Always,
            pixels: KEPT_PIXELS,
        };
        let resume = match self.picture.lock() {
            Ok(mut picture) => cut_off(&mut picture),
            Err(_) => anyhow::bail!("what was sent could not be drawn"),
        };
        Self::open(server, start, Arc::clone(&self.picture), Some(resume)).await
    }

    async fn open(
        server: SocketAddr,
        Start { session, reads, pixels }: Start,
        picture: Arc<Mutex<picture::Client>>,
        resume: Option<Resume>,
    ) -> anyhow::Result<Self> {
        let mut main = Connection::open(server, ChannelType::Main, session).await?;
        let session = loop {
            let frame = main.frame().await?;
            let message: main::ServerMessage = frame.message()?;
            main.keep(common_of_main(&message), main::ClientMessage::Common).await?;
            if let main::ServerMessage::Init(init) = message {
                break init.session_id;
            }
        };
        let (silent, _) = watch::channel(false);
        let main = tokio::spawn(attend(main, silent.subscribe()));
        let mut display = Connection::open(server, ChannelType::Display, session).await?;
        if let Some(resume) = resume {
            display.send(&display::ClientMessage::Resume(resume)).await?;
        }
        let init = Init {
            pixmap_cache_id: 1,
            pixmap_cache_size: pixels,
            glz_dictionary_id: 1,
            glz_dictionary_window_size: 1 << 20,
        };
        display.send(&display::ClientMessage::Init(init)).await?;
        display.pace = match reads {
            Reads::Always => None,
            Reads::Slowly => Some((100, Duration::from_millis(100))),
            Reads::Never => Some((1, Duration::from_secs(3600))),
        };
        let received = Arc::clone(&display.received);
        let (tell, drawn) = mpsc::unbounded_channel();
        let task = tokio::spawn(follow(display, silent.subscribe(), Arc::clone(&picture), tell));
        Ok(Self {
            session,
            server,
            picture,
            received,
            drawn,
            silent,
            channels: vec![main, task],
            inputs: Vec::new(),
            before: Vec::new(),
        })
    }

    /// Images drawn since it began or came back, by how they came.
    pub(crate) fn images(&self) -> BTreeMap<&'static str, usize> {
        self.picture
            .lock()
            .map(|picture| picture.images.clone())
            .unwrap_or_default()
    }

    /// Opens the inputs channel.
    pub(crate) async fn inputs(&mut self) -> anyhow::Result<mpsc::UnboundedSender<inputs::ClientMessage>> {
        let mut channel = Connection::open(self.server, ChannelType::Inputs, self.session).await?;
        let (send, mut wanted) = mpsc::unbounded_channel();
        self.inputs.push(tokio::spawn(async move {
            loop {
                let done = tokio::select! {
                    message = wanted.recv() => match message {
                        Some(message) => channel.send(&message).await,
                        None => return,
                    },
                    frame = channel.frame() => match frame.map(|frame| frame.message::<inputs::ServerMessage>()) {
                        Ok(Ok(message)) => {
                            let common = match &message {
                                inputs::ServerMessage::Common(common) => Some(common),
                                _ => None,
                            };
                            channel.keep(common, inputs::ClientMessage::Common).await
                        }
                        _ => return,
                    },
                };
                if done.is_err() {
                    return;
                }
            }
        }));
        Ok(send)
    }

    /// Bytes of the display channel.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// What its screen shows.
    pub(crate) fn screen(&self) -> Option<Pixels> {
        let picture = self.picture.lock().ok()?;
        picture.canvas.read(0, picture.canvas.area(0)?)
    }

    /// What was drawn until now is not waited for.
    pub(crate) fn forget_drawn(&mut self) {
        while self.drawn.try_recv().is_ok() {}
    }

    /// Waits until something is drawn that covers an area.
    pub(crate) async fn draws(&mut self, area: Rect) -> anyhow::Result<Instant> {
        loop {
            let drawn = self.drawn.recv().await;
            let drawn = drawn.ok_or_else(|| anyhow::anyhow!("the display channel ended"))?;
            if drawn.area.contains(&area) {
                return Ok(drawn.at);
            }
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.channels.iter().for_each(JoinHandle::abort);
        self.inputs.iter().for_each(JoinHandle::abort);
    }
}

fn common_of_main(message: &main::ServerMessage) -> Option<&caraway_protocol::common::ServerCommon> {
    match message {
        main::ServerMessage::Common(common) => Some(common),
        _ => None,
    }
}

/// Forgets what does not outlive a connection. What it has then.
fn cut_off(picture: &mut picture::Client) -> Resume {
    picture.window = picture::window();
    picture.palettes.clear();
    picture.images.clear();
    let known = |id| {
        let area = picture.canvas.area(id)?;
        let pixels = picture.canvas.read(id, area)?;
        let tile = |x: u32, y: u32| {
            let rows = pixels.data.chunks(pixels.stride as usize);
            let rows = rows.skip(y as usize).take(TILE as usize);
            let columns = x as usize * 4..(x + TILE).min(pixels.width) as usize * 4;
            let rows = rows.map(|row| row.get(columns.clone()).unwrap_or_default());
            tile_hash(rows, pixels.format == SurfaceFormat::Argb)
        };
        let starts = (0..pixels.height).step_by(TILE as usize);
        let starts = starts.flat_map(|y| (0..pixels.width).step_by(TILE as usize).map(move |x| (x, y)));
        Some(KnownSurface {
            id,
            width: pixels.width,
            height: pixels.height,
            format: pixels.format,
            tiles: starts.map(|(x, y)| tile(x, y)).collect(),
        })
    };
    Resume {
        images: picture.cache.keys().copied().collect(),
        surfaces: picture.canvas.ids().filter_map(known).collect(),
    }
}

/// The next message, until the client has nothing to say any more.
async fn next(channel: &mut Connection, silent: &mut watch::Receiver<bool>) -> Option<Frame> {
    tokio::select! {
        frame = channel.frame() => frame.ok(),
        _ = silent.wait_for(|silent| *silent) => None,
    }
}

async fn attend(mut main: Connection, mut silent: watch::Receiver<bool>) -> Option<Connection> {
    while let Some(frame) = next(&mut main, &mut silent).await {
        let message = frame.message::<main::ServerMessage>().ok()?;
        let kept = main.keep(common_of_main(&message), main::ClientMessage::Common);
        kept.await.ok()?;
    }
    Some(main)
}

async fn follow(
    mut display: Connection,
    mut silent: watch::Receiver<bool>,
    picture: Arc<Mutex<picture::Client>>,
    tell: mpsc::UnboundedSender<Drawn>,
) -> Option<Connection> {
    while let Some(frame) = next(&mut display, &mut silent).await {
        let message = frame.message::<display::ServerMessage>().ok()?;
        let common = match &message {
            display::ServerMessage::Common(common) => Some(common),
            _ => None,
        };
        display.keep(common, display::ClientMessage::Common).await.ok()?;
        let area = match &message {
            display::ServerMessage::Draw(draw) => Some(draw.bbox),
            _ => None,
        };
        if let Ok(mut picture) = picture.lock() {
            picture.apply(message);
        }
        if let Some(area) = area {
            let at = Instant::now();
            // Nobody may be waiting.
            let _ = tell.send(Drawn { area, at });
        }
    }
    Some(display)
}
