//! Monitors that the client wants.

use x11rb::connection::Connection as _;
use x11rb::protocol::randr::ConnectionExt as _;
use x11rb::protocol::xproto::ConnectionExt as _;

use crate::bench::{Bench, Screen};

/// Width and height of the screen, and names of its modes.
fn state(screen: &Screen) -> ((u16, u16), Vec<String>) {
    let (connection, number) = x11rb::connect(Some(screen.display())).unwrap();
    let root = connection.setup().roots[number].root;
    let size = connection.get_geometry(root).unwrap().reply().unwrap();
    let resources = connection
        .randr_get_screen_resources_current(root)
        .unwrap()
        .reply()
        .unwrap();
    let mut rest = resources.names.as_slice();
    let mut names = Vec::new();
    for mode in resources.modes {
        let (name, left) = rest.split_at(mode.name_len.into());
        names.push(String::from_utf8(name.to_vec()).unwrap());
        rest = left;
    }
    ((size.width, size.height), names)
}

/// Windows of these sizes.
fn want(bench: &mut Bench, sizes: &[(u32, u32)]) -> bool {
    let monitors: Vec<_> = sizes.iter().map(|&(width, height)| (width, height, 0, 0)).collect();
    bench.want(false, &monitors)
}

#[test]
fn the_screen_follows_the_window() {
    let mut bench = Bench::new();
    for size in [
        (1280, 800),
        (801, 601),
        (1366, 768),
        (1366, 768),
        (2560, 1600),
        (640, 480),
    ] {
        assert!(want(&mut bench, &[size]));
        let (seen, modes) = state(&bench.screen);
        assert_eq!((u32::from(seen.0), u32::from(seen.1)), size);
        // Those that are not in use are not kept.
        let ours = modes.iter().filter(|name| name.starts_with("caraway-")).count();
        assert!(ours <= 1, "{modes:?}");
    }
}

#[test]
fn what_cannot_be_had_is_said_or_made_fit() {
    let mut bench = Bench::new();
    assert!(!want(&mut bench, &[]));
    assert!(!want(&mut bench, &[(0, 0)]));
    assert_eq!(state(&bench.screen).0, (2560, 1600));
    // Larger than the screen can be.
    assert!(want(&mut bench, &[(100_000, 1000)]));
    assert_eq!(state(&bench.screen).0, (2560, 1000));
    // There is one monitor.
    assert!(want(&mut bench, &[(800, 600), (800, 600)]));
    assert_eq!(state(&bench.screen).0, (800, 600));
}
