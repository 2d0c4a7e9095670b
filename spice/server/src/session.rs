//! Sessions: what the channels of one client share.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use caraway_display::{Dictionaries, Pixmaps};
use caraway_protocol::channel::ChannelId;
use tokio::{sync::watch, time::Instant};

use crate::{ClientFigures, Peer, Role, access::Who, figures::Counters, rate::Cap, transport::Allowance};

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
    /// What the client may do.
    pub(crate) role: Role,
    /// Whose it is, if users have names.
    pub(crate) user: Option<String>,
    /// The client can come back to it after its connections were cut.
    pub(crate) resumes: bool,
    /// It has been said good-bye, by either side: nobody comes back to it.
    dismissed: AtomicBool,
    /// GLZ dictionaries, which its displays share.
    pub(crate) dictionaries: Dictionaries,
    /// What it keeps of images, which its displays share as well.
    pub(crate) pixmaps: Pixmaps,
    /// It keeps shapes of the pointer.
    keeps_shapes: AtomicBool,
    /// What the link delivers, in bits a second.
    delivery: watch::Sender<Option<u64>>,
    /// Milliseconds that the client's media clock is behind the server's.
    latency: watch::Sender<u32>,
    /// The shortest round trip in nanoseconds; 0 = not known.
    round_trip: AtomicU64,
    ended: watch::Sender<bool>,
    /// The channels that are open, by type and id.
    open: Mutex<BTreeMap<(u8, u8), Arc<Counters>>>,
    cap: Arc<Cap>,
    total: Arc<Cap>,
    peer: Peer,
    began: Instant,
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

    /// Ends the session.
    pub(crate) fn end(&self) {
        self.ended.send_replace(true);
    }

    /// Nobody will come back to it.
    pub(crate) fn dismiss(&self) {
        self.dismissed.store(true, Ordering::Relaxed);
    }

    /// Takes up what the link was measured to deliver, in bits a second.
    pub(crate) fn set_delivery(&self, bits_per_second: u64) {
        self.delivery.send_replace(Some(bits_per_second));
    }

    /// What the link delivers, in bits a second, if that was measured.
    pub(crate) fn delivery(&self) -> Option<u64> {
        *self.delivery.borrow()
    }

    /// Waits until it was measured what the link delivers.
    pub(crate) async fn measured(&self) {
        // As above.
        let _ = self.delivery.subscribe().wait_for(Option::is_some).await;
    }

    /// Takes up the shortest round trip.
    pub(crate) fn set_round_trip(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).max(1);
        self.round_trip.store(nanos, Ordering::Relaxed);
    }

    /// The shortest round trip, if there was one.
    pub(crate) fn round_trip(&self) -> Option<Duration> {
        let nanos = self.round_trip.load(Ordering::Relaxed);
        (nanos > 0).then(|| Duration::from_nanos(nanos))
    }

    /// What a channel may write; whether it waits when there is too little.
    pub(crate) fn allowance(&self, waits: bool) -> Allowance {
        Allowance {
            client: Arc::clone(&self.cap),
            total: Arc::clone(&self.total),
            waits,
        }
    }

    fn figures(&self) -> ClientFigures {
        let open = lock(&self.open);
        ClientFigures {
            connection_id: self.id,
            peer: self.peer.clone(),
            role: self.role,
            user: self.user.clone(),
            connected: self.began.elapsed(),
            round_trip: self.round_trip(),
            delivery: self.delivery(),
            channels: open.iter().map(|(key, counters)| counters.figures(*key)).collect(),
        }
    }

    /// How long frames may be on their way and are still shown in time, milliseconds.
    pub(crate) fn latency(&self) -> watch::Receiver<u32> {
        self.latency.subscribe()
    }

    /// Frames came too late by so much.
    pub(crate) fn raise_latency(&self, by: Duration) {
        let now = *self.latency.borrow();
        self.need_latency(Duration::from_millis(u64::from(now) + u64::from(MARGIN)).saturating_add(by));
    }

    /// Frames need so long.
    pub(crate) fn need_latency(&self, time: Duration) {
        let needed = u32::try_from(time.as_millis()).unwrap_or(MAX_LATENCY).min(MAX_LATENCY);
        self.latency.send_if_modified(|latency| {
            let before = *latency;
            *latency = before.max(needed);
            *latency != before
        });
    }

    /// Marks a channel as open; `None` when it is open already.
    pub(crate) fn open(self: &Arc<Self>, channel: ChannelId) -> Option<OpenChannel> {
        let key = (u8::from(channel.kind), channel.id);
        let mut open = lock(&self.open);
        if open.contains_key(&key) {
            return None;
        }
        let counters = Arc::<Counters>::default();
        open.insert(key, Arc::clone(&counters));
        Some(OpenChannel {
            session: Arc::clone(self),
            key,
            counters,
        })
    }
}

