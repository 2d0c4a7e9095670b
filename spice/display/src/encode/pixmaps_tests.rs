use std::collections::{BTreeSet, VecDeque};

use proptest::{collection::vec, prelude::*};

use super::*;

/// What goes before a message whose images are these contents, each of 100 pixels; and whether each came from the cache.
fn message(
    part: &mut PixmapCache,
    serial: u64,
    contents: &[Content],
) -> (Vec<ServerMessage>, Vec<Option<u64>>, Vec<bool>) {
    part.begin();
    let mut ids = Vec::new();
    let mut hits = Vec::new();
    for content in contents {
        let found = part.find(*content);
        hits.push(found.is_some());
        ids.push(found.or_else(|| {
            part.encodes();
            part.add(*content, 100)
        }));
    }
    (part.commit(serial, 1), ids, hits)
}

fn dropped(before: &[ServerMessage]) -> Vec<u64> {
    let lists = before.iter().filter_map(|message| match message {
        ServerMessage::InvalList(list) => Some(list),
        _ => None,
    });
    lists.flatten().map(|resource| resource.id).collect()
}

fn waits(before: &[ServerMessage]) -> Vec<(u8, u64)> {
    let lists = before.iter().filter_map(|message| match message {
        ServerMessage::Common(ServerCommon::WaitForChannels(list)) => Some(list),
        _ => None,
    });
    lists.flatten().map(|wait| (wait.channel.id, wait.serial)).collect()
}

#[test]
fn the_least_recently_used_image_goes_before_the_message_that_needs_its_place() {
    let pixmaps = Pixmaps::new(1);
    let mut part = pixmaps.join(7, 400, 0, &[]).unwrap();
    let mut ids = Vec::new();
    for (serial, content) in (1..=4).zip(10..) {
        let (before, id, hits) = message(&mut part, serial, &[content]);
        assert_eq!((before, hits), (vec![], vec![false]));
        ids.push(id[0].unwrap());
        assert!(ids[0] & CACHED != 0);
    }
    let (before, id, hits) = message(&mut part, 5, &[10]);
    assert_eq!((before, id[0], hits[0]), (vec![], Some(ids[0]), true));
    let (before, id, _) = message(&mut part, 6, &[14]);
    assert_eq!((dropped(&before), waits(&before)), (vec![ids[1]], vec![]));
    assert!(!ids.contains(&id[0].unwrap()), "ids do not come again");
    assert_eq!(message(&mut part, 8, &[11]).2, [false]);
}

#[test]
fn what_a_message_uses_stays_and_what_is_too_large_is_not_kept() {
    let pixmaps = Pixmaps::new(1);
    let mut part = pixmaps.join(0, 400, 0, &[]).unwrap();
    message(&mut part, 1, &[1, 2, 3, 4]);
    let (before, ids, hits) = message(&mut part, 2, &[1, 2, 3, 4, 5]);
    assert_eq!(
        (dropped(&before), ids[4], hits),
        (vec![], None, vec![true, true, true, true, false])
    );
    part.begin();
    assert_eq!(part.add(9, 101), None, "more than a quarter");
    assert_eq!(part.commit(3, 1), vec![]);
    assert_eq!(message(&mut part, 4, &[8, 8]).1[1], None, "twice in one message");
    for pixels in [0, -1, i64::MIN] {
        assert!(Pixmaps::new(1).join(0, pixels, 0, &[]).is_none());
    }
}

#[test]
fn another_display_waits_for_what_it_takes_and_for_what_it_drops() {
    let pixmaps = Pixmaps::new(1);
    let mut one = pixmaps.join(3, 400, 0, &[]).unwrap();
    let mut two = pixmaps.join(3, 1, 1, &[]).unwrap();
    let mut apart = pixmaps.join(4, 400, 2, &[]).unwrap();
    let (_, ids, _) = message(&mut one, 41, &[1]);
    let (before, id, hits) = message(&mut two, 7, &[1]);
    assert_eq!((waits(&before), id[0], hits[0]), (vec![(0, 41)], ids[0], true));
    assert_eq!(message(&mut apart, 1, &[1]).2, [false]);
    let (before, id, _) = message(&mut two, 9, &[1]);
    assert_eq!((before, id[0]), (vec![], ids[0]), "what was waited for is there");
    // Display 1 used it with message 8, behind the one that waits, and with the next one.
    message(&mut one, 42, &[2, 3, 4]);
    let (before, ..) = message(&mut one, 43, &[5]);
    assert_eq!(
        (waits(&before), dropped(&before)),
        (vec![(1, 9)], vec![ids[0].unwrap()])
    );
    // After something was encoded, nothing of others is taken.
    two.begin();
    two.encodes();
    assert_eq!(two.find(5), None);
    assert_eq!(two.commit(10, 1), vec![]);
}

