//! A client that draws what it is sent.

use std::{
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
    display::{self, Init},
    inputs, main_channel as main,
};
use tokio::{sync::mpsc, task::JoinHandle};

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
    tasks: Vec<JoinHandle<()>>,
}

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

impl Client {
    pub(crate) async fn new(server: SocketAddr, reads: Reads) -> anyhow::Result<Self> {
        let mut main = Connection::open(server, ChannelType::Main, 0).await?;
        let session = loop {
            let frame = main.frame().await?;
            let message: main::ServerMessage = frame.message()?;
            main.keep(common_of_main(&message), main::ClientMessage::Common).await?;
            if let main::ServerMessage::Init(init) = message {
                break init.session_id;
            }
        };
        let main = tokio::spawn(async move {
            while let Ok(frame) = main.frame().await {
                let Ok(message) = frame.message::<main::ServerMessage>() else {
                    break;
                };
                let kept = main.keep(common_of_main(&message), main::ClientMessage::Common);
                if kept.await.is_err() {
                    break;
                }
            }
        });
        let mut display = Connection::open(server, ChannelType::Display, session).await?;
        let init = Init {
            pixmap_cache_id: 1,
            pixmap_cache_size: 0,
            glz_dictionary_id: 1,
            glz_dictionary_window_size: 1 << 20,
        };
        display.send(&display::ClientMessage::Init(init)).await?;
        display.pace = match reads {
            Reads::Always => None,
            Reads::Slowly => Some((100, Duration::from_millis(100))),
            Reads::Never => Some((1, Duration::from_secs(3600))),
        };
        let picture = Arc::new(Mutex::new(picture::Client::new(picture::window())));
        let received = Arc::clone(&display.received);
        let (tell, drawn) = mpsc::unbounded_channel();
        let task = tokio::spawn(follow(display, Arc::clone(&picture), tell));
        Ok(Self {
            session,
            server,
            picture,
            received,
            drawn,
            tasks: vec![main, task],
        })
    }

    /// Opens the inputs channel.
    pub(crate) async fn inputs(&mut self) -> anyhow::Result<mpsc::UnboundedSender<inputs::ClientMessage>> {
        let mut channel = Connection::open(self.server, ChannelType::Inputs, self.session).await?;
        let (send, mut wanted) = mpsc::unbounded_channel();
        self.tasks.push(tokio::spawn(async move {
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
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

fn common_of_main(message: &main::ServerMessage) -> Option<&caraway_protocol::common::ServerCommon> {
    match message {
        main::ServerMessage::Common(common) => Some(common),
        _ => None,
    }
}

async fn follow(mut display: Connection, picture: Arc<Mutex<picture::Client>>, tell: mpsc::UnboundedSender<Drawn>) {
    while let Ok(frame) = display.frame().await {
        let Ok(message) = frame.message::<display::ServerMessage>() else {
            return;
        };
        let common = match &message {
            display::ServerMessage::Common(common) => Some(common),
            _ => None,
        };
        if display.keep(common, display::ClientMessage::Common).await.is_err() {
            return;
        }
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
}
