//! What our encoders send of random commands and pictures, decoded by our decoders and drawn by our canvas, is what the
//! canvas has, in every mode; and with JPEG nothing differs that nobody said may.

#![allow(clippy::unwrap_used, clippy::panic)] // Helpers are tests too.

mod client;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use caraway_canvas::Limits;
use caraway_differential::{
    cell::Kind,
    chance::Chance,
    gallery::{Gallery, disturbance},
    round::{PRIMARY, Round, significant},
};
use caraway_display::{
    Dictionaries, Display, Encoder, EncoderConfig, ImageSettings, Item, Membership, Mode, Switch, Viewer, ViewerCaps,
};
use caraway_ports::{
    display::{DisplayCommand, DisplaySink, Pixels},
    geometry::Rect,
};

use self::client::{Client, SharedWindow, window};

const MODES: [Mode; 7] = [
    Mode::Off,
    Mode::AutoGlz,
    Mode::AutoLz,
    Mode::Quic,
    Mode::Glz,
    Mode::Lz,
    Mode::Lz4,
];

/// A display and a client of it.
struct Pair {
    display: Arc<Display>,
    /// Milliseconds.
    clock: Arc<AtomicU64>,
    viewer: Viewer,
    encoder: Encoder,
    client: Client,
    _membership: Option<Membership>,
}

impl Pair {
    fn new(settings: ImageSettings, dictionaries: &Dictionaries, window: SharedWindow) -> Self {
        let clock = Arc::new(AtomicU64::new(0));
        let hand = Arc::clone(&clock);
        let now = move || Duration::from_millis(hand.load(Ordering::Relaxed));
        let display = Display::with_clock(Limits::default(), Arc::new(now));
        let caps = ViewerCaps {
            composite: true,
            a8_surface: true,
            monitors: true,
            ..ViewerCaps::default()
        };
        let viewer = display.attach(caps, Arc::new(|| ()));
        let membership = dictionaries.join(1, 1 << 20);
        let encoder = Encoder::new(
            EncoderConfig {
                settings,
                has_lz4: true,
                dictionary: membership.as_ref().map(Membership::dictionary),
                ..EncoderConfig::default()
            },
            None,
        );
        viewer.set_lossy(encoder.may_lose());
        Self {
            display,
            clock,
            viewer,
            encoder,
            client: Client::new(window),
            _membership: membership,
        }
    }

    fn alone(settings: ImageSettings) -> Self {
        Self::new(settings, &Dictionaries::default(), window())
    }

    fn submit(&self, command: DisplayCommand) {
        self.display.submit(command);
    }

    /// Sends the next step; none is left when it gives nothing.
    fn send(&mut self) -> Option<Item> {
        let item = self.viewer.next()?;
        for message in self.encoder.encode(&item).unwrap() {
            self.client.apply(message);
        }
        Some(item)
    }

    fn send_all(&mut self) {
        while self.send().is_some() {}
    }

    /// Surface as the display has it, and as the client has it.
    fn surface(&self, id: u32, area: Rect) -> Option<(Pixels, Pixels)> {
        Some((self.display.read(id, area)?, self.client.canvas.read(id, area)?))
    }

    fn screen(&self) -> (Pixels, Pixels) {
        let (width, height) = self.display.size();
        self.surface(PRIMARY, Rect::at(0, 0, width, height)).unwrap()
    }
}

/// Bytes that differ in bits that mean something: by how much, and their places.
fn differences((ours, theirs): &(Pixels, Pixels)) -> impl Iterator<Item = (usize, u8)> {
    assert_eq!((ours.format, ours.stride), (theirs.format, theirs.stride));
    let mask = significant(ours.format);
    ours.data
        .iter()
        .zip(&theirs.data)
        .zip(mask.iter().cycle())
        .enumerate()
        .filter(|(_, ((one, other), mask))| (*one ^ *other) & *mask != 0)
        .map(|(at, ((one, other), _))| (at, one.abs_diff(*other)))
}

fn settings(mode: Mode, zlib: Switch) -> ImageSettings {
    ImageSettings {
        mode,
        zlib,
        ..ImageSettings::default()
    }
}

