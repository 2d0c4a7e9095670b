//! A client that keeps shapes as the reference client does, and is never told of one it does not have.

use std::{collections::BTreeMap, sync::Arc};

use caraway_ports::{
    display::{CursorShape, CursorType},
    geometry::Point,
};
use proptest::prelude::*;

use super::*;

/// What the client makes of a shape: kind, size, hot spot and pixels.
type Seen = (u8, [u16; 4], Vec<u8>);

#[derive(Default)]
struct Client {
    kept: BTreeMap<u64, Seen>,
    most: usize,
}

impl Client {
    /// Takes one message; the shape it shows, if it has one.
    fn take(&mut self, message: &ServerMessage) -> Option<Seen> {
        match message {
            ServerMessage::Init { cursor, .. } => {
                self.kept.clear();
                self.shape(cursor)
            }
            ServerMessage::Set { cursor, .. } => self.shape(cursor),
            ServerMessage::InvalOne(key) => {
                assert!(self.kept.remove(key).is_some(), "{key} is not there to be dropped");
                None
            }
            ServerMessage::InvalAll | ServerMessage::Reset => {
                self.kept.clear();
                None
            }
            _ => None,
        }
    }

    fn shape(&mut self, cursor: &Cursor) -> Option<Seen> {
        match cursor {
            Cursor::None => None,
            Cursor::Cached(header) => Some(self.kept.get(&header.unique).expect("never sent, or dropped").clone()),
            Cursor::Shape { header, cache, data } => {
                let numbers = [header.width, header.height, header.hot_spot_x, header.hot_spot_y];
                let seen = (u8::from(header.kind), numbers, data.to_vec());
                if *cache && !data.is_empty() {
                    assert_ne!(header.unique, 0);
                    assert!(
                        self.kept.insert(header.unique, seen.clone()).is_none(),
                        "key given twice"
                    );
                    self.most = self.most.max(self.kept.len());
                }
                Some(seen)
            }
        }
    }
}

fn shape(number: u16) -> Arc<CursorShape> {
    let kinds = [CursorType::Alpha, CursorType::Color32];
    Arc::new(CursorShape {
        // The guest gives all the same name.
        unique: 7,
        kind: kinds[usize::from(number / 2 % 2)],
        width: 1,
        height: 2,
        hot_spot: (number % 2, 0),
        data: [number / 4; 8].iter().flat_map(|word| word.to_le_bytes()).collect(),
    })
}

fn set(shape: &Arc<CursorShape>) -> CursorItem {
    CursorItem::Set {
        position: Point::default(),
        visible: true,
        shape: Arc::clone(shape),
    }
}

fn init(shape: Option<&Arc<CursorShape>>) -> CursorItem {
    CursorItem::Init {
        position: Point::default(),
        visible: true,
        shape: shape.map(Arc::clone),
        trail: (0, 0),
    }
}

fn shown(shape: &CursorShape) -> Seen {
    let numbers = [shape.width, shape.height, shape.hot_spot.0, shape.hot_spot.1];
    (shape.kind as u8, numbers, shape.data.to_vec())
}

#[test]
fn a_shape_is_sent_once_and_its_key_is_ours() {
    let mut encoder = CursorEncoder::new(true);
    let first = encoder.encode(&init(Some(&shape(1))));
    let second = encoder.encode(&set(&shape(1)));
    assert!(
        matches!(&first[..], [ServerMessage::Init { cursor: Cursor::Shape { header, cache: true, .. }, .. }] if header.unique == 1)
    );
    assert!(matches!(&second[..], [ServerMessage::Set { cursor: Cursor::Cached(header), .. }] if header.unique == 1));
}

#[test]
fn a_client_that_keeps_nothing_is_sent_every_shape() {
    let mut encoder = CursorEncoder::new(false);
    for _ in 0..2 {
        let messages = encoder.encode(&set(&shape(1)));
        assert!(
            matches!(&messages[..], [ServerMessage::Set { cursor: Cursor::Shape { header, cache: false, .. }, .. }] if header.unique == 0)
        );
    }
}

#[test]
fn a_shape_without_pixels_is_not_kept() {
    let empty = Arc::new(CursorShape {
        width: 0,
        data: Bytes::new(),
        ..(*shape(0)).clone()
    });
    let mut encoder = CursorEncoder::new(true);
    for _ in 0..2 {
        let messages = encoder.encode(&set(&empty));
        assert!(matches!(
            &messages[..],
            [ServerMessage::Set {
                cursor: Cursor::Shape { cache: false, .. },
                ..
            }]
        ));
    }
}

#[test]
fn a_client_has_at_most_one_shape_more_than_it_keeps() {
    let (mut encoder, mut client) = (CursorEncoder::new(true), Client::default());
    for number in 0..1000 {
        for message in encoder.encode(&set(&shape(number))) {
            client.take(&message);
        }
        // This one is always in use.
        let again = encoder.encode(&set(&shape(0)));
        assert!(matches!(
            &again[..],
            [ServerMessage::Set {
                cursor: Cursor::Cached(_),
                ..
            }]
        ));
        client.take(&again[0]);
    }
    assert_eq!((client.kept.len(), client.most), (CACHE_ENTRIES, CACHE_ENTRIES + 1));
}

proptest! {
    #[test]
    fn a_client_shows_every_shape_and_has_what_it_is_told_of(
        steps in proptest::collection::vec((0..600u16, 0..40u8), 1..1500)
    ) {
        let (mut encoder, mut client) = (CursorEncoder::new(true), Client::default());
        for (number, kind) in steps {
            let shape = shape(number);
            let (item, expected) = match kind {
                0 => (init(None), None),
                1 => (init(Some(&shape)), Some(shown(&shape))),
                2 => (CursorItem::Reset, None),
                3 => (CursorItem::Hide, None),
                _ => (set(&shape), Some(shown(&shape))),
            };
            let messages = encoder.encode(&item);
            let seen: Vec<Option<Seen>> = messages.iter().map(|message| client.take(message)).collect();
            prop_assert_eq!(&seen[0], &expected);
            prop_assert!(client.kept.len() <= CACHE_ENTRIES);
        }
    }
}

/// A shape of two pixels in a row, the second one seen through, as it is sent.
fn sent(kind: CursorType, data: &[u8]) -> Seen {
    let shape = Arc::new(CursorShape {
        unique: 0,
        kind,
        width: 2,
        height: 1,
        hot_spot: (1, 0),
        data: data.to_vec().into(),
    });
    let mut client = Client::default();
    let messages = CursorEncoder::new(true).encode(&set(&shape));
    messages
        .iter()
        .find_map(|message| client.take(message))
        .expect("a shape")
}

#[test]
fn shapes_of_8_and_24_bits_are_sent_with_32() {
    let wide = [1, 2, 3, 0, 4, 5, 6, 0, 0x40].to_vec();
    let wanted = (CursorType::Color32 as u8, [2, 1, 1, 0], wide.clone());
    let mut palette = [[9; 4]; 256];
    (palette[7], palette[255]) = ([1, 2, 3, 0], [4, 5, 6, 0]);
    let indexed = [&[7, 255][..], palette.as_flattened(), &[0x40]].concat();
    assert_eq!(sent(CursorType::Color8, &indexed), wanted);
    assert_eq!(sent(CursorType::Color24, &[1, 2, 3, 4, 5, 6, 0x40]), wanted);
    assert_eq!(sent(CursorType::Color32, &wide), wanted);
}
