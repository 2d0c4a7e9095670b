//! The image caches of a client, as the server knows them, each shared by the displays that announce it.
//!
//! The server decides what a client keeps, and must know it exactly: a reference to an image that is not there blocks the
//! client for ever. Images are told apart by their content, so that guests that name none profit as well.
//!
//! Displays deliver on connections of their own, so that one may have to wait until the client has processed what another
//! was sent. No such waits may form a circle, not even together with those that GLZ brings about. Therefore a message
//! first takes what other displays have added, then encodes, and only when it is done others see what it adds; and it
//! waits for nothing that another display did after it was begun.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex},
};

use caraway_protocol::{
    channel::{ChannelId, ChannelType},
    common::{ServerCommon, WaitFor},
    display::{Resource, ResourceType, ServerMessage},
};

use super::dictionary::lock;

/// Most images in a cache: each takes some hundred bytes here and more at the client.
const MAX_IMAGES: usize = 1 << 14;
/// Most pixels a cache is taken to hold, whatever a client announces.
const MAX_PIXELS: u64 = 1 << 26;
/// No image takes more than one part in so many of a cache.
const LARGEST: u64 = 4;
/// Ids of images in a cache have this bit, those of others do not.
const CACHED: u64 = 1 << 63;

/// What tells images apart: a hash of all that decides what the client makes of one.
pub(super) type Content = u128;

/// The caches of one client, by the ids that its displays announce.
#[derive(Debug)]
pub struct Pixmaps {
    key: u64,
    /// A successor may follow: what displays that have left had sent is remembered.
    remembers: bool,
    caches: Mutex<BTreeMap<u8, Arc<Mutex<Cache>>>>,
    /// What is known of those of a session before this one.
    former: Mutex<BTreeMap<u8, Former>>,
}

/// A cache as an earlier session of the client left it.
#[derive(Debug)]
struct Former {
    /// By id. The client may have each of them or not.
    images: HashMap<u64, (Content, u64)>,
    /// The last id given.
    last: u64,
}

impl Pixmaps {
    /// None yet. Contents are told apart by a hash with this key, which should be random.
    #[must_use]
    pub const fn new(key: u64) -> Self {
        Self {
            key,
            remembers: false,
            caches: Mutex::new(BTreeMap::new()),
            former: Mutex::new(BTreeMap::new()),
        }
    }

    /// As [`Self::new`]; there may be a [`Self::successor`].
    #[must_use]
    pub fn remembering(key: u64) -> Self {
        Self {
            remembers: true,
            ..Self::new(key)
        }
    }

    /// Those of a session that follows on this one, of which the client still has some images: it says which when it
    /// [joins](Self::join).
    #[must_use]
    pub fn successor(&self) -> Self {
        let caches = lock(&self.caches);
        let former = caches.iter().map(|(id, cache)| (*id, lock(cache).former())).collect();
        drop(caches);
        Self {
            former: Mutex::new(former),
            ..Self::remembering(self.key)
        }
    }

    /// The part that a display has in a cache of so many pixels; the first display decides on them, and on what the client
    /// still `has` there from an earlier session. There is none for a client that announces no pixels, and none again under
    /// an id whose displays have left: what the client still has there is not known any more. Nor while an earlier part of
    /// the same display is still there.
    #[must_use]
    pub fn join(&self, id: u8, pixels: i64, display: u8, has: &[u64]) -> Option<PixmapCache> {
        let mut known = lock(&self.caches);
        let cache = if let Some(cache) = known.get(&id) {
            Arc::clone(cache)
        } else {
            let capacity = u64::try_from(pixels).ok().filter(|pixels| *pixels > 0)?;
            let mut cache = Cache::new(capacity.min(MAX_PIXELS));
            cache.remembers = self.remembers;
            cache.follow(lock(&self.former).remove(&id), has);
            let cache = Arc::new(Mutex::new(cache));
            known.insert(id, Arc::clone(&cache));
            cache
        };
        drop(known);
        if !lock(&cache).enter(display) {
            return None;
        }
        Some(PixmapCache {
            key: self.key,
            cache,
            display,
            message: Pending::default(),
            waited: BTreeMap::new(),
        })
    }
}

