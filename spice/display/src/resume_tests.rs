//! A viewer whose connection was cut is shown what has changed, and nothing else.

use bytes::Bytes;
use caraway_canvas::Limits;
use caraway_ports::{
    display::{DisplayCommand, DisplaySink as _},
    drawing::{BitmapFormat, Rop},
    geometry::Rect,
};

use crate::{
    Display, Item,
    core_tests::{CAPS, Client, assert_same, bitmap, copy, draw, fill, silent, surface},
};

/// What a viewer that comes back is told, in short.
fn told(display: &std::sync::Arc<Display>, client: &mut Client) -> Vec<String> {
    let viewer = display.attach_again(CAPS, &client.again(), silent());
    let mut told = Vec::new();
    while let Some(item) = viewer.next() {
        told.push(match &item {
            Item::CreateSurface { id, .. } => format!("create {id}"),
            Item::KeepSurface { id, .. } => format!("keep {id}"),
            Item::DestroySurface(id) => format!("destroy {id}"),
            Item::Monitors { .. } => "monitors".to_owned(),
            Item::Mark => "mark".to_owned(),
            Item::Pixels { surface, at, pixels } => {
                format!("{surface}: {} {} {}x{}", at.x, at.y, pixels.width, pixels.height)
            }
            other => panic!("{other:?}"),
        });
        client.apply(item);
    }
    told
}

fn client_of(display: &std::sync::Arc<Display>) -> Client {
    let mut client = Client::new();
    client.drain(&display.attach(CAPS, silent()));
    client
}

#[test]
fn where_nothing_has_changed_nothing_is_drawn() {
    let display = Display::new(Limits::default());
    display.submit(surface(0, 1000, 700));
    draw(&display, fill(0, Rect::at(3, 5, 900, 600), 0x0012_3456, Rop::OP_PUT));
    display.submit(surface(4, 100, 100));
    let mut client = client_of(&display);
    assert_eq!(told(&display, &mut client), ["keep 0", "keep 4", "monitors", "mark"]);
    assert_same(&display, &client, &[0, 4]);
}

#[test]
fn tiles_that_differ_are_drawn_those_at_the_edges_too() {
    let display = Display::new(Limits::default());
    display.submit(surface(0, 1000, 700));
    let mut client = client_of(&display);
    for (x, y) in [(70, 130), (999, 699)] {
        draw(&display, fill(0, Rect::at(x, y, 1, 1), 0x00ff_ffff, Rop::OP_PUT));
    }
    assert_eq!(
        told(&display, &mut client),
        ["keep 0", "monitors", "0: 64 128 32x32", "0: 992 672 8x28", "mark"]
    );
    assert_same(&display, &client, &[0]);
}

#[test]
fn pictures_that_were_copied_are_shown_as_what_they_are() {
    let display = Display::new(Limits::default());
    display.submit(surface(0, 1000, 700));
    let mut client = client_of(&display);
    let picture = |x, y, colour: u8| {
        let data = bitmap(BitmapFormat::Bit32, 100, 50, Bytes::from(vec![colour; 100 * 50 * 4]));
        draw(&display, copy(0, Rect::at(x, y, 100, 50), data));
    };
    picture(10, 10, 1);
    // Under a later one, it is not whole.
    picture(500, 500, 2);
    picture(550, 520, 3);
    // Drawn over by something else.
    picture(700, 128, 4);
    draw(&display, fill(0, Rect::at(700, 128, 1, 1), 5, Rop::OP_PUT));
    // Where nothing has changed since.
    picture(0, 300, 0);
    let told = told(&display, &mut client);
    assert_eq!(
        told[..5],
        [
            "keep 0",
            "0: 700 128 100x50",
            "0: 550 520 100x50",
            "0: 10 10 100x50",
            "monitors"
        ]
    );
    assert!(
        told[5..told.len() - 1].iter().all(|step| step.starts_with("0: ")),
        "{told:?}"
    );
    assert_same(&display, &client, &[0]);
}

#[test]
fn surfaces_that_have_gone_or_are_others_are_made_anew() {
    let display = Display::new(Limits::default());
    for id in 0..4 {
        display.submit(surface(id, 100, 100));
    }
    let mut client = client_of(&display);
    display.submit(DisplayCommand::DestroySurface(1));
    display.submit(DisplayCommand::DestroySurface(2));
    display.submit(surface(2, 100, 101));
    display.submit(DisplayCommand::DestroySurface(3));
    display.submit(surface(3, 100, 100));
    display.submit(surface(5, 10, 10));
    draw(&display, fill(3, Rect::at(0, 0, 1, 1), 1, Rop::OP_PUT));
    assert_eq!(
        told(&display, &mut client),
        [
            "destroy 1",
            "destroy 2",
            "keep 0",
            "create 2",
            "keep 3",
            "create 5",
            "monitors",
            "2: 0 0 100x101",
            "3: 0 0 32x32",
            "5: 0 0 10x10",
            "mark"
        ]
    );
    assert_same(&display, &client, &[0, 2, 3, 5]);
}
