//! The GLZ dictionaries of a client, each shared by the displays that announce it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use caraway_image::{
    glz::{Dictionary, GlzStream},
    pool,
};
use caraway_ports::drawing::Bitmap;

/// Largest window in pixels that is made use of, whatever a client announces: one picture of 1920x1080 fits. With the
/// memory a dictionary takes for each pixel, and its tables, a client costs 21 MiB at most.
pub const MAX_GLZ_WINDOW: u32 = 1 << 21;

/// The dictionaries of one client, by the ids that its displays announce.
#[derive(Debug, Default)]
pub struct Dictionaries(Mutex<BTreeMap<u8, Weak<Shared>>>);

impl Dictionaries {
    /// Takes part in a dictionary, with the window in pixels that the display announces: the first display decides. There
    /// is none for a client that announces no window, and none again under an id whose displays have left: the client still
    /// counts from where they ended.
    #[must_use]
    pub fn join(&self, id: u8, window_pixels: i32) -> Option<Membership> {
        let mut known = lock(&self.0);
        if let Some(shared) = known.get(&id) {
            return shared.upgrade().map(Membership::new);
        }
        let window = u32::try_from(window_pixels).unwrap_or(0).min(MAX_GLZ_WINDOW);
        if window == 0 {
            return None;
        }
        let shared = Arc::new(Shared {
            window,
            displays: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
            dictionary: Mutex::default(),
        });
        known.insert(id, Arc::downgrade(&shared));
        Some(Membership::new(shared))
    }
}

#[derive(Debug)]
struct Shared {
    window: u32,
    /// Those that take part.
    displays: AtomicUsize,
    /// An image may have been encoded and never sent: nothing may refer to it, and the client waits for it in vain.
    ended: AtomicBool,
    /// Made for the first image.
    dictionary: Mutex<Option<Dictionary>>,
}

/// That a display takes part in a dictionary. When it is dropped the display has left, maybe without having sent all it
/// has encoded, so that the dictionary ends for all of its displays.
#[derive(Debug)]
pub struct Membership(Arc<Shared>);

impl Membership {
    fn new(shared: Arc<Shared>) -> Self {
        shared.displays.fetch_add(1, Ordering::SeqCst);
        Self(shared)
    }

    /// The dictionary, for the display's encoder.
    #[must_use]
    pub fn dictionary(&self) -> SharedDictionary {
        SharedDictionary(Arc::clone(&self.0))
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::SeqCst);
        self.0.displays.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A dictionary in the hands of an encoder.
#[derive(Clone, Debug)]
pub struct SharedDictionary(Arc<Shared>);

impl SharedDictionary {
    /// Pixels of its window; `None` when it has ended.
    pub(super) fn window(&self) -> Option<u32> {
        (!self.0.ended.load(Ordering::SeqCst)).then_some(self.0.window)
    }

    /// Whether another display may be encoding when this one wants to.
    pub(super) fn is_shared(&self) -> bool {
        self.0.displays.load(Ordering::SeqCst) > 1
    }

    /// The stream of a bitmap, which must be sent; `None` when it does not fit or the dictionary has ended.
    pub(super) fn encode(&self, bitmap: &Bitmap) -> Option<GlzStream> {
        // One that a panic has left in the middle of an image is of no use to anybody.
        let mut dictionary = self.0.dictionary.lock().ok()?;
        // Looked at with the lock held: what a display has encoded before it left is not referred to.
        let window = self.window()?;
        let dictionary = match &mut *dictionary {
            Some(dictionary) => dictionary,
            none => none.insert(Dictionary::new(window).ok()?.with_parts(pool::threads())),
        };
        dictionary.encode_bitmap(bitmap).ok()
    }
}

/// The content of a mutex, whatever became of who held it.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use caraway_ports::drawing::BitmapFormat;

    use super::*;

    fn picture() -> Bitmap {
        Bitmap {
            format: BitmapFormat::Bit32,
            width: 16,
            height: 4,
            stride: 64,
            top_down: true,
            palette: None,
            data: vec![5; 256].into(),
        }
    }

    #[test]
    fn displays_of_one_id_count_together_and_those_of_another_apart() {
        let dictionaries = Dictionaries::default();
        let one = dictionaries.join(1, 4096).unwrap();
        let same = dictionaries.join(1, 64).unwrap();
        let other = dictionaries.join(2, i32::MAX).unwrap();
        assert!(one.dictionary().is_shared() && !other.dictionary().is_shared());
        let id = |member: &Membership| member.dictionary().encode(&picture()).unwrap().id;
        assert_eq!([id(&one), id(&same), id(&other), id(&one)], [0, 1, 0, 2]);
        assert_eq!(same.dictionary().window(), Some(4096), "the first display decides");
        assert_eq!(other.dictionary().window(), Some(MAX_GLZ_WINDOW));
    }

    #[test]
    fn without_a_window_there_is_none() {
        for window in [0, -1, i32::MIN] {
            assert!(Dictionaries::default().join(1, window).is_none(), "{window}");
        }
    }

    #[test]
    fn when_a_display_leaves_the_dictionary_ends_for_all_and_for_good() {
        let dictionaries = Dictionaries::default();
        let (one, other) = (dictionaries.join(1, 4096).unwrap(), dictionaries.join(1, 4096).unwrap());
        let left_behind = other.dictionary();
        assert!(left_behind.encode(&picture()).is_some());
        drop(one);
        assert_eq!(left_behind.encode(&picture()), None);
        assert_eq!(left_behind.window(), None);
        assert_eq!(dictionaries.join(1, 4096).unwrap().dictionary().window(), None);
        drop((other, left_behind));
        assert!(
            dictionaries.join(1, 4096).is_none(),
            "the memory is gone, the id is not free"
        );
        assert!(dictionaries.join(2, 4096).is_some());
    }
}
