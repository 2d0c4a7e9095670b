//! Sessions: what the channels of one client share.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use caraway_display::{Dictionaries, Pixmaps};
use caraway_protocol::channel::ChannelId;
use tokio::sync::watch;

/// Clients at once.
const MAX_SESSIONS: usize = 16;

/// How long a frame may be on its way at first, milliseconds: what a busy host takes longer at times. A client reports
/// when that is too little. The reference has 400, by which whatever moves is behind the rest of the screen.
const LATENCY: u32 = 60;

/// Raised by what frames were too late by, and so much: later ones will be later than that at times.
const MARGIN: u32 = 20;

/// The most it is raised to; the reference's figure.
const MAX_LATENCY: u32 = 5000;

/// One client.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: u32,
    /// GLZ dictionaries, which its displays share.
    pub(crate) dictionaries: Dictionaries,
    /// What it keeps of images, which its displays share as well.
    pub(crate) pixmaps: Pixmaps,
    /// It keeps shapes of the pointer.
    keeps_shapes: AtomicBool,
    /// What the link delivers in bits a second; 0 = not known.
    delivery: AtomicU64,
    /// Milliseconds that the client's media clock is behind the server's.
    latency: watch::Sender<u32>,
    ended: watch::Sender<bool>,
    open: Mutex<BTreeSet<(u8, u8)>>,
}

impl Session {
    /// Ends when the main channel does.
    pub(crate) async fn ended(&self) {
        let mut ended = self.ended.subscribe();
        // The sender lives in this session, so waiting cannot fail while it is borrowed.
        let _ = ended.wait_for(|ended| *ended).await;
    }

    /// Takes up whether the client keeps shapes of the pointer, before any other channel of it is linked.
    pub(crate) fn set_keeps_shapes(&self, keeps: bool) {
        self.keeps_shapes.store(keeps, Ordering::Relaxed);
    }

    /// Whether the client keeps shapes of the pointer.
    pub(crate) fn keeps_shapes(&self) -> bool {
        self.keeps_shapes.load(Ordering::Relaxed)
    }

    /// Takes up what the link was measured to deliver, in bits a second.
    pub(crate) fn set_delivery(&self, bits_per_second: u64) {
        self.delivery.store(bits_per_second, Ordering::Relaxed);
    }

    /// What the link delivers, in bits a second, if that was measured.
    pub(crate) fn delivery(&self) -> Option<u64> {
        Some(self.delivery.load(Ordering::Relaxed)).filter(|delivery| *delivery > 0)
    }

    /// How long frames may be on their way and are still shown in time, milliseconds.
    pub(crate) fn latency(&self) -> watch::Receiver<u32> {
        self.latency.subscribe()
    }

    /// Frames came too late by so much.
    pub(crate) fn raise_latency(&self, by: Duration) {
        let by = u32::try_from(by.as_millis()).unwrap_or(MAX_LATENCY);
        self.latency.send_if_modified(|latency| {
            let before = *latency;
            *latency = latency.saturating_add(by).saturating_add(MARGIN).min(MAX_LATENCY);
            *latency != before
        });
    }

    /// Marks a channel as open; `None` when it is open already.
    pub(crate) fn open(self: &Arc<Self>, channel: ChannelId) -> Option<OpenChannel> {
        let key = (u8::from(channel.kind), channel.id);
        lock(&self.open).insert(key).then(|| OpenChannel {
            session: Arc::clone(self),
            key,
        })
    }
}

/// A channel of a session is open while this lives.
#[derive(Debug)]
pub(crate) struct OpenChannel {
    pub(crate) session: Arc<Session>,
    key: (u8, u8),
}

impl Drop for OpenChannel {
    fn drop(&mut self) {
        lock(&self.session.open).remove(&self.key);
    }
}

/// All sessions of a server.
#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<BTreeMap<u32, Weak<Session>>>);

impl Sessions {
    /// A new session; `None` when there are too many.
    pub(crate) fn create(self: &Arc<Self>) -> Option<MainSession> {
        let mut sessions = lock(&self.0);
        if sessions.len() >= MAX_SESSIONS {
            return None;
        }
        // Random, so that the id of another client's session cannot be guessed; never 0.
        let id = loop {
            let id = rand::random::<u32>();
            if id != 0 && !sessions.contains_key(&id) {
                break id;
            }
        };
        let session = Arc::new(Session {
            id,
            dictionaries: Dictionaries::default(),
            pixmaps: Pixmaps::new(rand::random()),
            keeps_shapes: AtomicBool::new(false),
            delivery: AtomicU64::new(0),
            latency: watch::Sender::new(LATENCY),
            ended: watch::Sender::new(false),
            open: Mutex::default(),
        });
        sessions.insert(id, Arc::downgrade(&session));
        Some(MainSession {
            session,
            sessions: Arc::clone(self),
        })
    }

    /// The session with this id.
    pub(crate) fn find(&self, id: u32) -> Option<Arc<Session>> {
        lock(&self.0).get(&id)?.upgrade()
    }

    /// Number of clients.
    pub(crate) fn count(&self) -> usize {
        lock(&self.0).len()
    }
}

/// Held by the main channel: the session ends with it.
#[derive(Debug)]
pub(crate) struct MainSession {
    pub(crate) session: Arc<Session>,
    sessions: Arc<Sessions>,
}

impl Drop for MainSession {
    fn drop(&mut self) {
        lock(&self.sessions.0).remove(&self.session.id);
        self.session.ended.send_replace(true);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
