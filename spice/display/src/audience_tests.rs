//! What a device hears of those who look at its display.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use caraway_canvas::Limits;
use caraway_ports::display::{Audience, DisplaySource, WantedHead};

use crate::{Display, ViewerCaps};

/// Notes what it is told.
#[derive(Default)]
struct Source {
    heard: Mutex<Vec<Audience>>,
    refreshed: AtomicUsize,
    wanted: Mutex<Vec<WantedHead>>,
}

impl DisplaySource for Source {
    fn audience(&self, audience: Audience) {
        self.heard.lock().unwrap().push(audience);
    }

    fn refresh(&self) {
        self.refreshed.fetch_add(1, Ordering::Relaxed);
    }

    fn takes_monitors(&self) -> bool {
        true
    }

    fn request_monitors(&self, heads: &[WantedHead]) {
        self.wanted.lock().unwrap().extend(heads);
    }
}

#[test]
fn the_device_is_asked_for_monitors_while_it_is_there() {
    let display = Display::new(Limits::default());
    let head = WantedHead {
        x: 0,
        y: 0,
        width: 1366,
        height: 768,
    };
    display.request_monitors(&[head]);
    assert!(!display.takes_monitors());
    let source = Arc::new(Source::default());
    let listener: Arc<dyn DisplaySource> = source.clone();
    display.set_source(Arc::downgrade(&listener));
    display.request_monitors(&[head]);
    assert!(display.takes_monitors());
    assert_eq!(*source.wanted.lock().unwrap(), [head]);
    drop((source, listener));
    display.request_monitors(&[head]);
    assert!(!display.takes_monitors());
}

#[test]
fn the_device_hears_of_its_audience_and_what_all_clients_can_do() {
    let display = Display::new(Limits::default());
    let source = Arc::new(Source::default());
    let listener: Arc<dyn DisplaySource> = source.clone();
    display.set_source(Arc::downgrade(&listener));
    let mut caps = ViewerCaps::default();
    caps.all[0] = 0b1110;
    let first = display.attach(caps, Arc::new(|| {}));
    caps.all[0] = 0b0110;
    let second = display.attach(caps, Arc::new(|| {}));
    let watch = display.watch();
    drop(second);
    drop(first);
    drop(watch);
    display.refresh();
    let with = |byte| {
        let mut bytes = [0; 58];
        bytes[0] = byte;
        Audience {
            watched: true,
            clients: Some(bytes),
        }
    };
    let watched = Audience {
        watched: true,
        clients: None,
    };
    let nobody = Audience::default();
    assert_eq!(
        *source.heard.lock().unwrap(),
        [
            nobody.clone(),
            with(0b1110),
            with(0b0110),
            with(0b1110),
            watched,
            nobody
        ]
    );
    assert_eq!(source.refreshed.load(Ordering::Relaxed), 1);
}
