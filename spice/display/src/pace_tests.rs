//! What a viewer on a slow link is given.

use bytes::Bytes;
use caraway_canvas::Limits;
use caraway_ports::{
    display::DisplaySink,
    drawing::{BitmapFormat, Drawable, Rop},
    geometry::Rect,
};

use crate::{
    Display, Item, Pace, Viewer,
    core_tests::{CAPS, Client, assert_same, bitmap, copy, draw, fill, silent, surface},
};

/// 1 Mbit/s, photographs.
fn slow() -> Pace {
    Pace::of_link(1_000_000, 500)
}

/// A viewer of a screen of 800x600 that has seen all of it.
fn viewer(pace: Pace) -> (std::sync::Arc<Display>, Viewer, Client) {
    let display = Display::new(Limits::default());
    display.submit(surface(0, 800, 600));
    let viewer = display.attach(CAPS, silent());
    let mut client = Client::new();
    client.drain(&viewer);
    viewer.set_pace(pace);
    (display, viewer, client)
}

fn photo(bbox: Rect) -> Drawable {
    let pixels = (0..bbox.area() * 4).map(|at| ((at * at) >> 3) as u8).collect::<Bytes>();
    copy(
        0,
        bbox,
        bitmap(BitmapFormat::Bit32, bbox.width(), bbox.height(), pixels),
    )
}

#[test]
fn text_typed_while_a_photograph_loads_is_behind_one_part_of_it_at_most() {
    let (display, viewer, mut client) = viewer(slow());
    draw(&display, photo(Rect::at(0, 0, 800, 500)));
    let mut parts = 0;
    for step in 0..20 {
        let Some(item @ Item::Pixels { .. }) = viewer.next() else {
            panic!("the photograph comes as pixels")
        };
        assert!(item.pixel_bytes() <= 800 * 4 * 2, "{}", item.pixel_bytes());
        client.apply(item);
        parts += 1;
        // A letter below it, then one on it.
        let letter = Rect::at(step * 8, if step % 2 == 0 { 550 } else { 300 }, 8, 16);
        draw(&display, fill(0, letter, 0xffffff, Rop::OP_PUT));
        let next = viewer.next().unwrap();
        let Item::Pixels { at, .. } = &next else {
            panic!("{next:?}")
        };
        assert_eq!((at.x, at.y), (letter.left, letter.top));
        client.apply(next);
    }
    client.drain(&viewer);
    assert!(parts == 20 && client.items > 200, "{}", client.items);
    assert_same(&display, &client, &[0]);
    // It rests; then commands again.
    draw(&display, fill(0, Rect::at(0, 0, 4, 4), 1, Rop::OP_PUT));
    assert!(matches!(viewer.next(), Some(Item::Draw(_))));
}

#[test]
fn a_queue_on_a_slow_link_is_short_and_one_of_small_commands_is_none() {
    let (display, viewer, mut client) = viewer(slow());
    let write = |steps: std::ops::Range<i32>| {
        for step in steps {
            draw(
                &display,
                fill(0, Rect::at(step % 700, 7, 9, 9), step as u32, Rop::OP_XOR),
            );
        }
    };
    write(0..900);
    let first = viewer.next().unwrap();
    assert!(viewer.waiting() > 0 && matches!(first, Item::Draw(_)));
    client.apply(first);
    write(900..1800);
    assert_eq!(viewer.waiting(), 0, "it is shown the result");
    client.drain(&viewer);
    assert_same(&display, &client, &[0]);
}

#[test]
fn the_first_picture_is_whole_where_the_link_allows_it() {
    for (pace, whole) in [
        (Pace::default(), true),
        (Pace::of_link(100_000_000, 500), true),
        (Pace::unknown(), false),
        (slow(), false),
    ] {
        let display = Display::new(Limits::default());
        display.submit(surface(0, 800, 600));
        let viewer = display.attach(CAPS, silent());
        viewer.set_pace(pace);
        let mut client = Client::new();
        let mut pictures = 0;
        while let Some(item) = viewer.next() {
            pictures += usize::from(matches!(item, Item::Pixels { .. }));
            client.apply(item);
        }
        assert_eq!(pictures == 1, whole, "{pace:?}");
        assert_same(&display, &client, &[0]);
    }
}