/// The part of one display in a cache. When it is dropped the display has left, and what it has added is not used any more:
/// it may never have been sent.
#[derive(Debug)]
pub struct PixmapCache {
    key: u64,
    cache: Arc<Mutex<Cache>>,
    display: u8,
    message: Pending,
    /// The serials of other displays that earlier messages have waited for: what follows them need not.
    waited: BTreeMap<u8, u64>,
}

/// What a message that is being built has to do with the cache.
#[derive(Debug, Default)]
struct Pending {
    /// When it was begun.
    began: u64,
    /// Something is encoded already.
    has_encoded: bool,
    used: Vec<Content>,
    added: Vec<Added>,
    dropped: Vec<u64>,
    /// Serials of other displays.
    waits: BTreeMap<u8, u64>,
}

#[derive(Debug)]
struct Added {
    content: Content,
    id: u64,
    pixels: u64,
}

impl Pending {
    /// Has the client drop an image once other displays do not need it any more.
    fn drop(&mut self, entry: &Entry, display: u8) {
        for other in entry.used_by_others(display) {
            wait(&mut self.waits, other.display, other.serial);
        }
        self.dropped.push(entry.id);
    }
}

impl PixmapCache {
    /// What a hash of contents begins with.
    pub(super) const fn key(&self) -> u64 {
        self.key
    }

    /// Begins a message.
    pub(super) fn begin(&mut self) {
        let mut cache = lock(&self.cache);
        let mut message = Pending {
            began: cache.tick(),
            ..Pending::default()
        };
        for orphan in std::mem::take(&mut cache.orphans) {
            message.drop(&orphan, self.display);
        }
        self.message = message;
    }

    /// From now on the message takes nothing of other displays: something is encoded that the client may decode only after
    /// what they are sent.
    pub(super) const fn encodes(&mut self) {
        self.message.has_encoded = true;
    }

    /// The id under which the client has an image, to be used in the message.
    pub(super) fn find(&mut self, content: Content) -> Option<u64> {
        let Self {
            cache,
            display,
            message,
            ..
        } = self;
        let mut cache = lock(cache);
        let entry = cache.entries.get_mut(&content)?;
        if let Some(Use {
            display: from, serial, ..
        }) = entry.added
            && from != *display
        {
            if message.has_encoded {
                return None;
            }
            wait(&mut message.waits, from, serial);
        }
        entry.held += 1;
        let id = entry.id;
        message.used.push(content);
        cache.touch(content);
        Some(id)
    }

    /// The id under which the client is to keep an image that comes with the message; `None` if it is not to.
    pub(super) fn add(&mut self, content: Content, pixels: u64) -> Option<u64> {
        let Self {
            cache,
            display,
            message,
            ..
        } = self;
        let mut cache = lock(cache);
        if pixels > cache.capacity / LARGEST || message.added.iter().any(|added| added.content == content) {
            return None;
        }
        cache.make_room(pixels, *display, message)?;
        cache.last += 1;
        let id = cache.last | CACHED;
        cache.reserved += pixels;
        message.added.push(Added { content, id, pixels });
        Some(id)
    }