#[test]
fn nobody_uses_what_a_display_that_left_has_added() {
    let pixmaps = Pixmaps::new(1);
    let mut one = pixmaps.join(3, 400, 0, &[]).unwrap();
    let mut two = pixmaps.join(3, 400, 1, &[]).unwrap();
    message(&mut one, 1, &[1]);
    message(&mut two, 1, &[1, 2]);
    drop(one);
    let (before, _, hits) = message(&mut two, 4, &[1, 2]);
    assert_eq!((before, hits), (vec![], vec![false, true]));
    assert!(pixmaps.join(3, 400, 0, &[]).is_some(), "it comes again");
    assert!(pixmaps.join(3, 400, 1, &[]).is_none(), "the display has a part already");
    drop(two);
    assert!(
        pixmaps.join(3, 400, 0, &[]).is_none(),
        "what the client has is not known"
    );
}

/// A message on its way: what it waits for, what it drops, takes and adds, and its images of a dictionary.
#[derive(Debug)]
struct Sent {
    serial: u64,
    waits: Vec<(u8, u64)>,
    drops: Vec<u64>,
    /// In order: an image taken from the cache, or encoded as this number of a dictionary and kept under an id.
    images: VecDeque<Image>,
}

#[derive(Debug)]
enum Image {
    Cached(u64),
    Encoded(u64, Option<u64>),
}

/// A client of several displays, which processes their messages in any order it can.
#[derive(Default)]
struct Client {
    queues: BTreeMap<u8, VecDeque<Sent>>,
    processed: BTreeMap<u8, u64>,
    kept: BTreeSet<u64>,
    decoded: BTreeSet<u64>,
}

impl Client {
    /// One step of a display; false when it has to wait.
    fn step(&mut self, display: u8) -> bool {
        let Self {
            queues,
            processed,
            kept,
            decoded,
        } = self;
        let Some(first) = queues.get_mut(&display).and_then(VecDeque::front_mut) else {
            return false;
        };
        let reached = |(display, serial): &(u8, u64)| processed.get(display).is_some_and(|reached| reached >= serial);
        if !first.waits.iter().all(reached) {
            return false;
        }
        first.waits.clear();
        for id in first.drops.drain(..) {
            assert!(kept.remove(&id), "drops {id:#x}, which is not there");
        }
        match first.images.front() {
            Some(Image::Cached(id)) => assert!(
                kept.contains(id),
                "{id:#x} is not there: the client would wait for ever"
            ),
            // The dictionary's order: all that came before may be referred to.
            Some(Image::Encoded(number, id)) => {
                if *number > 0 && !decoded.contains(&(number - 1)) {
                    return false;
                }
                decoded.insert(*number);
                kept.extend(*id);
            }
            None => {
                processed.insert(display, first.serial);
                queues.get_mut(&display).and_then(VecDeque::pop_front);
                return true;
            }
        }
        first.images.pop_front();
        true
    }
}

