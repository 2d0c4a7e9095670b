//! What waits for a viewer that does not read is no more than what it will see.

use std::sync::Arc;

use bytes::Bytes;
use caraway_canvas::Limits;
use caraway_ports::{
    display::DisplaySink,
    drawing::{BitmapFormat, DrawOp, Drawable, Mask, Rop},
    geometry::{Point, Rect},
};
use proptest::prelude::*;

use crate::{
    Display, Item, Viewer,
    core_tests::{CAPS, Client, assert_same, bitmap, copy, draw, drawable, fill, silent, surface},
};

fn watched() -> (Arc<Display>, Viewer, Client) {
    let display = Display::new(Limits::default());
    let viewer = display.attach(CAPS, silent());
    let mut client = Client::new();
    client.drain(&viewer);
    client.items = 0;
    (display, viewer, client)
}

fn picture(at: Rect, first: u8) -> Drawable {
    let (width, height) = (at.width(), at.height());
    let pixels: Vec<u8> = (0..width * height)
        .flat_map(|pixel| [first, (pixel % 251) as u8, (pixel / width % 251) as u8, 0])
        .collect();
    copy(0, at, bitmap(BitmapFormat::Bit32, width, height, Bytes::from(pixels)))
}

fn invert(at: Rect) -> Drawable {
    drawable(0, at, DrawOp::Invers { mask: Mask::default() })
}

#[test]
fn what_is_undone_before_it_was_sent_is_not_sent() {
    let (display, viewer, mut client) = watched();
    let at = Rect::at(10, 10, 50, 50);
    for _ in 0..7 {
        draw(&display, fill(0, at, 0x00ff_ffff, Rop::OP_XOR));
        draw(&display, fill(0, Rect::at(200, 200, 9, 9), 0x0012_3456, Rop::OP_OR));
        draw(&display, fill(0, at, 0x00ff_ffff, Rop::OP_XOR));
        draw(&display, invert(at));
        draw(&display, invert(at));
    }
    client.drain(&viewer);
    assert_eq!(client.items, 1, "what is the same as before goes once");
    assert_same(&display, &client, &[0]);
    // With something between them that they draw on, both go.
    draw(&display, fill(0, at, 0x00ff_ffff, Rop::OP_XOR));
    draw(&display, fill(0, Rect::at(20, 20, 4, 4), 0x0012_3456, Rop::OP_PUT));
    draw(&display, fill(0, at, 0x00ff_ffff, Rop::OP_XOR));
    client.drain(&viewer);
    assert_eq!(client.items, 4);
    assert_same(&display, &client, &[0]);
    // And with something that reads what is there in between.
    draw(&display, fill(0, at, 0x00ff_ffff, Rop::OP_XOR));
    let src_pos = Point::new(10, 10);
    draw(
        &display,
        drawable(0, Rect::at(300, 100, 50, 50), DrawOp::CopyBits { src_pos }),
    );
    draw(&display, fill(0, at, 0x00ff_ffff, Rop::OP_XOR));
    client.drain(&viewer);
    assert_eq!(client.items, 7);
    assert_same(&display, &client, &[0]);
}

#[test]
fn of_a_picture_only_what_is_to_be_seen_is_sent() {
    let (display, viewer, mut client) = watched();
    draw(&display, picture(Rect::at(0, 0, 400, 300), 1));
    draw(&display, picture(Rect::at(0, 0, 400, 250), 2));
    let sent: Vec<Item> = std::iter::from_fn(|| viewer.next()).collect();
    let pixels: u64 = sent.iter().filter_map(Item::touched).map(|(_, area)| area.area()).sum();
    assert_eq!((sent.len(), pixels), (2, 400 * 300));
    sent.into_iter().for_each(|item| client.apply(item));
    assert_same(&display, &client, &[0]);
    // A hole in it.
    draw(&display, picture(Rect::at(0, 0, 400, 300), 3));
    draw(&display, fill(0, Rect::at(50, 50, 300, 200), 7, Rop::OP_PUT));
    assert!(viewer.waiting() < (400 * 300 - 300 * 200) * 4 + 5 * 256 + 1);
    client.drain(&viewer);
    assert_same(&display, &client, &[0]);
    // What carries it elsewhere needs it whole.
    draw(&display, picture(Rect::at(0, 0, 400, 300), 4));
    let src_pos = Point::new(0, 0);
    draw(
        &display,
        drawable(0, Rect::at(100, 100, 200, 200), DrawOp::CopyBits { src_pos }),
    );
    draw(&display, fill(0, Rect::at(0, 0, 400, 290), 7, Rop::OP_PUT));
    client.drain(&viewer);
    assert_same(&display, &client, &[0]);
}

#[derive(Clone, Debug)]
enum Step {
    Picture(Rect, u8),
    Fill(Rect, u32, u16),
    Invert(Rect),
    Move(Rect, Point),
    Read(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Few places, so that they meet again.
    let rect = (0..6i32, 0..5i32, 1..6u32, 1..5u32).prop_map(|(x, y, w, h)| Rect::at(x * 40, y * 40, w * 40, h * 40));
    let rop = prop_oneof![
        Just(Rop::OP_PUT),
        Just(Rop::OP_XOR),
        Just(Rop::OP_AND),
        Just(Rop::OP_OR)
    ];
    let color = prop_oneof![Just(0x00ff_ffff_u32), Just(0x0012_3456)];
    let step = prop_oneof![
        4 => (rect.clone(), any::<u8>()).prop_map(|(at, first)| Step::Picture(at, first)),
        4 => (rect.clone(), color, rop).prop_map(|(at, color, rop)| Step::Fill(at, color, rop)),
        2 => rect.clone().prop_map(Step::Invert),
        1 => (rect, 0..6i32, 0..5i32).prop_map(|(at, x, y)| Step::Move(at, Point::new(x * 40, y * 40))),
        2 => (0..6usize).prop_map(Step::Read),
    ];
    proptest::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn whatever_is_left_out_the_pixels_are_those_of_the_canvas(steps in steps()) {
        let (display, viewer, mut client) = watched();
        display.submit(surface(0, 400, 300));
        client.drain(&viewer);
        for step in steps {
            match step {
                Step::Picture(at, first) => draw(&display, picture(at, first)),
                Step::Fill(at, color, rop) => draw(&display, fill(0, at, color, rop)),
                Step::Invert(at) => draw(&display, invert(at)),
                Step::Move(at, src_pos) => draw(&display, drawable(0, at, DrawOp::CopyBits { src_pos })),
                Step::Read(count) => (0..count).filter_map(|_| viewer.next()).for_each(|item| client.apply(item)),
            }
        }
        client.drain(&viewer);
        assert_same(&display, &client, &[0]);
        prop_assert_eq!(viewer.waiting(), 0);
    }
}