    /// The message is done: what has to go before it. With those, `serial` is that of the first one. It may be several in a
    /// row, `messages`, at least one: what they use and add counts as the last one's.
    pub(super) fn commit(&mut self, serial: u64, messages: usize) -> Vec<ServerMessage> {
        let mut cache = lock(&self.cache);
        let message = std::mem::take(&mut self.message);
        let mut before = Vec::new();
        let waits = message.waits.into_iter().filter(|(display, serial)| {
            let waited = self.waited.entry(*display).or_default();
            let is_later = *serial > *waited;
            *waited = (*waited).max(*serial);
            is_later
        });
        let waits: Vec<WaitFor> = waits
            .map(|(id, serial)| WaitFor {
                channel: ChannelId {
                    kind: ChannelType::Display,
                    id,
                },
                serial,
            })
            .collect();
        if !waits.is_empty() {
            before.push(ServerMessage::Common(ServerCommon::WaitForChannels(waits)));
        }
        // The count on the wire has 16 bits.
        for ids in message.dropped.chunks(usize::from(u16::MAX)) {
            let resources = ids.iter().map(|id| Resource {
                kind: ResourceType::Pixmap,
                id: *id,
            });
            before.push(ServerMessage::InvalList(resources.collect()));
        }
        let this = Use {
            display: self.display,
            serial: serial.wrapping_add((before.len() + messages.saturating_sub(1)) as u64),
            at: cache.tick(),
        };
        for content in &message.used {
            if let Some(entry) = cache.entries.get_mut(content) {
                entry.held = entry.held.saturating_sub(1);
                entry.used_by(this);
            }
        }
        for Added { content, id, pixels } in message.added {
            cache.reserved = cache.reserved.saturating_sub(pixels);
            cache.insert(content, id, pixels, Some(this));
        }
        before
    }
}

impl Drop for PixmapCache {
    fn drop(&mut self) {
        let mut cache = lock(&self.cache);
        for content in &self.message.used {
            if let Some(entry) = cache.entries.get_mut(content) {
                entry.held = entry.held.saturating_sub(1);
            }
        }
        cache.reserved -= self
            .message
            .added
            .iter()
            .map(|added| added.pixels)
            .sum::<u64>()
            .min(cache.reserved);
        cache.leave(self.display);
    }
}

/// A message of a display that used an image.
#[derive(Clone, Copy, Debug)]
struct Use {
    display: u8,
    serial: u64,
    /// When it was done.
    at: u64,
}

#[derive(Debug)]
struct Entry {
    id: u64,
    pixels: u64,
    /// The last time it was of use.
    touched: u64,
    /// By whom; `None` = in an earlier session.
    added: Option<Use>,
    /// The last use by each display.
    uses: Vec<Use>,
    /// Messages being built that use it.
    held: u32,
}

impl Entry {
    const fn unused(id: u64, pixels: u64, added: Option<Use>, touched: u64) -> Self {
        Self {
            id,
            pixels,
            touched,
            added,
            uses: Vec::new(),
            held: 0,
        }
    }

    fn was_added_by(&self, display: u8) -> bool {
        self.added.is_some_and(|added| added.display == display)
    }

    fn used_by_others(&self, display: u8) -> impl Iterator<Item = &Use> {
        let all = self.uses.iter().chain(&self.added);
        all.filter(move |one| one.display != display)
    }

    fn used_by(&mut self, this: Use) {
        match self.uses.iter_mut().find(|known| known.display == this.display) {
            Some(known) => *known = this,
            None => self.uses.push(this),
        }
    }
}

#[derive(Debug)]
struct Cache {
    capacity: u64,
    /// The displays that take part.
    members: BTreeSet<u8>,
    /// There was one, and there is none any more.
    is_over: bool,
    /// What those who leave have added is remembered.
    remembers: bool,
    /// That, by id: contents and pixels.
    left: HashMap<u64, (Content, u64)>,
    /// Pixels of all entries.
    pixels: u64,
    /// Pixels of what messages being built will add.
    reserved: u64,
    now: u64,
    /// The last id given.
    last: u64,
    entries: HashMap<Content, Entry>,
    /// Those of the entries, the least recently used first.
    order: BTreeMap<u64, Content>,
    /// What the client has and nobody uses any more: to be dropped with the next message.
    orphans: Vec<Entry>,
}

impl Cache {
    fn new(capacity: u64) -> Self {
        Self {
            capacity,
            members: BTreeSet::new(),
            is_over: false,
            remembers: false,
            left: HashMap::new(),
            pixels: 0,
            reserved: 0,
            now: 0,
            last: 0,
            entries: HashMap::new(),
            order: BTreeMap::new(),
            orphans: Vec::new(),
        }
    }

    /// A display takes part; `false` if it cannot.
    fn enter(&mut self, display: u8) -> bool {
        !self.is_over && self.members.insert(display)
    }