/// A channel of a session is open while this lives.
#[derive(Debug)]
pub(crate) struct OpenChannel {
    pub(crate) session: Arc<Session>,
    pub(crate) counters: Arc<Counters>,
    key: (u8, u8),
}

impl Drop for OpenChannel {
    fn drop(&mut self) {
        lock(&self.session.open).remove(&self.key);
    }
}

/// How many clients there may be, and who gives way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sharing {
    /// Up to 16; further ones are refused.
    #[default]
    Many,
    /// One: who comes later has the screen, and who had it is disconnected.
    Newest,
    /// One: who comes later is refused.
    First,
}

/// All sessions of a server.
#[derive(Debug)]
pub(crate) struct Sessions {
    all: Mutex<All>,
    sharing: Sharing,
    /// For how long a session is kept whose client can come back.
    grace: Duration,
    /// Bits a second for each client.
    client_rate: Option<u64>,
    total: Arc<Cap>,
}

#[derive(Debug, Default)]
struct All {
    live: BTreeMap<u32, Weak<Session>>,
    /// Those whose clients may come back, and until when.
    kept: BTreeMap<u32, (Arc<Session>, Instant)>,
}

impl All {
    /// Forgets those that were kept for long enough.
    fn tidy(&mut self) {
        let now = Instant::now();
        self.kept.retain(|_, (_, until)| *until > now);
    }

    /// Ends all of them for good.
    fn dismiss(&mut self) {
        self.kept.clear();
        for session in self.live.values().filter_map(Weak::upgrade) {
            // They take themselves off the list.
            session.dismiss();
            session.end();
        }
    }

    /// Makes room for one more; `false` if there is none.
    fn make_room(&mut self, sharing: Sharing) -> bool {
        self.tidy();
        match sharing {
            Sharing::First if !(self.live.is_empty() && self.kept.is_empty()) => return false,
            Sharing::Newest => self.dismiss(),
            Sharing::Many | Sharing::First => {}
        }
        if self.live.len() + self.kept.len() >= MAX_SESSIONS {
            // Who is there comes before who may come back.
            let oldest = self.kept.iter().min_by_key(|(_, (_, until))| *until);
            let oldest = oldest.map(|(id, _)| *id);
            return oldest.is_some_and(|id| self.kept.remove(&id).is_some());
        }
        true
    }

    /// Random, so that the id of another client's session cannot be guessed; never 0.
    fn new_id(&self) -> u32 {
        loop {
            let id = rand::random::<u32>();
            if id != 0 && !self.live.contains_key(&id) && !self.kept.contains_key(&id) {
                return id;
            }
        }
    }
}

impl Sessions {
    /// None yet. The rates are in bits a second, of each client and of all.
    pub(crate) fn new(client_rate: Option<u64>, total_rate: Option<u64>, sharing: Sharing, grace: Duration) -> Self {
        Self {
            all: Mutex::default(),
            sharing,
            grace,
            client_rate,
            total: Arc::new(Cap::new(total_rate)),
        }
    }

    /// A new session; `None` when there are too many.
    pub(crate) fn create(self: &Arc<Self>, peer: &Peer, who: &Who, resumes: bool) -> Option<MainSession> {
        let mut all = lock(&self.all);
        if !all.make_room(self.sharing) {
            return None;
        }
        let resumes = resumes && !self.grace.is_zero();
        let pixmaps = if resumes { Pixmaps::remembering } else { Pixmaps::new };
        Some(self.start(&mut all, peer, (who, resumes), pixmaps(rand::random())))
    }