proptest! {
    #[test]
    fn a_client_never_waits_for_ever_and_has_all_that_is_named(
        steps in vec((0..3usize, vec(0..12u128, 1..4), 0..4usize), 1..80), capacity in 300..1500i64,
    ) {
        let pixmaps = Pixmaps::new(1);
        let mut parts: Vec<PixmapCache> = (0..3).map(|display| pixmaps.join(0, capacity, display, &[]).unwrap()).collect();
        let mut client = Client::default();
        let (mut serials, mut number) = ([0u64; 3], 0);
        // Messages being built: those of the displays overlap.
        let mut building: [Option<(Vec<u128>, VecDeque<Image>)>; 3] = [None, None, None];
        for (display, contents, ahead) in steps {
            let part = &mut parts[display];
            let (mut left, mut images) = building[display].take().unwrap_or_else(|| {
                part.begin();
                (contents, VecDeque::new())
            });
            // One image at each step.
            let content = left.pop().unwrap();
            images.push_back(if let Some(id) = part.find(content) {
                Image::Cached(id)
            } else {
                part.encodes();
                number += 1;
                Image::Encoded(number - 1, part.add(content, 100))
            });
            if left.is_empty() {
                let before = part.commit(serials[display] + 1, 1);
                serials[display] += 1 + before.len() as u64;
                client.queues.entry(display as u8).or_default().push_back(Sent {
                    serial: serials[display],
                    waits: waits(&before),
                    drops: dropped(&before),
                    images,
                });
            } else {
                building[display] = Some((left, images));
            }
            for step in 0..ahead {
                client.step(((display + step) % 3) as u8);
            }
        }
        // All are done, and sent.
        for (display, building) in building.into_iter().enumerate() {
            let Some((_, images)) = building else { continue };
            let before = parts[display].commit(serials[display] + 1, 1);
            serials[display] += 1 + before.len() as u64;
            client.queues.entry(display as u8).or_default().push_back(Sent {
                serial: serials[display],
                waits: waits(&before),
                drops: dropped(&before),
                images,
            });
        }
        // The next message drops what is there twice.
        let last = &mut parts[0];
        last.begin();
        let before = last.commit(serials[0] + 1, 1);
        client.queues.entry(0).or_default().push_back(Sent {
            serial: serials[0] + 1 + before.len() as u64,
            waits: waits(&before),
            drops: dropped(&before),
            images: VecDeque::new(),
        });
        while (0..3).any(|display| client.step(display)) {}
        prop_assert!(client.queues.values().all(VecDeque::is_empty), "a circle: {:?}", client.queues);
        prop_assert!(client.kept.len() as i64 * 100 <= capacity);
    }
}

#[test]
fn a_session_that_follows_has_what_the_client_still_has() {
    let pixmaps = Pixmaps::remembering(1);
    let mut one = pixmaps.join(3, 800, 0, &[]).unwrap();
    let mut two = pixmaps.join(3, 800, 1, &[]).unwrap();
    let (_, ids, _) = message(&mut one, 1, &[10, 11, 12]);
    let [a, b, c] = [0, 1, 2].map(|index: usize| ids[index].unwrap());
    let d = message(&mut two, 1, &[13]).1[0].unwrap();
    // One display has gone before the connection was found to be cut.
    drop(two);
    let next = pixmaps.successor();
    drop(one);
    // The client never saw `b`, and has an image nobody knows of.
    let mut one = next.join(3, 800, 0, &[a, c, d, 77]).unwrap();
    let mut two = next.join(3, 800, 1, &[]).unwrap();
    let (before, ids, hits) = message(&mut one, 1, &[10, 11, 12, 13]);
    assert_eq!((dropped(&before), waits(&before)), (vec![77], vec![]));
    assert_eq!(hits, [true, false, true, true]);
    assert_eq!([ids[0], ids[2], ids[3]], [Some(a), Some(c), Some(d)]);
    assert!(![a, b, c, d].contains(&ids[1].unwrap()), "ids do not come again");
    // Another display does not wait for what was there before.
    let (before, _, hits) = message(&mut two, 1, &[10]);
    assert_eq!((before, hits), (vec![], vec![true]));
    // What is gone for good: a session without a successor, and a successor's successor has it all.
    let again = next.successor();
    let mut part = again.join(3, 800, 0, &[a, ids[1].unwrap()]).unwrap();
    assert_eq!(message(&mut part, 1, &[10, 11, 12]).2, [true, true, false]);
    let forgets = Pixmaps::new(1);
    message(&mut forgets.join(3, 800, 0, &[]).unwrap(), 1, &[10]);
    assert!(forgets.join(3, 800, 0, &[]).is_none());
}

#[test]
fn what_a_client_claims_to_have_takes_no_more_room_than_there_is() {
    let pixmaps = Pixmaps::remembering(1);
    let mut part = pixmaps.join(3, 800, 0, &[]).unwrap();
    let (_, ids, _) = message(&mut part, 1, &[10, 11, 12, 13]);
    let ids: Vec<u64> = ids.into_iter().flatten().collect();
    // The same twice, and in a smaller cache: two fit, the others have to go.
    let mut part = pixmaps
        .successor()
        .join(3, 200, 0, &[&ids[..], &ids[..]].concat())
        .unwrap();
    part.begin();
    assert_eq!(dropped(&part.commit(1, 1)), ids[2..]);
}