    /// What an earlier session gave and the client `has`. What it has and nobody knows of has to go.
    fn follow(&mut self, former: Option<Former>, has: &[u64]) {
        let Some(Former { mut images, last }) = former else {
            return;
        };
        self.last = last;
        let has: BTreeSet<u64> = has.iter().copied().collect();
        for id in has {
            let known = images.remove(&id).filter(|(content, pixels)| {
                self.pixels + pixels <= self.capacity
                    && self.entries.len() < MAX_IMAGES
                    && !self.entries.contains_key(content)
            });
            match known {
                Some((content, pixels)) => self.insert(content, id, pixels, None),
                None => self.orphans.push(Entry::unused(id, 0, None, 0)),
            }
        }
    }

    fn former(&self) -> Former {
        let entries = self.entries.iter();
        let entries = entries.map(|(content, entry)| (entry.id, (*content, entry.pixels)));
        let left = self.left.iter().map(|(id, image)| (*id, *image));
        Former {
            images: left.chain(entries).collect(),
            last: self.last,
        }
    }

    fn tick(&mut self) -> u64 {
        self.now += 1;
        self.now
    }

    fn touch(&mut self, content: Content) {
        let now = self.tick();
        if let Some(entry) = self.entries.get_mut(&content) {
            self.order.remove(&entry.touched);
            entry.touched = now;
            self.order.insert(now, content);
        }
    }

    /// Drops the least recently used images until `pixels` more fit. One that is held, or that another display has used since
    /// the message was begun, cannot go: then there is no room, though older ones have gone.
    fn make_room(&mut self, pixels: u64, display: u8, message: &mut Pending) -> Option<()> {
        while self.pixels + self.reserved + pixels > self.capacity || self.entries.len() >= MAX_IMAGES {
            let (touched, content) = self
                .order
                .first_key_value()
                .map(|(touched, content)| (*touched, *content))?;
            let entry = self.entries.get(&content)?;
            if entry.held > 0 || entry.used_by_others(display).any(|other| other.at > message.began) {
                return None;
            }
            message.drop(entry, display);
            self.pixels -= entry.pixels.min(self.pixels);
            self.order.remove(&touched);
            self.entries.remove(&content);
        }
        Some(())
    }

    fn insert(&mut self, content: Content, id: u64, pixels: u64, added: Option<Use>) {
        let touched = self.tick();
        let entry = Entry::unused(id, pixels, added, touched);
        if self.entries.contains_key(&content) {
            // Two displays have added the same image at the same time.
            self.orphans.push(entry);
            return;
        }
        self.pixels += pixels;
        self.order.insert(touched, content);
        self.entries.insert(content, entry);
    }

    fn leave(&mut self, display: u8) {
        let Self {
            members,
            entries,
            order,
            orphans,
            pixels,
            left,
            ..
        } = self;
        members.remove(&display);
        for entry in entries.values_mut().chain(&mut *orphans) {
            entry.uses.retain(|one| one.display != display);
        }
        orphans.retain(|entry| !entry.was_added_by(display));
        if left.len() > MAX_IMAGES {
            left.clear();
        }
        entries.retain(|content, entry| {
            let stays = !entry.was_added_by(display);
            if !stays {
                if self.remembers {
                    left.insert(entry.id, (*content, entry.pixels));
                }
                // It may be at the client or not, and a message being built may name it.
                order.remove(&entry.touched);
                *pixels -= entry.pixels.min(*pixels);
            }
            stays
        });
        if members.is_empty() {
            self.is_over = true;
            if !self.remembers {
                *self = Self {
                    is_over: true,
                    ..Self::new(0)
                };
            }
        }
    }
}

/// What is waited for is the last of a display's messages.
fn wait(waits: &mut BTreeMap<u8, u64>, display: u8, serial: u64) {
    let known = waits.entry(display).or_insert(serial);
    *known = serial.max(*known);
}

#[cfg(test)]
#[path = "pixmaps_tests.rs"]
mod tests;