#[test]
fn random_commands_arrive_exactly_in_every_mode() {
    let mut images: BTreeMap<&str, usize> = BTreeMap::new();
    for (mode, zlib) in MODES
        .map(|mode| (mode, Switch::Never))
        .into_iter()
        .chain([(Mode::Glz, Switch::Always)])
    {
        let mut pair = Pair::alone(settings(mode, zlib));
        for number in 0..6 {
            let (mut round, commands) = Round::new(77, number);
            commands.into_iter().for_each(|command| pair.submit(command));
            pair.send_all();
            while let Some(made) = round.draw_next() {
                // Of text our canvas would count tiles from elsewhere than the client that it is told to.
                if made.cell.kind == Kind::Text {
                    continue;
                }
                pair.submit(DisplayCommand::Draw(Box::new(made.drawable)));
                pair.send_all();
                for place in &round.places {
                    let area = Rect::at(0, 0, place.width, place.height);
                    if let Some(both) = pair.surface(place.id, area) {
                        let differ = differences(&both).count();
                        assert_eq!(differ, 0, "{mode:?} {number} {:?} on {:?}", made.cell, place);
                    }
                }
            }
        }
        for (name, count) in pair.client.images {
            *images.entry(name).or_default() += count;
        }
    }
    for name in [
        "bitmap",
        "quic",
        "lz",
        "lz-palette",
        "glz",
        "zlib-glz",
        "lz4",
        "surface",
    ] {
        assert!(images.get(name).is_some_and(|count| *count > 20), "{name}: {images:?}");
    }
}

#[test]
fn pictures_arrive_exactly_on_two_displays_that_share_a_dictionary() {
    for mode in [Mode::AutoGlz, Mode::Glz] {
        let (dictionaries, window) = (Dictionaries::default(), window());
        let mut pairs = [(); 2].map(|()| Pair::new(settings(mode, Switch::Never), &dictionaries, window.clone()));
        for number in 0..4 {
            let mut galleries = [(); 2].map(|()| Gallery::new(5, number));
            for (pair, (_, commands)) in pairs.iter().zip(&galleries) {
                commands.iter().for_each(|command| pair.submit(command.clone()));
            }
            for _ in 0..12 {
                for (pair, (gallery, _)) in pairs.iter_mut().zip(&mut galleries) {
                    pair.submit(DisplayCommand::Draw(Box::new(gallery.hang())));
                    pair.send_all();
                    assert_eq!(differences(&pair.screen()).count(), 0, "{mode:?} {number}");
                }
            }
        }
        for pair in &pairs {
            assert!(pair.client.images["glz"] > 10, "{:?}", pair.client.images);
        }
    }
}

/// By how much a component of a photograph may differ in the mean.
const LOST: usize = 4;

#[test]
fn jpeg_loses_nothing_but_of_photographs_and_what_rests_is_made_good() {
    let settings = ImageSettings {
        jpeg: Switch::Always,
        ..ImageSettings::default()
    };
    for seed in 0..6 {
        let mut chance = Chance::new(seed, &[1]);
        let mut pair = Pair::alone(settings);
        let (mut gallery, commands) = Gallery::new(seed, 0);
        commands.into_iter().for_each(|command| pair.submit(command));
        pair.send_all();
        let (width, height) = pair.display.size();
        let mut lossy = vec![false; (width * height) as usize];
        for path in 0..60 {
            let drawable = match chance.pick(0..=2) {
                0 => gallery.hang_photo(chance.percent(50)),
                1 => gallery.hang(),
                _ => disturbance(path),
            };
            pair.submit(DisplayCommand::Draw(Box::new(drawable)));
            // A viewer that lags now and then.
            if chance.percent(60) {
                while let Some(item) = pair.send() {
                    let (area, lost) = match &item {
                        Item::Photo(drawable) => (drawable.bbox, true),
                        Item::Pixels { at, pixels, .. } => (Rect::at(at.x, at.y, pixels.width, pixels.height), false),
                        _ => continue,
                    };
                    for y in area.top..area.bottom {
                        let row = y as usize * width as usize;
                        lossy[row + area.left as usize..row + area.right as usize].fill(lost);
                    }
                }
                let mut sum = 0;
                for (at, by) in differences(&pair.screen()) {
                    assert!(lossy[at / 4], "seed {seed}, step {path}, byte {at} differs by {by}");
                    sum += usize::from(by);
                }
                let components = 3 * lossy.iter().filter(|lossy| **lossy).count();
                assert!(
                    sum <= components * LOST,
                    "seed {seed}, step {path}: {sum} of {components}"
                );
            }
        }
        pair.send_all();
        // Nothing is drawn for two seconds.
        for _ in 0..4 {
            pair.clock.fetch_add(500, Ordering::Relaxed);
            pair.viewer.tick();
            pair.send_all();
        }
        assert_eq!(differences(&pair.screen()).count(), 0, "seed {seed}");
        assert!(!pair.viewer.has_lost());
        let count = |name| pair.client.images.get(name).copied().unwrap_or(0);
        assert!(count("jpeg") > 2 && count("jpeg-alpha") > 1, "{:?}", pair.client.images);
    }
}
