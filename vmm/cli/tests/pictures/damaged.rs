//! Damaged recordings played to a client in each mode of compression and video: an error, or a picture.

use std::{io::Read as _, sync::Arc};

use caraway_canvas::Limits;
use caraway_display::{
    Dictionaries, Display, Encoder, EncoderConfig, ImageSettings, Mode, Pixmaps, Switch, VideoMode, ViewerCaps,
};
use caraway_trace::{Player, TraceReader};

use super::path;

/// Of a recording so many bytes are played: what comes later is of the same kinds.
const BYTES: u64 = 6 << 20;

/// How a record begins, and how many bytes behind that say what it is.
const RECORD: &[u8] = b"\nevent ";
const HEADS: usize = 200;

/// Every mode of compression, and JPEG and zlib, with every mode of video.
fn modes() -> Vec<(ImageSettings, VideoMode)> {
    let plain = |mode| ImageSettings {
        mode,
        ..ImageSettings::default()
    };
    let lossy = ImageSettings {
        mode: Mode::AutoGlz,
        jpeg: Switch::Always,
        zlib: Switch::Always,
    };
    let modes = [
        Mode::Off,
        Mode::AutoGlz,
        Mode::AutoLz,
        Mode::Quic,
        Mode::Glz,
        Mode::Lz,
        Mode::Lz4,
    ];
    let images: Vec<ImageSettings> = modes.into_iter().map(plain).chain([lossy]).collect();
    let videos = [VideoMode::Off, VideoMode::Filter, VideoMode::All];
    images
        .into_iter()
        .flat_map(|images| videos.map(|video| (images, video)))
        .collect()
}

/// Plays a recording to a viewer that is sent all of it; how many records there were, and whether the last one was whole.
fn play(recording: &[u8], (settings, video): (ImageSettings, VideoMode)) -> (usize, bool) {
    let display = Display::new(Limits::default());
    display.set_video(video);
    let caps = ViewerCaps {
        composite: true,
        a8_surface: true,
        monitors: true,
        streams: true,
        sized_streams: true,
        ..ViewerCaps::default()
    };
    let viewer = display.attach(caps, Arc::new(|| {}));
    let membership = Dictionaries::default().join(1, 1 << 22).unwrap();
    let config = EncoderConfig {
        settings,
        has_lz4: true,
        dictionary: Some(membership.dictionary()),
        ..EncoderConfig::default()
    };
    let mut encoder = Encoder::new(config, Pixmaps::new(1).join(1, 1 << 22, 0, &[]));
    viewer.set_lossy(encoder.may_lose());
    let mut serial = 1;
    let mut send = || {
        while let Some(item) = viewer.next() {
            encoder.set_serial(serial);
            serial += encoder.encode(&item).unwrap().len() as u64;
        }
    };
    let mut player = Player::new();
    let mut records = 0;
    let Ok(mut reader) = TraceReader::new(recording, caraway_trace::Limits::default()) else {
        return (0, false);
    };
    for event in &mut reader {
        let Ok(event) = event else {
            return (records, false);
        };
        player.play(event.what, display.as_ref());
        records += 1;
        if records % 16 == 0 {
            send();
        }
    }
    send();
    (records, !reader.is_cut())
}

/// Numbers without pattern, the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) as usize % bound
    }
}

fn damaged_in_each_mode(name: &str) {
    let mut whole = Vec::new();
    let input = caraway_trace::open(&path(&format!("{name}.rec.zst"))).unwrap();
    input.take(BYTES).read_to_end(&mut whole).unwrap();
    let modes = modes();
    let mut random = Random(5);
    let mut faults = 0;
    // In each mode it is cut once, and changed once.
    let damages = modes.len() * 2;
    for (damage, mode) in modes.iter().chain(&modes).enumerate() {
        let mut recording = whole.clone();
        let is_cut = damage < modes.len();
        if is_cut {
            recording.truncate(random.below(whole.len()));
        } else {
            for _ in 0..1 + random.below(3) {
                let mut place = random.below(recording.len());
                if random.below(2) == 0 {
                    // Most bytes are pixels: what says what they are is behind the begin of a record.
                    let next = recording[place..]
                        .windows(RECORD.len())
                        .position(|bytes| bytes == RECORD);
                    place = (place + next.unwrap_or(0) + random.below(HEADS)).min(recording.len() - 1);
                }
                // Digits become other digits, so that most numbers stay numbers; all else becomes anything.
                recording[place] = match recording[place] {
                    b'0'..=b'9' => b'0' + random.below(10) as u8,
                    _ => random.below(256) as u8,
                };
            }
        }
        let (records, ended_well) = play(&recording, *mode);
        faults += usize::from(!ended_well);
        assert!(
            records > 0 || !ended_well,
            "{name} {damage}: nothing was read, and that was fine"
        );
        // What comes before the cut is played, and its end is told.
        assert!(!is_cut || !ended_well || recording.ends_with(b"\n"), "{name} {damage}");
    }
    assert!(faults >= damages / 3, "{name}: {faults}");
}

#[test]
fn a_damaged_console_ends_with_an_error_or_a_picture_in_each_mode() {
    damaged_in_each_mode("console");
}

#[test]
fn a_damaged_gtk_ums_ends_with_an_error_or_a_picture_in_each_mode() {
    damaged_in_each_mode("gtk-ums");
}

#[test]
fn a_damaged_video_ums_ends_with_an_error_or_a_picture_in_each_mode() {
    damaged_in_each_mode("video-ums");
}

#[test]
fn a_damaged_cursor_kms_ends_with_an_error_or_a_picture_in_each_mode() {
    damaged_in_each_mode("cursor-kms");
}