    /// The session that follows on the one with this id, whose client has come back; `None` when there is none, or none of this
    /// role and user.
    pub(crate) fn resume(self: &Arc<Self>, id: u32, peer: &Peer, who: &Who) -> Option<MainSession> {
        let mut all = lock(&self.all);
        all.tidy();
        // It may not have been found out yet that the client was gone.
        let live = all.live.get(&id).and_then(Weak::upgrade);
        let former = live.or_else(|| all.kept.get(&id).map(|(session, _)| Arc::clone(session)))?;
        if !former.resumes
            || former.role != who.role
            || former.user != who.user
            || former.dismissed.swap(true, Ordering::Relaxed)
        {
            return None;
        }
        former.end();
        all.live.remove(&id);
        all.kept.remove(&id);
        Some(self.start(&mut all, peer, (who, true), former.pixmaps.successor()))
    }

    fn start(
        self: &Arc<Self>,
        all: &mut All,
        peer: &Peer,
        (who, resumes): (&Who, bool),
        pixmaps: Pixmaps,
    ) -> MainSession {
        let id = all.new_id();
        let session = Arc::new(Session {
            id,
            role: who.role,
            user: who.user.clone(),
            resumes,
            dismissed: AtomicBool::new(false),
            dictionaries: Dictionaries::default(),
            pixmaps,
            keeps_shapes: AtomicBool::new(false),
            delivery: watch::Sender::default(),
            latency: watch::Sender::new(LATENCY),
            round_trip: AtomicU64::new(0),
            ended: watch::Sender::new(false),
            open: Mutex::default(),
            cap: Arc::new(Cap::new(self.client_rate)),
            total: Arc::clone(&self.total),
            peer: peer.clone(),
            began: Instant::now(),
        });
        all.live.insert(id, Arc::downgrade(&session));
        MainSession {
            session,
            sessions: Arc::clone(self),
        }
    }

    /// The main channel of a session has ended.
    fn over(self: &Arc<Self>, session: &Arc<Session>) {
        let mut all = lock(&self.all);
        let is_live = all
            .live
            .get(&session.id)
            .is_some_and(|live| live.as_ptr() == Arc::as_ptr(session));
        if is_live {
            all.live.remove(&session.id);
        }
        if !session.resumes || session.dismissed.load(Ordering::Relaxed) {
            return;
        }
        let until = Instant::now() + self.grace;
        all.kept.insert(session.id, (Arc::clone(session), until));
        drop(all);
        // When nobody else comes, it goes all the same.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let sessions = Arc::downgrade(self);
            runtime.spawn(async move {
                tokio::time::sleep_until(until).await;
                if let Some(sessions) = sessions.upgrade() {
                    lock(&sessions.all).tidy();
                }
            });
        }
    }

    /// The session with this id.
    pub(crate) fn find(&self, id: u32) -> Option<Arc<Session>> {
        lock(&self.all).live.get(&id)?.upgrade()
    }

    /// What is counted of all clients.
    pub(crate) fn figures(&self) -> Vec<ClientFigures> {
        let sessions: Vec<_> = lock(&self.all).live.values().filter_map(Weak::upgrade).collect();
        sessions.iter().map(|session| session.figures()).collect()
    }

    /// Ends all of them for good.
    pub(crate) fn end_all(&self) {
        lock(&self.all).dismiss();
    }

    /// Number of clients.
    pub(crate) fn count(&self) -> usize {
        lock(&self.all).live.len()
    }
}

/// Held by the main channel: the session ends with it, and is kept for a while if its client can come back.
#[derive(Debug)]
pub(crate) struct MainSession {
    pub(crate) session: Arc<Session>,
    sessions: Arc<Sessions>,
}

impl Drop for MainSession {
    fn drop(&mut self) {
        self.session.end();
        self.sessions.over(&self.session);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
